//! Scores, growth: how much work a JSON Schema can make, before it makes it.
//!
//! Schemas are written by whoever proposes a change, and a few lines of `allOf`
//! and `$ref` can ask for more steps than there are atoms: twice the next
//! definition, thirty times over, or a recursion with two ways into each level
//! of the value. A validator follows all of them. Here every pair of a schema
//! and a value is counted once, however often it is reached, so that counting
//! takes as long as the schema is large and not as long as validating would.
//! Counts are upper bounds: a validator may stop earlier.

use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};

/// Most schemas that may apply to one and the same value.
pub const MAX_APPLIED: u64 = 20_000;
/// Longest chain of schemas that apply to one and the same value, each named by
/// the one before.
pub const MAX_CHAIN: usize = 100;
/// Most steps for one answer: pairs of a schema and a value, as often as a
/// validator would come by.
pub const MAX_STEPS: u64 = 2_000_000;
/// Deepest nesting of steps for one answer.
pub const MAX_NESTED: usize = 600;

/// Steps of the metaschemas of JSON Schema, for one value.
const META: u64 = 64;

const REFERENCES: [&str; 3] = ["$ref", "$dynamicRef", "$recursiveRef"];
const ONE: [&str; 4] = ["not", "if", "then", "else"];
const LISTS: [&str; 3] = ["allOf", "anyOf", "oneOf"];
const MAPS: [&str; 2] = ["dependentSchemas", "dependencies"];
const OF_PROPERTIES: [&str; 2] = ["additionalProperties", "unevaluatedProperties"];
const OF_ITEMS: [&str; 4] = ["items", "additionalItems", "contains", "unevaluatedItems"];

/// Why a schema asks for too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TooMuch {
    /// It applies to a value what applies itself to the same value.
    Circle,
    /// The chain is too long.
    Chain,
    /// Too many schemas apply to one value.
    Applied,
}

impl TooMuch {
    pub(super) fn message(self) -> String {
        match self {
            Self::Circle => "it leads back to itself without going into the value, so checking \
                             would never end"
                .to_owned(),
            Self::Chain => format!("more than {MAX_CHAIN} schemas name each other in a chain"),
            Self::Applied => {
                format!("followed through, more than {MAX_APPLIED} schemas apply to one value")
            }
        }
    }
}

/// Work: steps, and how deep they nest.
#[derive(Debug, Clone, Copy, Default)]
struct Work {
    steps: u64,
    nested: usize,
}

impl Work {
    fn add(&mut self, other: Self, times: u64) {
        self.steps = self.steps.saturating_add(other.steps.saturating_mul(times));
        self.nested = self.nested.max(other.nested.saturating_add(1));
    }
}

/// Where references of a schema lead.
struct Refs<'s> {
    root: &'s Value,
    /// Schemas with an `$id`, by it.
    resources: Vec<(&'s str, &'s Value)>,
    anchors: HashMap<&'s str, Vec<&'s Value>>,
    /// The innermost resource around each schema with a reference.
    around: HashMap<usize, &'s Value>,
}

/// What a reference leads to.
enum Target<'s> {
    Here(Vec<&'s Value>),
    Metaschema,
}

fn id(value: &Value) -> usize {
    std::ptr::from_ref(value).addr()
}

impl<'s> Refs<'s> {
    fn new(root: &'s Value) -> Self {
        let mut refs =
            Self { root, resources: Vec::new(), anchors: HashMap::new(), around: HashMap::new() };
        let mut todo = vec![(root, root)];
        while let Some((value, mut resource)) = todo.pop() {
            match value {
                Value::Object(fields) => {
                    let text = |name: &str| fields.get(name).and_then(Value::as_str);
                    // Draft 4 has no dollar.
                    if let Some(name) = text("$id").or_else(|| text("id")) {
                        // Draft 7 writes anchors as `$id: "#name"`.
                        match name.strip_prefix('#') {
                            Some(anchor) => refs.anchors.entry(anchor).or_default().push(value),
                            None => {
                                refs.resources.push((name, value));
                                resource = value;
                            }
                        }
                    }
                    for key in ["$anchor", "$dynamicAnchor"] {
                        if let Some(name) = text(key) {
                            refs.anchors.entry(name).or_default().push(value);
                        }
                    }
                    if REFERENCES.iter().any(|key| text(key).is_some()) {
                        refs.around.insert(id(value), resource);
                    }
                    todo.extend(fields.values().map(|value| (value, resource)));
                }
                Value::Array(items) => todo.extend(items.iter().map(|value| (value, resource))),
                _ => {}
            }
        }
        refs
    }

