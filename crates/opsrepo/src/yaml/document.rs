//! One YAML file, read: the struct, and every fault as a finding.

use super::decode::{DecodeError, ErrorKind, decode};
use super::nearest;
use super::scan::scan;
use super::tree::{Kind, Node, Segment, Span, dotted};
use crate::format::{Fault, Format};
use crate::limits::{MAX_FAULTS_PER_FILE, MAX_YAML_LEN};
use crate::text::Source;
use domain::finding::{Finding, Severity};
use domain::manifest::API_VERSION;

/// A file that was read, to point into.
pub(crate) struct Document {
    source: Source,
    tree: Node,
}

impl Document {
    /// A fault of this file as a finding.
    pub(crate) fn finding(&self, fault: Fault) -> Finding {
        self.finding_with(fault, Severity::Error)
    }

    /// A finding of the given severity.
    pub(crate) fn finding_with(&self, fault: Fault, severity: Severity) -> Finding {
        let span = self.tree.locate(&fault.field).unwrap_or(0..0);
        self.source.finding(span, fault, severity)
    }
}

/// What reading a file gave.
pub(crate) struct Reading<T> {
    /// The content, as far as it reads: keys with faults are left out.
    pub(crate) value: Option<T>,
    /// The file, if its syntax is right.
    pub(crate) document: Option<Document>,
    /// Every fault.
    pub(crate) findings: Vec<Finding>,
}

/// Reads a file.
pub(crate) fn read<T: Format>(file: &str, bytes: &[u8]) -> Reading<T> {
    let source = match Source::read(file, bytes, MAX_YAML_LEN) {
        Ok(source) => source,
        Err(finding) => return Reading { value: None, document: None, findings: vec![*finding] },
    };
    let (tree, faults) = scan(source.text());
    let findings: Vec<Finding> = faults
        .into_iter()
        .map(|fault| {
            let shown = Fault::new("", fault.code, fault.message, fault.mend);
            source.finding(fault.span, shown, Severity::Error)
        })
        .collect();
    let Some(tree) = tree else { return Reading { value: None, document: None, findings } };
    let mut reader = Decoding { source: &source, tree: &tree, findings, removed: Vec::new() };
    let value = reader.run::<T>();
    let findings = reader.findings;
    Reading { value, document: Some(Document { source, tree }), findings }
}

/// Decodes again and again, taking out what is wrong each time.
struct Decoding<'a> {
    source: &'a Source,
    tree: &'a Node,
    findings: Vec<Finding>,
    /// Values taken out because they are wrong, unknown keys aside.
    removed: Vec<String>,
}

