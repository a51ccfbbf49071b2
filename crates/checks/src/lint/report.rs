//! The linter's findings: their words, severities and mends.

use super::names;
use super::uses::{Role, Use, Uses};
use super::{PromptFiles, Template, used_variables};
use crate::finding::finding;
use crate::redact;
use crate::source::Source;
use crate::suggest::{listed, nearest};
use crate::template::{ROLES, TemplateError};
use domain::finding::{Finding, Severity};
use domain::snapshot::PromptContent;
use std::collections::BTreeSet;

/// What is wrong with one use, if anything is.
pub(super) fn judge(
    found: &Use,
    uses: &Uses,
    content: &PromptContent,
    templates: &[Template],
) -> Option<Finding> {
    let source = templates.get(found.template)?.source();
    let range = found.range.0..found.range.1;
    let name = found.name.as_str();
    let plain: String = name.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    match found.role {
        Role::Variable | Role::Function if content.variables.contains_key(name) => None,
        Role::Function if names::FUNCTIONS.contains(&name) => None,
        Role::Filter if names::FILTERS.contains(&plain.as_str()) => None,
        Role::Test if names::TESTS.contains(&plain.as_str()) => None,
        Role::Variable => Some(unknown_variable(name, uses, content, &source, range)),
        Role::Function => Some(unknown("function", name, &names::FUNCTIONS, &source, range)),
        Role::Filter => Some(unknown("filter", name, names::FILTERS, &source, range)),
        Role::Test => Some(unknown("test", name, &names::TESTS, &source, range)),
        Role::Partial => {
            let known: Vec<&str> = content.partials.keys().map(String::as_str).collect();
            Some(unknown_partial(name, &known, &source, range))
        }
        Role::Cycle => Some(
            finding(Severity::Error, "include_cycle", format!("`{name}` includes itself."))
                .at(&source, range)
                .because(
                    "A partial that includes itself never ends.",
                    "Remove the include, or move the common text into a third partial.",
                ),
        ),
    }
}

fn unknown_variable(
    name: &str,
    uses: &Uses,
    content: &PromptContent,
    source: &Source<'_>,
    range: std::ops::Range<usize>,
) -> Finding {
    let declared = content.variables.keys().map(String::as_str);
    let near = nearest(name, declared.clone().chain(uses.assigned.iter().map(String::as_str)));
    let guess = near.map(|near| format!(" Did you mean `{near}`?")).unwrap_or_default();
    let (severity, why) = if uses.guarded.contains(name) {
        let why = "Only declared variables reach a template, so what is written for this one is never used.";
        (Severity::Warning, why)
    } else {
        let why = "Only declared variables reach a template, so every request would fail here.";
        (Severity::Error, why)
    };
    let mend = match near {
        Some(near) => format!(
            "Replace `{name}` by `{near}`, or declare `{name}` under `variables` in `app.yaml`."
        ),
        None if content.variables.is_empty() => {
            format!("Declare `{name}` under `variables` in `app.yaml`.")
        }
        None => format!(
            "Declare `{name}` under `variables` in `app.yaml`, or use one of {}.",
            listed(declared, 8)
        ),
    };
    finding(severity, "unknown_variable", format!("`{name}` is not a variable of this app.{guess}"))
        .at(source, range)
        .replacement(near)
        .because(why, mend)
}