    /// Where a reference of this schema leads; to several places where that
    /// depends on the way there.
    fn targets(&self, from: &Value, reference: &str) -> Target<'s> {
        let (uri, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let bases: Vec<&'s Value> = if uri.is_empty() {
            vec![self.around.get(&id(from)).copied().unwrap_or(self.root)]
        } else {
            let last = |text: &'s str| text.trim_end_matches('#').rsplit('/').next();
            let wanted = uri.rsplit('/').next();
            let all = || self.resources.iter();
            let exact: Vec<_> = all().filter(|(id, _)| *id == uri).map(|(_, s)| *s).collect();
            if exact.is_empty() {
                all().filter(|(id, _)| last(id) == wanted).map(|(_, s)| *s).collect()
            } else {
                exact
            }
        };
        if bases.is_empty() {
            return Target::Metaschema;
        }
        if fragment.is_empty() {
            return Target::Here(bases);
        }
        if fragment.starts_with('/') {
            let pointer = unescaped(fragment);
            return Target::Here(bases.iter().filter_map(|base| base.pointer(&pointer)).collect());
        }
        Target::Here(self.anchors.get(fragment).cloned().unwrap_or_default())
    }

    /// All schemas that apply to the same value as this one, as often as each
    /// is named.
    fn beside(&self, schema: &'s Value) -> (Vec<&'s Value>, bool) {
        let Value::Object(fields) = schema else { return (Vec::new(), false) };
        let mut found: Vec<&Value> = ONE.iter().filter_map(|key| fields.get(*key)).collect();
        for key in LISTS {
            found.extend(fields.get(key).and_then(Value::as_array).into_iter().flatten());
        }
        for key in MAPS {
            found.extend(
                fields.get(key).and_then(Value::as_object).into_iter().flat_map(Map::values),
            );
        }
        let mut metaschema = false;
        for key in REFERENCES {
            match fields.get(key).and_then(Value::as_str).map(|text| self.targets(schema, text)) {
                Some(Target::Here(targets)) => found.extend(targets),
                Some(Target::Metaschema) => metaschema = true,
                None => {}
            }
        }
        found.retain(|schema| schema.is_object());
        (found, metaschema)
    }
}

/// `%XX` of a URI's fragment.
fn unescaped(fragment: &str) -> String {
    let mut bytes = Vec::with_capacity(fragment.len());
    let mut rest = fragment.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.filter(|_| *first == b'%').and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// How often what applies to the value is tried: once more to learn what was
/// evaluated, where only some of it may hold.
fn times(fields: &Map<String, Value>) -> u64 {
    let has = |keys: &[&str]| keys.iter().any(|key| fields.contains_key(*key));
    let asks = has(&["unevaluatedProperties", "unevaluatedItems"]);
    if asks && has(&["anyOf", "oneOf", "if", "not", "dependentSchemas"]) { 2 } else { 1 }
}

/// All schemas below this one that apply to parts of its value.
fn below(fields: &Map<String, Value>) -> impl Iterator<Item = &Value> {
    let maps = ["properties", "patternProperties"];
    let maps =
        maps.into_iter().filter_map(|key| fields.get(key)?.as_object()).flat_map(Map::values);
    let ones = OF_PROPERTIES.into_iter().chain(OF_ITEMS).chain(["propertyNames"]);
    let ones = ones.filter_map(|key| fields.get(key));
    let lists = ["prefixItems", "items"].into_iter().filter_map(|key| fields.get(key)?.as_array());
    maps.chain(ones).chain(lists.flatten()).filter(|schema| schema.is_object())
}

/// How much schemas make of one value, whatever its parts.
struct Static<'s> {
    refs: Refs<'s>,
    known: HashMap<usize, Work>,
    open: HashSet<usize>,
}

impl<'s> Static<'s> {
    fn work(&mut self, schema: &'s Value, chain: usize) -> Result<Work, TooMuch> {
        if let Some(known) = self.known.get(&id(schema)) {
            return Ok(*known);
        }
        if chain > MAX_CHAIN {
            return Err(TooMuch::Chain);
        }
        if !self.open.insert(id(schema)) {
            return Err(TooMuch::Circle);
        }
        let mut work = Work { steps: 1, nested: 1 };
        let (beside, metaschema) = self.refs.beside(schema);
        let times = schema.as_object().map_or(1, times);
        for other in beside {
            let other = self.work(other, chain + 1)?;
            work.add(other, times);
        }
        if metaschema {
            work.add(Work { steps: META, nested: 1 }, times);
        }
        self.open.remove(&id(schema));
        if work.nested > MAX_CHAIN {
            return Err(TooMuch::Chain);
        }
        if work.steps > MAX_APPLIED {
            return Err(TooMuch::Applied);
        }
        self.known.insert(id(schema), work);
        Ok(work)
    }
}

