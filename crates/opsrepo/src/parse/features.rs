//! `features/` and `indexes/`, and the sampled values a view names.

use super::layout::Layout;
use super::{Reader, unknown};
use crate::format::Fault;
use crate::format::feature::{IndexFile, IndexSpec, ViewFile, ViewSpec};
use crate::limits::{MAX_FAULTS_PER_FILE, MAX_SAMPLES};
use crate::text::whole_file;
use domain::feature::{Sample, ViewContent};
use domain::finding::{Finding, Place};
use std::collections::BTreeMap;

impl Reader<'_> {
    pub(super) fn views(&mut self, layout: &Layout) -> BTreeMap<String, ViewSpec> {
        layout.views.iter().filter_map(|name| Some((name.clone(), self.view(name)?))).collect()
    }

    fn view(&mut self, name: &str) -> Option<ViewSpec> {
        let reading = self.read::<ViewFile>(&format!("features/{name}.yaml"))?;
        let (file, document) = (reading.value?, reading.document?);
        let content = file.content();
        let samples_file = file.samples.as_ref().map(|file| format!("features/{file}"));
        let samples = match &samples_file {
            None => Vec::new(),
            Some(path) => match self.files.get(path) {
                Some(bytes) => self.samples(path, bytes, &content),
                None => {
                    let names = self.files.keys().filter_map(|p| p.strip_prefix("features/"));
                    let names = names.filter(|p| p.ends_with(".jsonl"));
                    let given = file.samples.as_deref().unwrap_or_default();
                    let fault = unknown("samples", "missing_file", "file", given, names);
                    self.findings.push(document.finding(fault));
                    Vec::new()
                }
            },
        };
        Some(ViewSpec { version: file.version.clone(), content, samples_file, samples })
    }

    fn samples(&mut self, path: &str, bytes: &[u8], view: &ViewContent) -> Vec<Sample> {
        let mut samples = Vec::new();
        let mut faults = 0_usize;
        let lines = (1_u32..).zip(bytes.split(|b| *b == b'\n'));
        for (line, text) in lines.filter(|(_, text)| !text.trim_ascii().is_empty()) {
            let fault = match serde_json::from_slice::<Sample>(text) {
                Ok(_) if samples.len() >= MAX_SAMPLES => {
                    let message = format!("the file has more than {MAX_SAMPLES} values");
                    Some(Fault::new("", "too_large", message, "keep fewer; a sample is enough"))
                }
                Ok(sample) if !view.fields.contains_key(&sample.field) => {
                    let names = view.fields.keys().map(String::as_str);
                    Some(unknown("field", "unknown_field", "field", &sample.field, names))
                }
                Ok(sample) => {
                    samples.push(sample);
                    None
                }
                // The parser's own words could quote a value.
                Err(_) => Some(Fault::new(
                    "",
                    "bad_sample",
                    "the line is no sampled value",
                    "write `{\"entity\": \"c-1\", \"field\": \"...\", \"offline\": ..., \"online\": ...}`",
                )),
            };
            if let Some(fault) = fault {
                let place = Place { file: path.to_owned(), line: Some(line), ..Place::default() };
                self.findings.push(Finding { place: Some(place), ..whole_file(path, fault) });
                faults = faults.saturating_add(1);
                if faults >= MAX_FAULTS_PER_FILE {
                    break;
                }
            }
        }
        samples
    }

    pub(super) fn indexes(&mut self, layout: &Layout) -> BTreeMap<String, IndexSpec> {
        let mut indexes = BTreeMap::new();
        for name in &layout.indexes {
            let reading = self.read::<IndexFile>(&format!("indexes/{name}.yaml"));
            if let Some(file) = reading.and_then(|reading| reading.value) {
                let spec = IndexSpec { version: file.version.clone(), content: file.content() };
                indexes.insert(name.clone(), spec);
            }
        }
        indexes
    }
}
