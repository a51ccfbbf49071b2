//! Lints a prompt: what its templates use against what the app declares.
//!
//! Where [`crate::template`] stops at the first fault, this lists them all,
//! each with file, line, column, a caret and a mend. The parsed template is
//! walked, not searched with patterns: scopes, loops, macros and includes are
//! understood, so a name set by a template is never reported.
//!
//! After the walk the prompt is rendered with its own examples, once with every
//! optional variable and once without: what would fail for a request with those
//! values fails here, with the same words.

mod names;
mod uses;

use crate::finding::finding;
use crate::redact;
use crate::source::Source;
use crate::suggest::{listed, nearest};
use crate::template::{KeyTemplate, Prompt, ROLES, RenderError, TemplateError};
use domain::finding::{Finding, Place, Severity};
use domain::snapshot::{PromptContent, PromptMessage};
use minijinja::machinery::parse;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use uses::{Parsed, Role, Use, Uses};

/// Where the files of a prompt lie, to turn names into paths.
#[derive(Debug, Clone, Default)]
pub struct PromptFiles {
    /// Put before the file names of the messages, for example `apps/support/`.
    pub root: String,
    /// Path of each partial; [`PromptFiles::root`] and `prompts/_shared/` if
    /// not listed.
    pub partials: BTreeMap<String, String>,
}

impl PromptFiles {
    /// Path of a message's template.
    pub fn message(&self, file: &str) -> String {
        format!("{}{file}", self.root)
    }

    /// Path of a partial.
    pub fn partial(&self, name: &str) -> String {
        self.partials
            .get(name)
            .cloned()
            .unwrap_or_else(|| format!("{}prompts/_shared/{name}", self.root))
    }
}

/// One template with its path, and its text with secrets and personal data
/// masked so that excerpts may be shown to anybody.
struct Template {
    path: String,
    text: String,
    masked: String,
}

impl Template {
    fn new(path: String, text: &str) -> Self {
        Self { path, text: text.to_owned(), masked: redact::mask(text) }
    }

    fn source(&self) -> Source<'_> {
        Source::new(&self.path, &self.masked)
    }
}

/// Every fault of a prompt. `production` is what serves now, to tell what a
/// change drops; `also_used` are variables used outside the prompt, for example
/// by the key of a recording.
pub fn lint(
    content: &PromptContent,
    files: &PromptFiles,
    production: Option<&PromptContent>,
    also_used: &BTreeSet<String>,
) -> Vec<Finding> {
    let (templates, roots, partials) = gather(content, files);
    let mut findings = Vec::new();
    let engine_fault = compile_each(content, files, &mut findings);
    let uses = analyse(&templates, &roots, &partials);
    for found in &uses.uses {
        findings.extend(judge(found, &uses, content, &templates));
    }
    if !engine_fault {
        // What a template that cannot be read would use is not known.
        findings.extend(unused(content, files, production, &uses, also_used));
    }
    if findings.iter().all(|f| f.severity != Severity::Error) {
        findings.extend(rehearse(content, files, &templates));
    }
    findings.sort_by(|a, b| (&a.place, &a.code).cmp(&(&b.place, &b.code)));
    findings
}

/// The declared variables the prompt's templates use. Templates that cannot be
/// parsed use nothing.
pub fn used_variables(content: &PromptContent) -> BTreeSet<String> {
    let (templates, roots, partials) = gather(content, &PromptFiles::default());
    let uses = analyse(&templates, &roots, &partials);
    let names = uses.uses.into_iter().map(|found| found.name);
    names.filter(|name| content.variables.contains_key(name)).collect()
}

/// The values of a typical request: examples, else defaults; and the required
/// variables that have neither.
pub fn example(content: &PromptContent) -> (Map<String, Value>, Vec<String>) {
    let mut values = Map::new();
    let mut lacking = Vec::new();
    for (name, variable) in &content.variables {
        match variable.example.as_ref().or(variable.default.as_ref()) {
            Some(value) => {
                values.insert(name.clone(), value.clone());
            }
            None if variable.required => lacking.push(name.clone()),
            None => {}
        }
    }
    (values, lacking)
}

type Gathered<'a> = (Vec<Template>, Vec<usize>, BTreeMap<&'a str, usize>);

/// Messages first, then partials; the indexes of the messages; partials by name.
fn gather<'a>(content: &'a PromptContent, files: &PromptFiles) -> Gathered<'a> {
    let mut templates = Vec::new();
    for message in &content.messages {
        if let PromptMessage::Template { file, template, .. } = message {
            templates.push(Template::new(files.message(file), template));
        }
    }
    let roots = (0..templates.len()).collect();
    let mut partials = BTreeMap::new();
    for (name, text) in &content.partials {
        partials.insert(name.as_str(), templates.len());
        templates.push(Template::new(files.partial(name), text));
    }
    (templates, roots, partials)
}

