//! Scores, JSON: schemas (2020-12) and paths (RFC 9535) an answer must keep.
//!
//! Schemas never fetch anything: a reference leads into the schema itself or to
//! the metaschemas of JSON Schema, and any other is refused when the schema is
//! read. `format` is an annotation, as 2020-12 has it by default. Patterns are
//! read in linear time, so those with look-around are refused. What a schema may
//! cost is bounded (`growth`). A schema that names an older draft is read so.

use super::Fault;
use super::growth::{MAX_STEPS, affordable, bounded};
use super::rule::{short, shown};
use super::tools::same;
use domain::suite::JsonPathRule;
use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;
use serde_json_path::JsonPath;

/// Largest schema, in bytes.
pub const MAX_SCHEMA_LEN: usize = 256 * 1024;

/// What `$schema` may say, without scheme and empty fragment.
const DRAFTS: [(&str, Draft); 6] = [
    ("json-schema.org/draft/2020-12/schema", Draft::Draft202012),
    ("json-schema.org/draft/2019-09/schema", Draft::Draft201909),
    ("json-schema.org/draft-07/schema", Draft::Draft7),
    ("json-schema.org/draft-06/schema", Draft::Draft6),
    ("json-schema.org/draft-04/schema", Draft::Draft4),
    // What it meant was always the newest one.
    ("json-schema.org/schema", Draft::Draft202012),
];

/// A compiled schema.
pub struct Schema {
    validator: Validator,
    /// As it was written, to count what an answer would cost.
    source: Value,
}

impl std::fmt::Debug for Schema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Schema")
    }
}

/// Why a schema cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaFault {
    /// JSON pointer to the fault in the schema, for example
    /// `/properties/status/type`.
    pub pointer: String,
    /// What is wrong there.
    pub message: String,
}

impl Schema {
    /// Compiles a schema.
    ///
    /// # Errors
    /// It is no schema of a draft that is read here, or asks for too much work.
    pub fn new(schema: &Value) -> Result<Self, SchemaFault> {
        let fault = |error: &jsonschema::ValidationError<'_>| SchemaFault {
            pointer: error.instance_path().to_string(),
            message: short(&error.to_string()),
        };
        let draft = draft(schema)?;
        match draft {
            Draft::Draft4 => jsonschema::draft4::meta::validate(schema),
            Draft::Draft6 => jsonschema::draft6::meta::validate(schema),
            Draft::Draft7 => jsonschema::draft7::meta::validate(schema),
            Draft::Draft201909 => jsonschema::draft201909::meta::validate(schema),
            _ => jsonschema::draft202012::meta::validate(schema),
        }
        .map_err(|error| fault(&error))?;
        bounded(schema)
            .map_err(|much| SchemaFault { pointer: String::new(), message: much.message() })?;
        let validator = jsonschema::options()
            .with_draft(draft)
            .with_pattern_options(PatternOptions::regex())
            .build(schema)
            .map_err(|error| fault(&error))?;
        Ok(Self { validator, source: schema.clone() })
    }

    /// The schema of a check: written in place, or in a file beside the suite.
    pub(crate) fn resolve(
        schema: &Value,
        files: &dyn Fn(&str) -> Option<Vec<u8>>,
    ) -> Result<Self, Fault> {
        let at = "json_schema";
        let Value::String(path) = schema else {
            return Self::new(schema).map_err(|fault| bad_schema(at, None, &fault));
        };
        let Some(bytes) = files(path) else {
            return Err(Fault::new(
                at,
                "missing_file",
                format!("there is no file `{path}` beside the suite"),
                "write the schema in place, or name a file by its path from the suite's folder",
            ));
        };
        if bytes.len() > MAX_SCHEMA_LEN {
            return Err(Fault::new(
                at,
                "too_large",
                format!("`{path}` has {} bytes; at most {MAX_SCHEMA_LEN} are read", bytes.len()),
                "split the schema or shorten it",
            ));
        }
        let schema: Value = serde_json::from_slice(&bytes).map_err(|error| {
            Fault::new(at, "bad_json", format!("`{path}` is not JSON: {error}"), "correct the file")
        })?;
        Self::new(&schema).map_err(|fault| bad_schema(at, Some(path), &fault))
    }

    /// What is wrong with a value; nothing if it keeps the schema. Names the
    /// place, never the value.
    pub fn broken_by(&self, value: &Value) -> Option<String> {
        if !affordable(&self.source, value) {
            return Some(format!(
                "checking the answer against the schema takes more than {MAX_STEPS} steps"
            ));
        }
        let error = self.validator.validate(value).err()?;
        let at = error.instance_path().to_string();
        let at = if at.is_empty() { "the answer".to_owned() } else { format!("`{}`", short(&at)) };
        let rule = error.schema_path().to_string();
        let masked = short(&error.masked_with("the value").to_string());
        Some(format!("{at} breaks the schema at `{}`: {masked}", short(&rule)))
    }

    pub(crate) fn kept(&self, answer: &str) -> Result<(), String> {
        self.broken_by(&parsed(answer)?).map_or(Ok(()), Err)
    }
}