fn unknown(
    what: &str,
    name: &str,
    known: &[&'static str],
    source: &Source<'_>,
    range: std::ops::Range<usize>,
) -> Finding {
    let near = nearest(name, known.iter().copied());
    let guess = near.map(|near| format!(" Did you mean `{near}`?")).unwrap_or_default();
    let words = known.iter().copied().filter(|k| k.len() > 2);
    let mend = near.map_or_else(
        || format!("Use a {what} that exists: {}.", listed(words, 60)),
        |near| format!("Replace `{name}` by `{near}`."),
    );
    finding(
        Severity::Error,
        &format!("unknown_{what}"),
        format!("There is no {what} `{name}`.{guess}"),
    )
    .at(source, range)
    .replacement(near)
    .because("The template engine stops at a name it does not know.", mend)
}

fn unknown_partial(
    name: &str,
    known: &[&str],
    source: &Source<'_>,
    range: std::ops::Range<usize>,
) -> Finding {
    let near = nearest(name, known.iter().copied());
    let guess = near.map(|near| format!(" Did you mean `{near}`?")).unwrap_or_default();
    let quoted = near.map(|near| format!("\"{near}\""));
    finding(Severity::Error, "unknown_partial", format!("There is no partial `{name}`.{guess}"))
        .at(source, range)
        .replacement(quoted.as_deref())
        .because(
            "Templates include only files of `prompts/_shared/`, of the app or of the repository.",
            format!("Add `{name}` to `prompts/_shared/`, or mend its name."),
        )
}

/// Declared variables no template uses: dropped by this change, or idle.
pub(super) fn unused(
    content: &PromptContent,
    files: &PromptFiles,
    production: Option<&PromptContent>,
    uses: &Uses,
    also_used: &BTreeSet<String>,
) -> Vec<Finding> {
    let used: BTreeSet<&str> = uses.uses.iter().map(|found| found.name.as_str()).collect();
    let before = production.map(used_variables).unwrap_or_default();
    let file = files.message("app.yaml");
    let idle = content.variables.keys();
    let idle = idle.filter(|name| !used.contains(name.as_str()) && !also_used.contains(*name));
    idle.map(|name| {
        let field = format!("variables.{name}");
        if before.contains(name) {
            let message = format!("This version no longer uses `{name}`. The app will still send it, but the model won't see it. Is that intended?");
            finding(Severity::Warning, "missing_variable", message).field(&file, &field).because(
                "Production uses this variable; answers may lose what it carried.",
                format!("Use `{{{{ {name} }}}}` in a template again, or confirm in the review that it is meant to go."),
            )
        } else {
            finding(Severity::Warning, "unused_variable", format!("No template uses the variable `{name}`."))
                .field(&file, &field)
                .because(
                    "A declared variable that no template uses is often a slip: the model never sees it.",
                    format!("Use `{{{{ {name} }}}}` in a template, or remove `{name}` from `variables` in `app.yaml`."),
                )
        }
    })
    .collect()
}

/// A template the engine refuses.
pub(super) fn broken(error: TemplateError, path: &str, text: &str) -> Finding {
    let masked = redact::mask(text);
    let source = Source::new(path, &masked);
    let range = source.range(&error.place);
    finding(Severity::Error, "template_syntax", sentence(&error.message)).at(&source, range).because(
        "A template that cannot be read cannot be sent to a model.",
        "Mend the template here. Tags are `{{ … }}` to print, `{% … %}` to branch or loop, `{# … #}` to comment; each must be closed.",
    )
}

/// A role no provider knows.
pub(super) fn unknown_role(role: &str, path: &str, text: &str) -> Option<Finding> {
    if ROLES.contains(&role) {
        return None;
    }
    let near = nearest(role, ROLES);
    let guess = near.map(|near| format!(" Did you mean `{near}`?")).unwrap_or_default();
    let masked = redact::mask(text);
    let found = finding(Severity::Error, "unknown_role", format!("`{role}` is not a role.{guess}"))
        .at(&Source::new(path, &masked), 0..0)
        .because(
            "A message is said by somebody; providers know these roles only.",
            format!("Use {} in `prompt.yaml`.", listed(ROLES, 8)),
        );
    Some(found)
}

/// A lower-case fragment as a sentence.
pub(super) fn sentence(fragment: &str) -> String {
    let mut chars = fragment.chars();
    let Some(first) = chars.next() else { return String::new() };
    format!("{}{}.", first.to_uppercase(), chars.as_str())
}
