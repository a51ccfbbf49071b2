//! The file that names the OpenID providers people sign in by, and their
//! secrets, which are never in it.

use crate::cli::findings;
use connect::http::Client;
use connect::oidc::{Provider, Settings};
use control::sign_on::SignOn;
use opsrepo::SignOnSpec;
use std::path::Path;
use std::sync::Arc;

/// Reads it. A file with a secret is named relative to it.
///
/// # Errors
/// Everything that is wrong, a line each.
pub fn read(path: &Path) -> Result<Vec<Arc<SignOn>>, Vec<String>> {
    let shown = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|e| vec![format!("`{shown}`: {e}")])?;
    let specs = opsrepo::sign_on(&shown, &bytes);
    let specs = specs.map_err(|found| found.iter().map(findings::line).collect::<Vec<String>>())?;
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let (mut all, mut faults) = (Vec::new(), Vec::new());
    let client = Client::new();
    for spec in specs {
        let id = spec.id.clone();
        let made = secret(&spec, folder).and_then(|client_secret| {
            let settings = Settings {
                issuer: spec.issuer.clone(),
                client_id: spec.client_id.clone(),
                client_secret,
                scopes: spec.scopes.clone(),
            };
            Provider::new(client.clone(), settings).map_err(|e| e.to_string())
        });
        match made {
            Ok(provider) => all.push(Arc::new(SignOn { spec, provider })),
            Err(fault) => faults.push(format!("`{shown}`: provider `{id}`: {fault}")),
        }
    }
    if faults.is_empty() { Ok(all) } else { Err(faults) }
}

/// The client's secret, from where the file says.
fn secret(spec: &SignOnSpec, folder: &Path) -> Result<Option<String>, String> {
    let (from, text) = match (&spec.client_secret_env, &spec.client_secret_file) {
        (Some(name), _) => {
            let value = std::env::var_os(name).and_then(|value| value.into_string().ok());
            (format!("the variable `{name}`"), value)
        }
        (None, Some(file)) => {
            let path = folder.join(file);
            let text = std::fs::read_to_string(&path);
            (format!("the file `{}`", path.display()), text.ok())
        }
        (None, None) => return Ok(None),
    };
    let text = text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    text.map(Some).ok_or_else(|| format!("{from} holds no secret"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_come_from_where_the_file_says_and_all_faults_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("sign-on.yaml");
        std::fs::write(dir.path().join("secret"), "s3cret\n").unwrap();
        let provider =
            |id: &str, rest: &str| format!("  - {{id: {id}, name: N, client_id: c, {rest}}}\n");
        let write = |text: &str| {
            std::fs::write(&file, format!("apiVersion: tidegate/v1\nproviders:\n{text}")).unwrap();
        };
        write(&provider("a", "issuer: \"https://a\", client_secret_file: secret"));
        assert_eq!(read(&file).unwrap().len(), 1);
        write(
            &[
                provider("a", "issuer: \"https://a\", client_secret_file: none"),
                provider("b", "issuer: \"http://login.example.com\""),
                provider(
                    "c",
                    "issuer: \"https://c\", client_secret_env: TIDEGATE_NO_SUCH_VARIABLE",
                ),
            ]
            .concat(),
        );
        let faults = read(&file).unwrap_err();
        assert_eq!(faults.len(), 3, "{faults:?}");
        assert!(faults[1].contains("provider `b`") && faults[1].contains("https"), "{faults:?}");
        write("  - {id: a}\n");
        assert!(read(&file).unwrap_err().iter().any(|fault| fault.contains(":3")));
    }
}
