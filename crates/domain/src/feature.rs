//! Data that reaches a prompt: feature views and vector indexes, each with the
//! path it takes in evaluation and the path it takes in production.
//!
//! The same prompt and the same weights answer differently when what is joined
//! into the prompt was prepared differently. So both paths are declared, and
//! their fingerprints must agree.

use crate::ids::Digest;
use crate::jcs::{self, NotCanonical};
use crate::units::Span;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;

/// How values are prepared on one path before a model sees them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataPath {
    /// Where they come from, for people: a table, a topic, an endpoint.
    pub from: String,
    /// Preparation: chunker, embedding, normalisation, and whatever else
    /// changes a value. Equal on both paths, or the change is refused.
    pub steps: Map<String, Value>,
}

impl DataPath {
    /// Digest of the canonical form (RFC 8785) of the steps. Where values come
    /// from is left out: the two paths differ there by their nature.
    ///
    /// # Errors
    /// A number that has no canonical form.
    pub fn fingerprint(&self) -> Result<Digest, NotCanonical> {
        Ok(Digest::of(&jcs::canonical(&self.steps)?))
    }
}

/// One setting that differs between two paths.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Dotted place below `steps`, such as `chunker.size`.
    pub place: String,
    /// In evaluation; none if it is not there.
    pub offline: Option<Value>,
    /// In production; none if it is not there.
    pub online: Option<Value>,
}

/// What differs between two paths' preparation, leaf by leaf, in order of the
/// place.
pub fn differences(offline: &DataPath, online: &DataPath) -> Vec<Difference> {
    let mut found = Vec::new();
    walk("", Some(&offline.steps), Some(&online.steps), &mut found);
    found
}

fn walk(
    place: &str,
    offline: Option<&Map<String, Value>>,
    online: Option<&Map<String, Value>>,
    found: &mut Vec<Difference>,
) {
    let keys: std::collections::BTreeSet<&String> =
        offline.into_iter().chain(online).flat_map(Map::keys).collect();
    for key in keys {
        let at = if place.is_empty() { key.clone() } else { format!("{place}.{key}") };
        let (a, b) = (offline.and_then(|m| m.get(key)), online.and_then(|m| m.get(key)));
        match (a, b) {
            (Some(Value::Object(a)), Some(Value::Object(b))) => {
                walk(&at, Some(a), Some(b), found);
            }
            _ if same(a, b) => {}
            _ => found.push(Difference { place: at, offline: a.cloned(), online: b.cloned() }),
        }
    }
}

/// As the fingerprint sees it: `1` and `1.0` are one number.
fn same(a: Option<&Value>, b: Option<&Value>) -> bool {
    let form = |v: Option<&Value>| v.map(|v| jcs::canonical(v).ok());
    a == b || form(a) == form(b)
}

/// One field of a feature view.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// What it holds.
    pub kind: FieldKind,
    /// How far a sampled online value may be from the offline one, in the
    /// field's unit. Numbers only.
    #[serde(default)]
    pub tolerance: f64,
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldKind {
    /// A number.
    Number,
    /// A text.
    Text,
    /// True or false.
    Flag,
}

/// What shapes an answer of a feature view.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ViewContent {
    /// What a row is about, such as `customer_id`.
    pub entity: String,
    /// Its fields.
    pub fields: BTreeMap<String, Field>,
    /// How old a value may be when it is used; no limit if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Span>,
    /// The path in evaluation.
    pub offline: DataPath,
    /// The path in production.
    pub online: DataPath,
}

/// What shapes an answer of a vector index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IndexContent {
    /// What is indexed.
    pub corpus: Corpus,
    /// The path in evaluation.
    pub offline: DataPath,
    /// The path in production.
    pub online: DataPath,
}

/// A snapshot of documents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Corpus {
    /// Its name.
    pub name: String,
    /// Which snapshot: a date or a number. Never a word that moves.
    pub snapshot: String,
    /// Digest of the documents, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
}

/// One value of one entity as both paths gave it at one time.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// Whose value.
    pub entity: String,
    /// Which field.
    pub field: String,
    /// The value used in evaluation.
    pub offline: Value,
    /// The value production served.
    pub online: Value,
}

impl fmt::Debug for Sample {
    /// Values may be personal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sample").field("field", &self.field).finish_non_exhaustive()
    }
}

impl Field {
    /// True if a sampled online value agrees with the offline one. A value of
    /// the wrong kind agrees with none; null agrees with null.
    pub fn agree(&self, offline: &Value, online: &Value) -> bool {
        if offline.is_null() || online.is_null() {
            return offline == online;
        }
        match self.kind {
            FieldKind::Number => match (offline.as_f64(), online.as_f64()) {
                (Some(a), Some(b)) => (a - b).abs() <= self.tolerance,
                _ => false,
            },
            FieldKind::Text => offline.is_string() && offline == online,
            FieldKind::Flag => offline.is_boolean() && offline == online,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn path(steps: Value) -> DataPath {
        DataPath { from: "x".into(), steps: steps.as_object().cloned().unwrap() }
    }

    #[test]
    fn differences_name_the_leaf_and_both_values() {
        let a = path(json!({"chunker": {"size": 400, "overlap": 40}, "lowercase": true}));
        let b = path(json!({"chunker": {"size": 400, "overlap": 0}, "stem": true}));
        let found: Vec<_> =
            differences(&a, &b).into_iter().map(|d| (d.place, d.offline, d.online)).collect();
        assert_eq!(
            found,
            [
                ("chunker.overlap".to_owned(), Some(json!(40)), Some(json!(0))),
                ("lowercase".to_owned(), Some(json!(true)), None),
                ("stem".to_owned(), None, Some(json!(true))),
            ]
        );
    }

    #[test]
    fn numbers_agree_within_their_tolerance_and_null_with_null_only() {
        let field = Field { kind: FieldKind::Number, tolerance: 0.5 };
        assert!(field.agree(&json!(3), &json!(3.5)) && !field.agree(&json!(3), &json!(3.6)));
        assert!(!field.agree(&json!(3), &json!("3")) && !field.agree(&json!(0), &Value::Null));
        assert!(field.agree(&Value::Null, &Value::Null));
        let flag = Field { kind: FieldKind::Flag, tolerance: 0.0 };
        assert!(flag.agree(&json!(true), &json!(true)) && !flag.agree(&json!(1), &json!(1)));
    }

    fn leaf() -> impl Strategy<Value = Value> {
        prop_oneof![
            any::<bool>().prop_map(Value::from),
            (-5_i32..5).prop_map(Value::from),
            "[a-c]{0,2}".prop_map(Value::from),
        ]
    }

    fn steps() -> impl Strategy<Value = Value> {
        let inner = prop::collection::btree_map("[a-c]", leaf(), 0..3)
            .prop_map(|m| Value::Object(m.into_iter().collect()));
        prop::collection::btree_map("[a-d]", prop_oneof![leaf(), inner], 0..4)
            .prop_map(|m| Value::Object(m.into_iter().collect()))
    }

    proptest! {
        #[test]
        fn fingerprints_agree_exactly_when_nothing_differs(a in steps(), b in steps()) {
            let (a, b) = (path(a), path(b));
            let same = a.fingerprint().unwrap() == b.fingerprint().unwrap();
            prop_assert_eq!(same, differences(&a, &b).is_empty());
            prop_assert!(differences(&a, &a).is_empty());
        }
    }
}