/// Refuses a schema that makes too much work of any one value.
pub(super) fn bounded(schema: &Value) -> Result<(), TooMuch> {
    let mut of = Static { refs: Refs::new(schema), known: HashMap::new(), open: HashSet::new() };
    let mut todo = vec![schema];
    let mut seen = HashSet::new();
    while let Some(schema) = todo.pop() {
        let Value::Object(fields) = schema else { continue };
        if !seen.insert(id(schema)) {
            continue;
        }
        of.work(schema, 0)?;
        let (beside, _) = of.refs.beside(schema);
        todo.extend(beside);
        todo.extend(below(fields));
    }
    Ok(())
}

/// Counts the steps of a schema over a value.
struct Dynamic<'s, 'v> {
    refs: Refs<'s>,
    known: HashMap<(usize, usize), Work>,
    name: &'v Value,
}

impl<'s> Dynamic<'s, '_> {
    /// None if there are too many.
    fn work(&mut self, schema: &'s Value, value: &Value, depth: usize) -> Option<Work> {
        let Value::Object(fields) = schema else { return Some(Work { steps: 1, nested: 1 }) };
        let key = (id(schema), id(value));
        if let Some(known) = self.known.get(&key) {
            return Some(*known);
        }
        if depth > MAX_NESTED {
            return None;
        }
        let mut work = Work { steps: 1, nested: 1 };
        let (beside, metaschema) = self.refs.beside(schema);
        for other in beside {
            let other = self.work(other, value, depth + 1)?;
            work.add(other, times(fields));
        }
        if metaschema {
            work.add(Work { steps: META.saturating_mul(size(value)), nested: 1 }, 1);
        }
        match value {
            Value::Object(values) => self.properties(fields, values, depth, &mut work)?,
            Value::Array(values) => self.items(fields, values, depth, &mut work)?,
            _ => {}
        }
        let fits = work.steps <= MAX_STEPS && work.nested <= MAX_NESTED;
        self.known.insert(key, work);
        fits.then_some(work)
    }

    fn properties(
        &mut self,
        fields: &'s Map<String, Value>,
        values: &Map<String, Value>,
        depth: usize,
        work: &mut Work,
    ) -> Option<()> {
        let object = |key: &str| fields.get(key).and_then(Value::as_object);
        let own = object("properties");
        let patterns: Vec<&Value> =
            object("patternProperties").into_iter().flat_map(Map::values).collect();
        let all: Vec<&Value> = OF_PROPERTIES.iter().filter_map(|key| fields.get(*key)).collect();
        for (name, value) in values {
            let own = own.and_then(|own| own.get(name));
            for schema in own.into_iter().chain(patterns.iter().copied()).chain(all.iter().copied())
            {
                let other = self.work(schema, value, depth + 1)?;
                work.add(other, 1);
            }
        }
        if let Some(schema) = fields.get("propertyNames") {
            let name = self.name;
            let other = self.work(schema, name, depth + 1)?;
            work.add(other, u64::try_from(values.len()).unwrap_or(u64::MAX));
        }
        Some(())
    }

    fn items(
        &mut self,
        fields: &'s Map<String, Value>,
        values: &[Value],
        depth: usize,
        work: &mut Work,
    ) -> Option<()> {
        let lists: Vec<&'s Vec<Value>> = ["prefixItems", "items"]
            .iter()
            .filter_map(|key| fields.get(*key)?.as_array())
            .collect();
        let all: Vec<&Value> =
            OF_ITEMS.iter().filter_map(|key| fields.get(*key)).filter(|s| s.is_object()).collect();
        for (i, value) in values.iter().enumerate() {
            let own = lists.iter().filter_map(|list| list.get(i));
            for schema in own.chain(all.iter().copied()) {
                let other = self.work(schema, value, depth + 1)?;
                work.add(other, 1);
            }
        }
        Some(())
    }
}

/// Values in a value.
fn size(value: &Value) -> u64 {
    let (mut count, mut todo) = (0_u64, vec![value]);
    while let Some(value) = todo.pop() {
        count = count.saturating_add(1);
        match value {
            Value::Object(fields) => todo.extend(fields.values()),
            Value::Array(items) => todo.extend(items),
            _ => {}
        }
    }
    count
}

/// True if checking this value takes no more than [`MAX_STEPS`].
pub(super) fn affordable(schema: &Value, value: &Value) -> bool {
    let name = Value::Null;
    let mut of = Dynamic { refs: Refs::new(schema), known: HashMap::new(), name: &name };
    of.work(schema, value, 0).is_some()
}

