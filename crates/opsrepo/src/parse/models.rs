//! `models/` and the recordings they name.

use super::layout::Layout;
use super::{Reader, unknown};
use crate::format::Fault;
use crate::format::model::{ModelFile, ModelSpec, RecordingsFile};
use crate::limits::MAX_RECORDINGS_LEN;
use crate::text::whole_file;
use crate::yaml::{Document, nearest};
use domain::finding::{Finding, Place};
use domain::ids::Digest;
use domain::recording::parse_jsonl;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Reader<'_> {
    pub(super) fn models(&mut self, layout: &Layout) -> BTreeMap<String, ModelSpec> {
        let mut read = BTreeMap::new();
        layout
            .models
            .iter()
            .filter_map(|name| Some((name.clone(), self.model(name, &mut read)?)))
            .collect()
    }

    /// `read` holds the recordings that were read already: models share files.
    fn model(
        &mut self,
        name: &str,
        read: &mut BTreeMap<String, Option<Recordings>>,
    ) -> Option<ModelSpec> {
        let reading = self.read::<ModelFile>(&format!("models/{name}.yaml"))?;
        let (file, document) = (reading.value?, reading.document?);
        let mut recordings = Vec::new();
        let mut recorded: BTreeSet<&str> = BTreeSet::new();
        let mut complete = true;
        for (field, path) in file.recordings() {
            match self.recordings(&document, field, path, read) {
                Some(found) => recordings.push(found),
                None => complete = false,
            }
        }
        for found in &recordings {
            recorded.extend(found.models.iter().map(String::as_str));
        }
        if complete && !recordings.is_empty() && !recorded.contains(file.provider_model()) {
            let near = nearest(file.provider_model(), recorded.iter().copied());
            let names: Vec<String> = recorded.iter().take(10).map(|m| format!("`{m}`")).collect();
            let fault = Fault::new(
                "provider_model",
                "no_recording",
                format!("the recordings have no answer of `{}`", file.provider_model()),
                match near {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("write the model that was recorded: {}", names.join(", ")),
                },
            );
            self.findings.push(document.finding(fault.replace(near)));
        }
        let content = file.content(recordings.iter().map(|found| found.file.digest).collect())?;
        Some(ModelSpec {
            version: file.version.clone(),
            content,
            tags: file.tags.clone(),
            labels: file.labels.clone(),
            snapshot: file.snapshot.clone(),
            deprecated_on: file.deprecated_on.clone(),
            recordings: recordings.into_iter().map(|found| found.file).collect(),
        })
    }

    fn recordings(
        &mut self,
        document: &Document,
        field: String,
        path: &str,
        read: &mut BTreeMap<String, Option<Recordings>>,
    ) -> Option<Recordings> {
        let Some(bytes) = self.files.get(path) else {
            let names = self.files.keys().filter(|p| p.ends_with(".jsonl")).map(String::as_str);
            let fault = unknown(field, "missing_file", "file", path, names);
            self.findings.push(document.finding(fault));
            return None;
        };
        if let Some(known) = read.get(path) {
            return known.clone();
        }
        let found = self.read_recordings(path, bytes);
        read.insert(path.to_owned(), found.clone());
        found
    }

    fn read_recordings(&mut self, path: &str, bytes: &[u8]) -> Option<Recordings> {
        if bytes.len() > MAX_RECORDINGS_LEN {
            let message = format!(
                "the file has {} bytes; at most {MAX_RECORDINGS_LEN} are read",
                bytes.len()
            );
            self.file(path, "too_large", message, "split the file and name both in `recordings`");
            return None;
        }
        let (found, faults) = parse_jsonl(bytes);
        for fault in faults {
            let place = Place {
                file: path.to_owned(),
                line: Some(fault.line),
                column: fault.column,
                ..Place::default()
            };
            let shown = Fault::new("", "bad_recording", fault.problem, fault.mend);
            // No excerpt: it would show an answer.
            self.findings.push(Finding { place: Some(place), ..whole_file(path, shown) });
        }
        let bytes = unify_lines(bytes);
        Some(Recordings {
            models: found.iter().map(|recording| recording.model.clone()).collect(),
            file: RecordingsFile {
                path: path.to_owned(),
                digest: Digest::of(&bytes),
                count: found.len(),
                bytes,
            },
        })
    }
}

#[derive(Clone)]
struct Recordings {
    file: RecordingsFile,
    /// Models that are recorded in it.
    models: BTreeSet<String>,
}

/// `\r\n` becomes `\n`: git may have rewritten the file for the machine it was
/// committed from, and the digest must not follow. (Inside JSON text a line end
/// is written `\r\n` with backslashes, so no answer changes.)
fn unify_lines(bytes: &[u8]) -> Arc<[u8]> {
    let mut unified = Vec::with_capacity(bytes.len());
    let mut rest = bytes.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        if byte != b'\r' || rest.peek() != Some(&b'\n') {
            unified.push(byte);
        }
    }
    unified.into()
}
