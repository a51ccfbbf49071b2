//! What the annotations of a policy say: its name, what it does, how to satisfy
//! it.

use crate::suggest::{listed, nearest};
use domain::finding::Severity;
use domain::people::Role;
use std::fmt;

/// The annotations there are.
pub const ANNOTATIONS: [&str; 6] = ["id", "because", "satisfy", "requires", "severity", "owner"];
/// Longest id of a policy, in characters.
pub const MAX_ID: usize = 80;
/// Most people of one role that a policy may ask for.
pub const MAX_COUNT: u32 = 10;

/// One policy, as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its `@id`.
    pub id: String,
    /// The file it stands in.
    pub file: String,
    /// The line it begins at, from 1.
    pub line: u32,
    /// What it does where it matches.
    pub effect: Effect,
    /// Its `@because`: why it is there.
    pub because: String,
    /// Its `@satisfy`: what to do.
    pub satisfy: String,
}

/// What a policy does where it matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Stops what is asked.
    Deny,
    /// Stops it until these people said yes.
    Require(Vec<Ask>),
    /// Says so, and stops nothing.
    Tell(Severity),
}

/// People whose yes is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ask {
    /// In which role.
    pub role: Role,
    /// How many different ones.
    pub count: u32,
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.role, self.count)
    }
}

/// A fault of the annotations: what is wrong, and what to do.
pub(super) type Fault = (&'static str, String, String);

/// Reads the annotations of a policy. `released` is true if the policy is about
/// the action `release` and nothing else.
pub(super) fn read<'a>(
    annotations: impl Iterator<Item = (&'a str, &'a str)>,
    released: bool,
    place: (&str, u32),
) -> Result<Rule, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut rule = Rule {
        id: String::new(),
        file: place.0.to_owned(),
        line: place.1,
        effect: Effect::Deny,
        because: String::new(),
        satisfy: String::new(),
    };
    let (mut requires, mut severity) = (None, None);
    for (name, value) in annotations {
        let value = value.trim();
        match name {
            "id" => value.clone_into(&mut rule.id),
            "because" => value.clone_into(&mut rule.because),
            "satisfy" => value.clone_into(&mut rule.satisfy),
            "owner" => {}
            "requires" => requires = Some(asks(value)),
            "severity" => severity = Some(told(value)),
            other => faults.push(unknown(other)),
        }
    }
    if let Some(fault) = id_fault(&rule.id) {
        faults.push(fault);
    }
    match (requires, severity) {
        (Some(_), Some(_)) => faults.push((
            "contradicting_annotations",
            "a policy cannot both ask for approvals and only warn".to_owned(),
            "keep `@requires` or `@severity`".to_owned(),
        )),
        (Some(_), None) if !released => faults.push((
            "requires_without_release",
            "`@requires` only goes with `action == Action::\"release\"`".to_owned(),
            "write `forbid (principal, action == Action::\"release\", resource)`".to_owned(),
        )),
        (Some(Ok(asks)), None) => rule.effect = Effect::Require(asks),
        (None, Some(Ok(effect))) => rule.effect = effect,
        (Some(Err(fault)), None) | (None, Some(Err(fault))) => faults.push(fault),
        (None, None) => {}
    }
    if rule.effect == Effect::Deny && rule.satisfy.is_empty() && faults.is_empty() {
        faults.push((
            "no_way_to_satisfy",
            format!("`{}` does not say how to satisfy it", rule.id),
            "add `@satisfy(\"…\")`: whoever is stopped reads it".to_owned(),
        ));
    }
    if faults.is_empty() { Ok(rule) } else { Err(faults) }
}

fn id_fault(id: &str) -> Option<Fault> {
    let fits = !id.is_empty()
        && id.chars().count() <= MAX_ID
        && id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    (!fits).then(|| {
        let message = if id.is_empty() {
            "a policy has no `@id`, so nobody could say which one it was".to_owned()
        } else {
            format!("`{id}` cannot be the id of a policy")
        };
        let mend = format!(
            "write for example `@id(\"high-risk-names-contract\")`: letters, digits, `-`, `_`, `.`, at most {MAX_ID}"
        );
        ("bad_policy_id", message, mend)
    })
}

