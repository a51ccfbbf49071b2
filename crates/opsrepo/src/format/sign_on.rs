//! The sign-on file of a server: by which OpenID providers people may sign in,
//! and who they are here. It lies beside the server, not in the ops repo: who
//! may come in is said by whoever runs the server, not by a change.
//!
//! ```yaml
//! apiVersion: tidegate/v1
//! providers:
//!   - id: company
//!     name: Example Ltd
//!     issuer: https://login.example.com
//!     client_id: tidegate
//!     client_secret_env: TIDEGATE_COMPANY_SECRET
//!     groups_claim: groups
//!     roles: {prompt-editors: [editor], release-managers: [approver, operator]}
//!     create: true
//! ```

use super::{Fault, Format};
use crate::yaml;
use domain::finding::Finding;
use domain::ids::PersonName;
use domain::people::Role;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// Most providers of one server.
pub const MAX_PROVIDERS: usize = 16;

/// The file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignOnFile {
    #[serde(rename = "apiVersion")]
    api_version: String,
    /// Providers, in the order they are offered.
    pub providers: Vec<SignOnSpec>,
}

/// A provider, and who its people are here.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignOnSpec {
    /// Its name in addresses: `/signin/<id>/callback` is what the provider is
    /// told as our redirect address.
    pub id: String,
    /// What people call it: "Sign in with …".
    pub name: String,
    /// Its issuer, to the letter.
    pub issuer: String,
    /// What it calls us.
    pub client_id: String,
    /// Variable of the server's environment with the client's secret, …
    #[serde(default)]
    pub client_secret_env: Option<String>,
    /// … or a file with it. A public client has neither.
    #[serde(default)]
    pub client_secret_file: Option<String>,
    /// What is asked for beside `openid`.
    #[serde(default = "usual_scopes")]
    pub scopes: Vec<String>,
    /// Who somebody is, by the provider's subject.
    #[serde(default)]
    pub people: BTreeMap<String, PersonName>,
    /// Somebody whose address the provider has verified is the person who has it
    /// here; from then on, by subject.
    #[serde(default = "yes")]
    pub by_email: bool,
    /// The claim that lists somebody's groups.
    #[serde(default = "groups")]
    pub groups_claim: String,
    /// The roles each group gives. If there are any, the provider decides about
    /// roles at every sign-in.
    #[serde(default)]
    pub roles: BTreeMap<String, BTreeSet<Role>>,
    /// Whoever is not known here is added.
    #[serde(default)]
    pub create: bool,
    /// What they may, where groups do not say.
    #[serde(default)]
    pub new_people: BTreeSet<Role>,
    /// The claim that names whoever is added.
    #[serde(default = "preferred_username")]
    pub name_claim: String,
}

fn usual_scopes() -> Vec<String> {
    vec!["email".to_owned(), "profile".to_owned()]
}

fn groups() -> String {
    "groups".to_owned()
}

fn preferred_username() -> String {
    "preferred_username".to_owned()
}

fn yes() -> bool {
    true
}

/// Reads the file. `file` is how findings name it.
///
/// # Errors
/// Every fault, with its place.
pub fn sign_on(file: &str, bytes: &[u8]) -> Result<Vec<SignOnSpec>, Vec<Finding>> {
    let reading = yaml::read::<SignOnFile>(file, bytes);
    match reading.value {
        Some(value) if reading.findings.is_empty() => Ok(value.providers),
        _ => Err(reading.findings),
    }
}

