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
mod report;
mod uses;

use crate::finding::finding;
use crate::redact;
use crate::source::Source;
use crate::template::{KeyTemplate, Prompt, RenderError, TemplateError};
use domain::finding::{Finding, Place, Severity};
use domain::snapshot::{PromptContent, PromptMessage};
use minijinja::machinery::parse;
use report::{broken, judge, sentence, unknown_role, unused};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use uses::{Parsed, Uses};

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