impl Decoding<'_> {
    fn run<T: Format>(&mut self) -> Option<T> {
        if !matches!(self.tree.kind, Kind::Map(_)) {
            let fault = Fault::new(
                "",
                "bad_value",
                "a file begins with keys, and this one does not",
                "begin with `apiVersion: tidegate/v1`",
            );
            self.push(self.tree.span.clone(), fault);
            return None;
        }
        let mut work = self.tree.clone();
        while self.findings.len() < MAX_FAULTS_PER_FILE {
            match decode::<T>(&work) {
                Ok(value) => {
                    self.rules(&value);
                    return Some(value);
                }
                Err(error) => {
                    if !self.mend::<T>(&mut work, error) {
                        return None;
                    }
                }
            }
        }
        None
    }

    /// Every key the format needs and the file has not, at once.
    fn missing<T: Format>(&mut self, work: &Node) {
        for field in T::REQUIRED {
            if work.keys().any(|key| key == *field) || self.removed.iter().any(|path| path == field)
            {
                continue;
            }
            let mend = match *field {
                "apiVersion" => "begin the file with `apiVersion: tidegate/v1`".to_owned(),
                field => format!("add `{field}: ...`"),
            };
            let fault = Fault::new("", "missing_field", format!("`{field}` is missing"), mend);
            let start = self.tree.span.start;
            self.push(start..start, fault);
        }
    }

    /// Reports a fault and mends it in the tree: a misspelt key is renamed, what
    /// else is wrong is taken out. False if nothing can go on.
    fn mend<T: Format>(&mut self, work: &mut Node, error: DecodeError) -> bool {
        let path = dotted(&error.path);
        if path.is_empty() && matches!(error.kind, ErrorKind::MissingField(_)) {
            self.missing::<T>(work);
            return false;
        }
        if !self.follows(&path, &error) {
            let span = error.span.clone().unwrap_or(0..0);
            self.push(span, fault(&path, &error));
        }
        if let ErrorKind::UnknownField { field, known } = &error.kind {
            let near = nearest(field, known.iter().copied());
            return near.is_some_and(|near| work.rename(&error.path, near))
                || work.remove(&error.path);
        }
        if error.path.is_empty() || !work.remove(&error.path) {
            return false;
        }
        self.removed.push(path);
        true
    }

    /// True for a fault that is there only because something was taken out.
    fn follows(&self, path: &str, error: &DecodeError) -> bool {
        match &error.kind {
            ErrorKind::MissingField(field) => self.removed.contains(&format!("{path}.{field}")),
            ErrorKind::BadValue(_) => self.removed.iter().any(|removed| {
                removed.strip_prefix(path).is_some_and(|rest| rest.starts_with(['.', '[']))
            }),
            _ => false,
        }
    }

    /// The rules the types cannot say, as far as they can be judged.
    fn rules<T: Format>(&mut self, value: &T) {
        let mut faults = value.faults();
        if value.api_version() != API_VERSION {
            faults.insert(0, wrong_version(value.api_version()));
        }
        // With items taken out of a list, its other items have other numbers.
        let list_of = |path: &str| path.split_once('[').map(|(list, _)| list.to_owned());
        let shifted: Vec<String> = self.removed.iter().filter_map(|path| list_of(path)).collect();
        if !T::LISTS_STAND_ALONE && !shifted.is_empty() {
            return;
        }
        for fault in faults {
            if list_of(&fault.field).is_some_and(|list| shifted.contains(&list)) {
                continue;
            }
            let judged = self.removed.iter().any(|path| {
                path.starts_with(&fault.field) || fault.field.starts_with(path.as_str())
            });
            if !judged {
                let span = self.tree.locate(&fault.field).unwrap_or(0..0);
                self.push(span, fault);
            }
        }
    }

    fn push(&mut self, span: Span, fault: Fault) {
        if self.findings.len() < MAX_FAULTS_PER_FILE {
            self.findings.push(self.source.finding(span, fault, Severity::Error));
        }
    }
}

fn wrong_version(given: &str) -> Fault {
    Fault::new(
        "apiVersion",
        "wrong_api_version",
        format!("`{given}` is not a version of this format that is known here"),
        format!("write `{API_VERSION}`, or use a newer Tidegate if the file was made for one"),
    )
    .replace(Some(API_VERSION))
}

/// The first fault of a single block of keys, with its range in the text.
pub(crate) fn first_fault<T: serde::de::DeserializeOwned>(text: &str) -> Option<(Span, Fault)> {
    let tree = super::tree_of(text)?;
    let error = decode::<T>(&tree).err()?;
    let path = dotted(&error.path);
    Some((error.span.clone().unwrap_or_else(|| tree.span.clone()), fault(&path, &error)))
}

fn fault(path: &str, error: &DecodeError) -> Fault {
    let choices = |known: &[&str]| {
        known.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
    };
    match &error.kind {
        ErrorKind::UnknownField { field, known } => {
            let near = nearest(field, known.iter().copied());
            let mend = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None if known.is_empty() => "remove it; nothing is written here".to_owned(),
                None => format!("remove it, or write one of: {}", choices(known)),
            };
            Fault::new(path, "unknown_field", format!("`{field}` is not a key here"), mend)
                .replace(near)
        }
        ErrorKind::UnknownWord { word, known } => {
            let near = nearest(word, known.iter().copied());
            let mend = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("write one of: {}", choices(known)),
            };
            Fault::new(path, "unknown_word", format!("`{word}` is not one of the choices"), mend)
                .replace(near)
        }
        ErrorKind::MissingField(field) => {
            let inside = if path.is_empty() { String::new() } else { format!(" in `{path}`") };
            Fault::new(
                path,
                "missing_field",
                format!("`{field}` is missing{inside}"),
                format!("add `{field}: ...`"),
            )
        }
        ErrorKind::BadValue(message) => {
            let (message, mend) = value_words(&error.path, message);
            Fault::new(path, "bad_value", message, mend)
        }
    }
}

/// Message and mend of a bad value. Versions speak of parsing states; everything
/// else says itself what is wanted.
fn value_words(path: &[Segment], message: &str) -> (String, String) {
    match path.last() {
        Some(Segment::Key(key)) if key == "version" && !message.starts_with("this is ") => (
            format!("this is not a version: {message}"),
            "write three numbers, for example `1.2.0`".to_owned(),
        ),
        _ => (message.to_owned(), "write a value of that form".to_owned()),
    }
}
