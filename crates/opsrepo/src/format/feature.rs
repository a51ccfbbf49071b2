//! `features/<view>.yaml` and `indexes/<index>.yaml`: data that reaches a
//! prompt, with its path in evaluation and its path in production.
//!
//! ```yaml
//! apiVersion: tidegate/v1
//! version: 1.1.0
//! entity: customer_id
//! fields:
//!   open_tickets: {kind: number}
//!   mean_wait_min: {kind: number, tolerance: 0.5}
//! max_age: 24h
//! offline: {from: warehouse.customers, steps: {lowercase: true}}
//! online: {from: "redis:customers", steps: {lowercase: true}}
//! samples: customers.samples.jsonl
//! ```
//!
//! An index has `corpus: {name, snapshot, digest}` instead of entity, fields,
//! `max_age` and samples.

use super::release::not_canonical;
use super::{Fault, Format};
use domain::feature::{Corpus, DataPath, Field, FieldKind, IndexContent, Sample, ViewContent};
use domain::units::Span;
use semver::Version;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A feature view of the repository.
#[derive(Debug, Clone, PartialEq)]
pub struct ViewSpec {
    /// Semantic version. A version never changes content.
    pub version: Version,
    /// What shapes an answer.
    pub content: ViewContent,
    /// Path of the sampled values, if there are any.
    pub samples_file: Option<String>,
    /// Values both paths gave at one time.
    pub samples: Vec<Sample>,
}

/// A vector index of the repository.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexSpec {
    /// Semantic version. A version never changes content.
    pub version: Version,
    /// What shapes an answer.
    pub content: IndexContent,
}

/// The file of a view.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ViewFile {
    #[serde(rename = "apiVersion")]
    api_version: String,
    pub(crate) version: Version,
    /// For people.
    #[serde(default, rename = "owner")]
    _owner: Option<String>,
    #[serde(default, rename = "description")]
    _description: Option<String>,
    entity: String,
    fields: BTreeMap<String, Field>,
    #[serde(default)]
    max_age: Option<Span>,
    offline: DataPath,
    online: DataPath,
    #[serde(default)]
    pub(crate) samples: Option<String>,
}

/// The file of an index.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IndexFile {
    #[serde(rename = "apiVersion")]
    api_version: String,
    pub(crate) version: Version,
    #[serde(default, rename = "owner")]
    _owner: Option<String>,
    #[serde(default, rename = "description")]
    _description: Option<String>,
    corpus: Corpus,
    offline: DataPath,
    online: DataPath,
}

impl ViewFile {
    pub(crate) fn content(&self) -> ViewContent {
        ViewContent {
            entity: self.entity.clone(),
            fields: self.fields.clone(),
            max_age: self.max_age,
            offline: self.offline.clone(),
            online: self.online.clone(),
        }
    }
}

impl IndexFile {
    pub(crate) fn content(&self) -> IndexContent {
        IndexContent {
            corpus: self.corpus.clone(),
            offline: self.offline.clone(),
            online: self.online.clone(),
        }
    }
}

impl Format for ViewFile {
    const REQUIRED: &'static [&'static str] =
        &["apiVersion", "version", "entity", "fields", "offline", "online"];

    fn api_version(&self) -> &str {
        &self.api_version
    }

    fn faults(&self) -> Vec<Fault> {
        let mut faults = path_faults(&self.offline, &self.online);
        faults.extend(empty(
            "entity",
            &self.entity,
            "write what a row is about, such as `customer_id`",
        ));
        if self.fields.is_empty() {
            faults.push(Fault::new(
                "fields",
                "empty_list",
                "the view has no field",
                "name the fields that reach the prompt, each with its `kind`",
            ));
        }
        for (name, field) in &self.fields {
            let bad = !field.tolerance.is_finite() || field.tolerance < 0.0;
            let misplaced = field.kind != FieldKind::Number && field.tolerance != 0.0;
            if bad || misplaced {
                faults.push(Fault::new(
                    format!("fields.{name}.tolerance"),
                    "out_of_range",
                    "a tolerance is a number from 0, and only numbers have one",
                    "write how far an online value may be from the offline one, or remove it",
                ));
            }
        }
        faults
    }
}

impl Format for IndexFile {
    const REQUIRED: &'static [&'static str] =
        &["apiVersion", "version", "corpus", "offline", "online"];

    fn api_version(&self) -> &str {
        &self.api_version
    }

    fn faults(&self) -> Vec<Fault> {
        let mut faults = path_faults(&self.offline, &self.online);
        faults.extend(empty("corpus.name", &self.corpus.name, "name what is indexed"));
        let snapshot = self.corpus.snapshot.trim().to_ascii_lowercase();
        if snapshot.is_empty()
            || ["latest", "current", "head", "main", "live"].contains(&snapshot.as_str())
        {
            faults.push(Fault::new(
                "corpus.snapshot",
                "mutable_snapshot",
                format!("`{}` may be other documents tomorrow, so a release could not say what answered", self.corpus.snapshot),
                "write the date or number of the snapshot",
            ));
        }
        faults
    }
}

fn path_faults(offline: &DataPath, online: &DataPath) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (name, path) in [("offline", offline), ("online", online)] {
        faults.extend(empty(
            &format!("{name}.from"),
            &path.from,
            "write where the values come from",
        ));
        faults.extend(not_canonical(&format!("{name}.steps"), &path.steps));
        if path.steps.is_empty() {
            faults.push(Fault::new(
                format!("{name}.steps"),
                "empty_list",
                format!("`{name}` names no step, so nothing can be compared"),
                "write what is done to a value: chunker, embedding, normalisation; `{as_is: true}` if nothing is",
            ));
        }
    }
    faults
}

fn empty(field: &str, text: &str, mend: &str) -> Option<Fault> {
    text.trim()
        .is_empty()
        .then(|| Fault::new(field, "empty_text", format!("`{field}` is empty"), mend))
}