fn unknown(name: &str) -> Fault {
    let mend = match nearest(name, ANNOTATIONS) {
        Some(near) => format!("did you mean `@{near}`?"),
        None => format!("the annotations are {}", listed(ANNOTATIONS, ANNOTATIONS.len())),
    };
    ("unknown_annotation", format!("`@{name}` means nothing here"), mend)
}

fn told(value: &str) -> Result<Effect, Fault> {
    match value {
        "error" => Ok(Effect::Deny),
        "warning" => Ok(Effect::Tell(Severity::Warning)),
        "note" => Ok(Effect::Tell(Severity::Note)),
        other => Err((
            "bad_severity",
            format!("`{other}` is not a severity"),
            "write `error`, `warning` or `note`".to_owned(),
        )),
    }
}

/// Reads `finance:1, approver:2`; the count may be left out.
pub(super) fn asks(value: &str) -> Result<Vec<Ask>, Fault> {
    let roles = Role::APPROVING.map(Role::key);
    let wrong = |part: &str| -> Fault {
        (
            "bad_requires",
            format!("`{part}` does not say whose yes is asked for"),
            format!(
                "write for example `finance:1` or `approver:2, finance:1`; the roles are {}, at most {MAX_COUNT} people of each",
                listed(roles, roles.len())
            ),
        )
    };
    let mut asks = std::collections::BTreeMap::new();
    for part in value.split(',').map(str::trim) {
        let (role, count) = part.split_once(':').unwrap_or((part, "1"));
        let role = Role::APPROVING.into_iter().find(|r| r.key() == role.trim());
        let count = count.trim().parse::<u32>().ok().filter(|n| (1..=MAX_COUNT).contains(n));
        let (Some(role), Some(count)) = (role, count) else { return Err(wrong(part)) };
        let most = asks.entry(role).or_insert(count);
        *most = count.max(*most);
    }
    Ok(asks.into_iter().map(|(role, count)| Ask { role, count }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(annotations: &[(&str, &str)], released: bool) -> Result<Rule, Vec<&'static str>> {
        read(annotations.iter().copied(), released, ("policies/a.cedar", 3))
            .map_err(|faults| faults.into_iter().map(|f| f.0).collect())
    }

    #[test]
    fn annotations_say_what_a_policy_does() {
        let deny = rule(&[("id", "a"), ("satisfy", "do this")], false).unwrap();
        assert_eq!((deny.effect, deny.line), (Effect::Deny, 3));
        let warn = rule(&[("id", "a"), ("severity", "warning")], false).unwrap();
        assert_eq!(warn.effect, Effect::Tell(Severity::Warning));
        let ask = rule(&[("id", "a"), ("requires", "finance, approver:2,approver:1")], true);
        let want = [Ask { role: Role::Approver, count: 2 }, Ask { role: Role::Finance, count: 1 }];
        assert_eq!(ask.unwrap().effect, Effect::Require(want.to_vec()));
    }

    #[test]
    fn every_fault_has_its_code() {
        for (annotations, released, codes) in [
            (&[("satisfy", "x")][..], false, &["bad_policy_id"][..]),
            (&[("id", "a b"), ("satisfy", "x")], false, &["bad_policy_id"]),
            (&[("id", "a")], false, &["no_way_to_satisfy"]),
            (&[("id", "a"), ("require", "finance")], true, &["unknown_annotation"]),
            (&[("id", "a"), ("requires", "finance")], false, &["requires_without_release"]),
            (&[("id", "a"), ("requires", "editor:1")], true, &["bad_requires"]),
            (&[("id", "a"), ("requires", "finance:0")], true, &["bad_requires"]),
            (&[("id", "a"), ("requires", "finance:11")], true, &["bad_requires"]),
            (&[("id", "a"), ("requires", "")], true, &["bad_requires"]),
            (&[("id", "a"), ("severity", "warn")], false, &["bad_severity"]),
            (
                &[("id", "a"), ("severity", "note"), ("requires", "finance")],
                true,
                &["contradicting_annotations"],
            ),
        ] {
            assert_eq!(rule(annotations, released).unwrap_err(), codes, "{annotations:?}");
        }
    }
}
