//! Feature values for evaluation, as they were known at the time.
//!
//! A label that says what happened at noon may only be joined with values that
//! were there at noon: a later one would tell the model the future, and the
//! evaluation would promise what production cannot keep.

use domain::units::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Values of one entity, valid from a time on.
#[derive(Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValueRow {
    /// Whose values.
    pub entity: String,
    /// From when they were known, in milliseconds since 1970 (UTC).
    pub at: Timestamp,
    /// Field → value.
    pub values: Map<String, Value>,
}

/// What is joined: any row with an entity and a time.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct LabelRow {
    /// Whose row.
    pub entity: String,
    /// When it happened, in milliseconds since 1970 (UTC).
    pub at: Timestamp,
    /// Everything else, as it came.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

// Rows may be personal.
impl std::fmt::Debug for ValueRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ValueRow").field("at", &self.at).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for LabelRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LabelRow").field("at", &self.at).finish_non_exhaustive()
    }
}

/// Values by entity and time.
#[derive(Debug, Default)]
pub struct History {
    rows: BTreeMap<String, BTreeMap<Timestamp, Map<String, Value>>>,
}

/// How many rows were joined, and how many could not be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Joined {
    /// Rows with values.
    pub joined: u64,
    /// Rows of entities without any value up to then.
    pub none_yet: u64,
    /// Rows whose newest value was too old.
    pub too_old: u64,
}

impl History {
    /// Adds values. Of two rows of one entity at one time the later one counts,
    /// field by field.
    pub fn add(&mut self, row: ValueRow) {
        self.rows.entry(row.entity).or_default().entry(row.at).or_default().extend(row.values);
    }

    /// The values an entity had at a time: the newest of that time or before,
    /// if it is not older than `max_age`.
    pub fn at(
        &self,
        entity: &str,
        at: Timestamp,
        max_age: Option<Span>,
        count: &mut Joined,
    ) -> Option<&Map<String, Value>> {
        let newest = self.rows.get(entity).and_then(|rows| rows.range(..=at).next_back());
        let Some((known, values)) = newest else {
            count.none_yet = count.none_yet.saturating_add(1);
            return None;
        };
        if max_age.is_some_and(|max| at > known.plus(max)) {
            count.too_old = count.too_old.saturating_add(1);
            return None;
        }
        count.joined = count.joined.saturating_add(1);
        Some(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn history(rows: &[(&str, i64, i64)]) -> History {
        let mut history = History::default();
        for (entity, at, value) in rows {
            let values = json!({"v": value}).as_object().cloned().unwrap();
            history.add(ValueRow { entity: (*entity).to_owned(), at: Timestamp(*at), values });
        }
        history
    }

    #[test]
    fn only_what_was_known_then_is_joined() {
        let history = history(&[("a", 10, 1), ("a", 20, 2), ("b", 5, 9)]);
        let mut count = Joined::default();
        let mut at = |entity, at, age: Option<i64>| {
            let age = age.map(Span::from_millis);
            history.at(entity, Timestamp(at), age, &mut count).map(|v| v["v"].clone())
        };
        assert_eq!(at("a", 9, None), None);
        assert_eq!(at("a", 10, None), Some(json!(1)));
        assert_eq!(at("a", 19, None), Some(json!(1)));
        assert_eq!(at("a", 99, None), Some(json!(2)));
        assert_eq!(at("a", 99, Some(78)), None);
        assert_eq!(at("a", 98, Some(78)), Some(json!(2)));
        assert_eq!(at("c", 99, None), None);
        assert_eq!(count, Joined { joined: 4, none_yet: 2, too_old: 1 });
    }

    proptest! {
        #[test]
        fn as_a_search_through_all_rows_says(
            rows in prop::collection::vec((0_i64..4, 0_i64..50), 0..30),
            at in 0_i64..60, entity in 0_i64..5, age in 0_i64..60,
        ) {
            let named: Vec<(String, i64, i64)> =
                rows.iter().enumerate().map(|(i, (e, t))| (e.to_string(), *t, i as i64)).collect();
            let given: Vec<(&str, i64, i64)> =
                named.iter().map(|(e, t, v)| (e.as_str(), *t, *v)).collect();
            // The last row of the newest time that is not in the future.
            let wanted = given
                .iter()
                .filter(|(e, t, _)| *e == entity.to_string() && *t <= at)
                .max_by_key(|(_, t, v)| (*t, *v))
                .filter(|(_, t, _)| at - t <= age)
                .map(|(_, _, v)| json!(v));
            let found = history(&given)
                .at(&entity.to_string(), Timestamp(at), Some(Span::from_millis(age)), &mut Joined::default())
                .map(|v| v["v"].clone());
            prop_assert_eq!(found, wanted);
        }
    }
}
