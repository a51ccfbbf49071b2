//! Whether a changed component raised its version as it had to.
//!
//! A version never changes content, so that `summary@1.4.0` means one thing for
//! ever. How far a version must rise follows from what the change does to those
//! who send requests:
//!
//! | what changed | at least |
//! | --- | --- |
//! | a variable is now required that was not, so requests of today would fail | major |
//! | a variable is no longer used, a new optional one is, the roles of the messages or the place of the conversation changed | minor |
//! | anything else in the content: the words of a prompt, a price, a parameter | patch |
//!
//! Below 1.0.0 everything counts one step less, as usual: what would be major
//! is minor, what would be minor is patch.

use crate::finding::finding;
use crate::lint::used_variables;
use crate::source::Source;
use domain::component::{Component, ComponentKind};
use domain::finding::{Finding, Severity};
use domain::snapshot::{PromptContent, PromptMessage};
use semver::Version;

/// How far a version must rise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bump {
    /// The last number.
    Patch,
    /// The middle number.
    Minor,
    /// The first number.
    Major,
}

impl Bump {
    /// The word people use.
    pub fn word(self) -> &'static str {
        match self {
            Self::Patch => "patch",
            Self::Minor => "minor",
            Self::Major => "major",
        }
    }

    /// The least version this far above `from`.
    pub fn above(self, from: &Version) -> Version {
        let effective = if from.major == 0 && self > Self::Patch {
            if self == Self::Major { Self::Minor } else { Self::Patch }
        } else {
            self
        };
        match effective {
            Self::Major => Version::new(from.major.saturating_add(1), 0, 0),
            Self::Minor => Version::new(from.major, from.minor.saturating_add(1), 0),
            Self::Patch => Version::new(from.major, from.minor, from.patch.saturating_add(1)),
        }
    }
}

/// How far a prompt's version must rise, and why. `None` if nothing changed.
pub fn required(old: &PromptContent, new: &PromptContent) -> Option<(Bump, String)> {
    if old == new {
        return None;
    }
    let (before, after) = (used_variables(old), used_variables(new));
    let demanded = |content: &PromptContent, name: &str| {
        content.variables.get(name).is_some_and(|v| v.required && v.default.is_none())
    };
    if let Some(name) =
        new.variables.keys().find(|name| demanded(new, name) && !demanded(old, name))
    {
        return Some((Bump::Major, format!("every request must now send `{name}`")));
    }
    if let Some(name) = before.difference(&after).next() {
        return Some((Bump::Minor, format!("`{name}` is no longer used")));
    }
    if let Some(name) = after.difference(&before).next() {
        return Some((Bump::Minor, format!("`{name}` is now used")));
    }
    if roles(old) != roles(new) {
        return Some((Bump::Minor, "the roles of the messages changed".into()));
    }
    Some((Bump::Patch, "its content changed".into()))
}

/// The roles of the messages; `None` stands for the conversation.
fn roles(content: &PromptContent) -> Vec<Option<&str>> {
    fn role(message: &PromptMessage) -> Option<&str> {
        match message {
            PromptMessage::Template { role, .. } => Some(role),
            PromptMessage::Conversation => None,
        }
    }
    content.messages.iter().map(role).collect()
}

/// One component before and after a change.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    /// Which component.
    pub kind: ComponentKind,
    /// As it serves in production.
    pub old: &'a Component,
    /// As the change has it.
    pub new: &'a Component,
    /// The prompt's content before and after, if it is one.
    pub prompts: Option<(&'a PromptContent, &'a PromptContent)>,
    /// The file that holds the version, and its text if at hand.
    pub file: (&'a str, Option<&'a str>),
}

/// Judges one component. Another component under another name is not compared.
pub fn check(step: &Step<'_>) -> Option<Finding> {
    let Step { kind, old, new, .. } = step;
    if old.name != new.name {
        return None;
    }
    let label = format!("{kind} `{}`", new.name);
    if new.version < old.version {
        let next = Bump::Patch.above(&old.version);
        let message =
            format!("The version of {label} goes back from {} to {}.", old.version, new.version);
        return Some(place(step, "version_lower", message, &next).because(
            "Versions only rise, so that the newer of two can be told by its number.",
            format!(
                "To return to the content of {}, give it a new version: {next} or higher.",
                new.version
            ),
        ));
    }
    if new.digest == old.digest {
        return None;
    }
    let (bump, why) = step
        .prompts
        .and_then(|(old, new)| required(old, new))
        .unwrap_or((Bump::Patch, "its content changed".into()));
    let least = bump.above(&old.version);
    if new.version == old.version {
        let message =
            format!("The content of {label} changed, but its version is still {}.", new.version);
        return Some(place(step, "version_unchanged", message, &least).because(
            "A version never changes content: people and reports would mean two things by one number.",
            format!("Raise `version` to {least} or higher, because {why}."),
        ));
    }
    (new.version < least).then(|| {
        let message = format!(
            "{} is too small a step for {label}: {why}, which is a {} change.",
            new.version,
            bump.word()
        );
        place(step, "version_too_small", message, &least).because(
            "The number tells callers whether they must do something before they take the new version.",
            format!("Raise `version` to {least} or higher."),
        )
    })
}