#[cfg(test)]
mod tests {
    use super::super::Schema;
    use super::*;
    use serde_json::json;

    /// `a0` asks for `a1` as often as this, and so on.
    fn definitions(depth: usize, ways: usize, last: Value) -> Value {
        let mut all = Map::new();
        for k in 0..depth {
            let next = json!({"$ref": format!("#/$defs/a{}", k + 1)});
            all.insert(format!("a{k}"), json!({"allOf": vec![next; ways]}));
        }
        all.insert(format!("a{depth}"), last);
        json!({"$ref": "#/$defs/a0", "$defs": all})
    }

    fn nested(depth: usize) -> Value {
        (0..depth).fold(json!({}), |value, _| json!({"c": value}))
    }

    #[test]
    fn a_schema_that_grows_too_far_is_refused_when_it_is_read() {
        let table = [
            (definitions(30, 2, json!({"type": "integer"})), "schemas apply to one value"),
            (definitions(5000, 1, json!(true)), "name each other in a chain"),
            (json!({"$ref": "#"}), "leads back to itself"),
            (
                json!({"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/b"}]},
                "b": {"not": {"$ref": "#/$defs/a"}}}, "items": {"$ref": "#/$defs/a"}}),
                "leads back to itself",
            ),
            (json!({"$dynamicAnchor": "x", "allOf": [{"$dynamicRef": "#x"}]}), "leads back"),
        ];
        for (schema, wanted) in table {
            let fault = Schema::new(&schema).expect_err("it grows too far");
            assert!(fault.message.contains(wanted), "{}", fault.message);
        }
        assert!(Schema::new(&definitions(8, 2, json!({"type": "integer"}))).is_ok());
    }

    #[test]
    fn an_answer_that_would_take_too_long_breaks_the_check_and_says_so() {
        // Two ways into each level: 2^depth steps.
        let twice = json!({"$defs": {"n": {"allOf": [
            {"properties": {"c": {"$ref": "#/$defs/n"}}},
            {"properties": {"c": {"$ref": "#/$defs/n"}}},
        ]}}, "$ref": "#/$defs/n"});
        let schema = Schema::new(&twice).expect("its growth depends on the answer");
        assert_eq!(schema.broken_by(&nested(8)), None);
        let broken = schema.broken_by(&nested(100)).expect("too many steps");
        assert!(broken.contains("more than 2000000 steps"), "{broken}");
        // One way into each level is as deep as JSON may be.
        let once = json!({"properties": {"c": {"$ref": "#"}}, "unevaluatedProperties": false});
        assert_eq!(Schema::new(&once).expect("it is plain").broken_by(&nested(120)), None);
    }

    #[test]
    fn references_of_every_kind_are_followed() {
        let id = json!({"$id": "https://example.test/root", "$defs": {
            "far": {"$id": "far", "$defs": {"in": {"$anchor": "in", "type": "string"}},
                "$ref": "#/$defs/in"},
            "a b": {"$ref": "far#in"},
        }, "$ref": "#/$defs/a%20b"});
        let schema = Schema::new(&id).expect("it reads");
        assert_eq!(schema.broken_by(&json!("x")), None);
        assert!(schema.broken_by(&json!(1)).is_some());
        let meta = json!({"$ref": "https://json-schema.org/draft/2020-12/schema"});
        let schema = Schema::new(&meta).expect("metaschemas are here");
        assert_eq!(schema.broken_by(&json!({"type": "object"})), None);
        assert!(schema.broken_by(&json!({"type": 1})).is_some());
    }

    #[test]
    fn a_schema_is_read_in_the_draft_it_names() {
        let seven = json!({"$schema": "http://json-schema.org/draft-07/schema#",
            "items": [{"type": "integer"}], "additionalItems": false});
        let schema = Schema::new(&seven).expect("draft-07 is read");
        assert_eq!(schema.broken_by(&json!([1])), None);
        assert!(schema.broken_by(&json!([1, 2])).is_some());
        let four = json!({"$schema": "http://json-schema.org/draft-04/schema#",
            "minimum": 3, "exclusiveMinimum": true});
        assert!(Schema::new(&four).expect("so is draft-04").broken_by(&json!(3)).is_some());
        let own = json!({"$schema": "https://example.test/own"});
        let fault = Schema::new(&own).expect_err("nobody knows what it means");
        assert_eq!(fault.pointer, "/$schema");
        assert!(fault.message.contains("2020-12 and older"), "{}", fault.message);
    }
}