/// Compiles every template by itself, so that one fault does not hide another.
fn compile_each(content: &PromptContent, files: &PromptFiles, findings: &mut Vec<Finding>) -> bool {
    let before = findings.len();
    for message in &content.messages {
        let PromptMessage::Template { role, file, template } = message else { continue };
        let path = files.message(file);
        findings.extend(unknown_role(role, &path, template));
        if let Err(error) = compile_alone(template) {
            findings.push(broken(error, &path, template));
        }
    }
    for (name, text) in &content.partials {
        if let Err(error) = compile_alone(text) {
            findings.push(broken(error, &files.partial(name), text));
        }
    }
    findings.len() > before
}

fn broken(error: TemplateError, path: &str, text: &str) -> Finding {
    let masked = redact::mask(text);
    let source = Source::new(path, &masked);
    let range = source.range(&error.place);
    finding(Severity::Error, "template_syntax", sentence(&error.message)).at(&source, range).because(
        "A template that cannot be read cannot be sent to a model.",
        "Mend the template here. Tags are `{{ … }}` to print, `{% … %}` to branch or loop, `{# … #}` to comment; each must be closed.",
    )
}

fn analyse(templates: &[Template], roots: &[usize], partials: &BTreeMap<&str, usize>) -> Uses {
    // A template the engine refused may be too deep to walk.
    let parsed: Vec<Parsed<'_>> = templates
        .iter()
        .map(|template| {
            let text =
                if compile_alone(&template.text).is_ok() { template.text.as_str() } else { "" };
            (text, parse(text, &template.path, crate::template::syntax()))
        })
        .filter_map(|(text, tree)| tree.ok().map(|tree| Parsed { text, tree }))
        .collect();
    // Indexes must stay those of `templates`; parsing what compiled cannot fail.
    if parsed.len() == templates.len() {
        uses::walk(&parsed, roots, partials)
    } else {
        Uses::default()
    }
}

/// Compiles one template by itself.
fn compile_alone(text: &str) -> Result<(), TemplateError> {
    KeyTemplate::compile(text).map(|_| ())
}

fn unknown_role(role: &str, path: &str, text: &str) -> Option<Finding> {
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

fn judge(
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
        Role::Filter => Some(unknown("filter", name, &names::FILTERS, &source, range)),
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
fn unused(
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

/// Renders with the app's own examples, with and without optional variables.
fn rehearse(content: &PromptContent, files: &PromptFiles, templates: &[Template]) -> Vec<Finding> {
    let Ok(prompt) = Prompt::compile(content) else { return Vec::new() };
    let (full, lacking) = example(content);
    if !lacking.is_empty() {
        // The token check tells which examples are missing.
        return Vec::new();
    }
    let mut sparse = full.clone();
    sparse.retain(|name, _| {
        content.variables.get(name).is_some_and(|v| v.required || v.default.is_some())
    });
    let failed = |vars: &Map<String, Value>| match prompt.render(vars) {
        Err(RenderError::Failed { place, what }) => Some((place, what)),
        _ => None,
    };
    let (found, code, message) = if let Some(found) = failed(&full) {
        let message = format!(
            "The prompt cannot be rendered with the app's own examples: {}",
            sentence(&found.1)
        );
        (found, "render_failed", message)
    } else if let Some(found) = failed(&sparse) {
        let message = format!(
            "The prompt cannot be rendered without its optional variables: {}",
            sentence(&found.1)
        );
        (found, "unguarded_variable", message)
    } else {
        return Vec::new();
    };
    vec![rehearsal_finding(content, files, templates, &found.0, code, message)]
}

fn rehearsal_finding(
    content: &PromptContent,
    files: &PromptFiles,
    templates: &[Template],
    place: &Place,
    code: &str,
    message: String,
) -> Finding {
    let path = if content.partials.contains_key(&place.file) {
        files.partial(&place.file)
    } else {
        files.message(&place.file)
    };
    let draft = finding(Severity::Error, code, message);
    let draft = match templates.iter().find(|t| t.path == path) {
        Some(template) if place.line.is_some() => {
            let source = template.source();
            let range = source.range(place);
            draft.at(&source, range)
        }
        _ => draft.file(&path),
    };
    draft.because(
        "A request with these values would get an error instead of an answer.",
        "Guard the variable (`{% if x is defined %}` or `{{ x | default(\"…\") }}`), or mend its `example` in `app.yaml`.",
    )
}

/// A lower-case fragment as a sentence.
fn sentence(fragment: &str) -> String {
    let mut chars = fragment.chars();
    let Some(first) = chars.next() else { return String::new() };
    format!("{}{}.", first.to_uppercase(), chars.as_str())
}