impl Format for SignOnFile {
    const REQUIRED: &'static [&'static str] = &["apiVersion", "providers"];

    fn api_version(&self) -> &str {
        &self.api_version
    }

    fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let count = self.providers.len();
        if count == 0 || count > MAX_PROVIDERS {
            faults.push(Fault::new(
                "providers",
                "out_of_range",
                format!("{count} providers; at least 1 and at most {MAX_PROVIDERS}"),
                "name at least one, or leave the file out",
            ));
        }
        let mut ids = BTreeSet::new();
        for (i, provider) in self.providers.iter().enumerate() {
            let at = |field: &str| format!("providers[{i}].{field}");
            let slug = provider.id.parse::<PersonName>().is_ok();
            if !slug || !ids.insert(&provider.id) {
                faults.push(Fault::new(
                    at("id"),
                    "bad_provider_id",
                    format!("`{}` cannot be this provider's id", provider.id),
                    "use lower-case letters, digits and `-`, once in the file",
                ));
            }
            faults.extend(
                provider
                    .faults()
                    .into_iter()
                    .map(|(field, code, message, mend)| Fault::new(at(field), code, message, mend)),
            );
        }
        faults
    }
}

impl SignOnSpec {
    fn faults(&self) -> Vec<(&'static str, &'static str, String, &'static str)> {
        let mut faults = Vec::new();
        let empty =
            [("name", &self.name), ("issuer", &self.issuer), ("client_id", &self.client_id)]
                .into_iter()
                .filter(|(_, text)| text.trim().is_empty());
        for (field, _) in empty {
            let said = format!("`{field}` is empty");
            faults.push((field, "missing_value", said, "write what the provider says"));
        }
        if self.client_secret_env.is_some() && self.client_secret_file.is_some() {
            faults.push((
                "client_secret_file",
                "two_secrets",
                "the secret is said to be in two places".to_owned(),
                "keep `client_secret_env` or `client_secret_file`",
            ));
        }
        if self.create && self.roles.is_empty() && self.new_people.is_empty() {
            faults.push((
                "create",
                "no_roles",
                "whoever is added would have no role, and could not even read".to_owned(),
                "say `roles` by group, or `new_people: [auditor]`",
            ));
        }
        if self.new_people.iter().any(|role| *role != Role::Auditor && *role != Role::Editor) {
            faults.push((
                "new_people",
                "too_much",
                "people nobody here knows yet would decide at once".to_owned(),
                "only `auditor` and `editor` can be given to everybody; give more by group, or by hand",
            ));
        }
        if self.roles.values().flatten().any(|role| *role == Role::Agent) {
            faults.push((
                "roles",
                "agents_hold_tokens",
                "a group cannot make people agents".to_owned(),
                "programs sign in with tokens: leave `agent` out",
            ));
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(text: &str) -> Vec<(String, Option<u32>)> {
        let findings = sign_on("sign-on.yaml", text.as_bytes()).unwrap_err();
        findings.into_iter().map(|f| (f.code, f.place.and_then(|p| p.line))).collect()
    }

    #[test]
    fn what_is_left_out_has_a_careful_default() {
        let text = "apiVersion: tidegate/v1\nproviders:\n  - {id: a, name: A, issuer: \"https://a\", client_id: c}\n";
        let spec = sign_on("f", text.as_bytes()).unwrap().remove(0);
        assert!(spec.by_email && !spec.create && spec.roles.is_empty());
        assert_eq!(spec.scopes, ["email", "profile"]);
    }

    #[test]
    fn every_fault_is_told_at_once_with_its_line() {
        let text = "apiVersion: tidegate/v1
providers:
  - id: A b
    name: A
    issuer: https://a
    client_id: c
    client_secret_env: X
    client_secret_file: y
    create: true
  - id: ok
    name: B
    issuer: https://b
    client_id: ''
    new_people: [admin]
    roles: {g: [agent]}
";
        let found = codes(text);
        let wanted = [
            ("bad_provider_id", 3),
            ("two_secrets", 8),
            ("no_roles", 9),
            ("missing_value", 13),
            ("too_much", 14),
            ("agents_hold_tokens", 15),
        ];
        for (code, line) in wanted {
            assert!(found.contains(&(code.to_owned(), Some(line))), "{code} {line}: {found:?}");
        }
        let unknown = "apiVersion: tidegate/v1\nproviders:\n  - {id: a, name: A, issuer: \"https://a\", client_id: c, client_secret: x}\n";
        assert_eq!(codes(unknown), [("unknown_field".to_owned(), Some(3))]);
    }
}