fn place(step: &Step<'_>, code: &str, message: String, least: &Version) -> crate::finding::Draft {
    let (file, text) = step.file;
    let draft = finding(Severity::Error, code, message).replacement(Some(&least.to_string()));
    let written = step.new.version.to_string();
    let line = text.and_then(|text| {
        let start = if text.starts_with("version:") {
            Some(0)
        } else {
            text.find("\nversion:").map(|at| at + 1)
        }?;
        let value = text.get(start..)?.find(&written)?;
        Some((text, start + value))
    });
    match line {
        Some((text, at)) => draft.at(&Source::new(file, text), at..at + written.len()),
        None => draft.field(file, "version"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::ids::Digest;
    use serde_json::json;

    fn prompt(text: &str, roles: &[&str], variables: serde_json::Value) -> PromptContent {
        let message = |role: &&str| PromptMessage::Template {
            role: (*role).into(),
            file: "x.j2".into(),
            template: text.into(),
        };
        PromptContent {
            messages: roles.iter().map(message).collect(),
            partials: [].into(),
            variables: serde_json::from_value(variables).unwrap(),
        }
    }

    fn component(version: &str, content: &str) -> Component {
        Component {
            name: "summary".into(),
            version: version.parse().unwrap(),
            digest: Digest::of(content.as_bytes()),
        }
    }

    #[test]
    fn the_table_of_steps_holds() {
        let old = prompt("{{ a }}", &["system"], json!({"a": {}, "b": {"required": false}}));
        for (new, bump) in [
            (
                prompt("hi {{ a }}", &["system"], json!({"a": {}, "b": {"required": false}})),
                Bump::Patch,
            ),
            (prompt("hi", &["system"], json!({"a": {}, "b": {"required": false}})), Bump::Minor),
            (
                prompt(
                    "{{ a }}{{ b|default('') }}",
                    &["system"],
                    json!({"a": {}, "b": {"required": false}}),
                ),
                Bump::Minor,
            ),
            (prompt("{{ a }}", &["user"], json!({"a": {}, "b": {"required": false}})), Bump::Minor),
            (prompt("{{ a }}", &["system"], json!({"a": {}, "b": {}})), Bump::Major),
            (prompt("{{ a }}", &["system"], json!({"a": {}, "b": {"default": "x"}})), Bump::Patch),
        ] {
            assert_eq!(required(&old, &new).unwrap().0, bump, "{new:?}");
        }
        assert_eq!(required(&old, &old.clone()), None);
    }

    #[test]
    fn below_one_everything_counts_one_step_less() {
        let version = |text: &str| text.parse::<Version>().unwrap();
        assert_eq!(Bump::Major.above(&version("0.3.1")), version("0.4.0"));
        assert_eq!(Bump::Minor.above(&version("0.3.1")), version("0.3.2"));
        assert_eq!(Bump::Major.above(&version("1.3.1")), version("2.0.0"));
    }

    #[test]
    fn versions_are_judged_against_content() {
        for (old, new, code) in [
            (("1.2.0", "x"), ("1.2.0", "x"), None),
            (("1.2.0", "x"), ("1.2.1", "y"), None),
            (("1.2.0", "x"), ("1.3.0", "x"), None),
            (("1.2.0", "x"), ("1.2.0", "y"), Some("version_unchanged")),
            (("1.2.0", "x"), ("1.1.9", "y"), Some("version_lower")),
            (("1.2.0", "x"), ("1.2.0-rc.1", "y"), Some("version_lower")),
        ] {
            let (old, new) = (component(old.0, old.1), component(new.0, new.1));
            let step = Step {
                kind: ComponentKind::Prompt,
                old: &old,
                new: &new,
                prompts: None,
                file: ("p.yaml", None),
            };
            assert_eq!(check(&step).map(|f| f.code), code.map(str::to_owned), "{old:?} {new:?}");
        }
    }

    #[test]
    fn the_version_line_is_shown() {
        let (old, new) = (component("1.2.0", "x"), component("1.2.0", "y"));
        let text = "apiVersion: tidegate/v1\nversion: 1.2.0\n";
        let step = Step {
            kind: ComponentKind::Prompt,
            old: &old,
            new: &new,
            prompts: None,
            file: ("p.yaml", Some(text)),
        };
        let found = check(&step).unwrap();
        assert_eq!(found.place.unwrap().line, Some(2));
        assert_eq!(found.replacement.as_deref(), Some("1.2.1"));
        assert_eq!(found.excerpt.unwrap(), "2 | version: 1.2.0\n  |          ^^^^^");
    }
}