/// The draft a schema is written in: what it says itself, 2020-12 if nothing.
fn draft(schema: &Value) -> Result<Draft, SchemaFault> {
    let Some(said) = schema.get("$schema").and_then(Value::as_str) else {
        return Ok(Draft::Draft202012);
    };
    let plain = said.strip_suffix('#').unwrap_or(said);
    let plain = plain.split_once("://").map_or(plain, |(_, rest)| rest);
    DRAFTS.iter().find(|(name, _)| *name == plain).map(|(_, draft)| *draft).ok_or_else(|| {
        SchemaFault {
            pointer: "/$schema".to_owned(),
            message: format!(
                "`{}` is not read here; 2020-12 and older drafts to 04 are",
                short(said)
            ),
        }
    })
}

fn bad_schema(at: &str, path: Option<&str>, fault: &SchemaFault) -> Fault {
    let of = path.map(|path| format!(" of `{path}`")).unwrap_or_default();
    let place =
        if fault.pointer.is_empty() { String::new() } else { format!(" at `{}`", fault.pointer) };
    Fault::new(
        at,
        "bad_schema",
        format!("the schema{of} is no usable JSON Schema{place}: {}", fault.message),
        "correct the schema; references lead into it alone, and patterns have no look-around",
    )
}

/// The answer as JSON, white space around it aside.
pub(crate) fn parsed(answer: &str) -> Result<Value, String> {
    let text = answer.trim();
    serde_json::from_str(text).map_err(|error| {
        if text.starts_with("```") {
            "the answer is in a code fence; it must be JSON and nothing else".to_owned()
        } else {
            format!("the answer is not JSON (line {}, column {})", error.line(), error.column())
        }
    })
}

/// A compiled path.
pub(crate) struct Path {
    text: String,
    path: JsonPath,
    equals: Option<Value>,
    exists: bool,
}

impl Path {
    pub(crate) fn new(rule: &JsonPathRule) -> Result<Self, Fault> {
        if rule.equals.is_some() && rule.exists == Some(false) {
            return Err(Fault::new(
                "json_path",
                "out_of_range",
                "`equals` wants a value and `exists: false` wants none",
                "keep one of the two",
            ));
        }
        let path = JsonPath::parse(&rule.path).map_err(|error| {
            Fault::new(
                "json_path.path",
                "bad_json_path",
                format!("`{}` is not an RFC 9535 path: {}", short(&rule.path), error.message()),
                "begin with `$`, for example `$.order.status` or `$.items[0].id`",
            )
        })?;
        Ok(Self {
            text: rule.path.clone(),
            path,
            equals: rule.equals.clone(),
            exists: rule.exists.unwrap_or(true),
        })
    }

    pub(crate) fn kept(&self, answer: &str) -> Result<(), String> {
        let value = parsed(answer)?;
        let found = self.path.query(&value).all();
        let at = short(&self.text);
        match (&self.equals, found.as_slice()) {
            (_, []) if self.exists => Err(format!("nothing is at `{at}`")),
            (_, [_, ..]) if !self.exists => Err(format!("something is at `{at}`")),
            (Some(wanted), found) if !found.iter().any(|value| same(value, wanted)) => {
                let given = found.first().map(|value| shown(value)).unwrap_or_default();
                Err(format!("`{at}` is {given}, not {}", shown(wanted)))
            }
            _ => Ok(()),
        }
    }
}
