//! Output schemas: what our check says of a value beside what the data says.
//!
//! The set names the draft beside the schema; ours reads it from the schema
//! itself, so it is written there where it is missing. Counted apart by design:
//! schemas that point to other machines, which are refused, and schemas with
//! `format`, an annotation that the tests of the drafts hold both ways.

use crate::agreement::{Agreement, kept};
use crate::data::rows;
use crate::{Failed, Told};
use domain::suite::Check;
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::Path;

/// Least share of values judged as the data says.
const WANTED: f64 = 0.95;
const DRAFT_7: &str = "http://json-schema.org/draft-07/schema#";

#[derive(Deserialize)]
struct Row {
    id: String,
    #[serde(default)]
    draft: String,
    #[serde(default)]
    needs_remote: bool,
    schema: Value,
    data: Value,
    valid: bool,
}

/// Judges every value; nothing where the set is not there.
pub(crate) fn told(data: &Path) -> Result<Option<Told>, Failed> {
    let folder = data.join("json_schema");
    if !folder.is_dir() {
        return Ok(None);
    }
    let mut found = Agreement::default();
    let (mut remote, mut refused) = (0_u64, 0_u64);
    let mut formats = (0_u64, 0_u64);
    for row in rows::<Row>(&folder, "tests.jsonl")? {
        if row.needs_remote {
            remote += 1;
            continue;
        }
        let mut schema = row.schema;
        let formatted = has_format(&schema);
        if let Value::Object(fields) = &mut schema
            && row.draft == "draft7"
        {
            fields.entry("$schema").or_insert_with(|| json!(DRAFT_7));
        }
        // `draft2020-12/items/0/1`: the keyword says what agrees and what not.
        let keyword = row.id.split('/').nth(1).unwrap_or_default();
        let kind = if keyword.is_empty() { &row.draft } else { keyword };
        let agrees = match kept(vec![Check::JsonSchema(schema)], &row.data.to_string()) {
            Ok(kept) => kept == [row.valid],
            // What cannot be used passes nobody; it is no agreement either.
            Err(_) => {
                refused += 1;
                false
            }
        };
        if formatted {
            formats.0 += u64::from(agrees);
            formats.1 += 1;
            continue;
        }
        found.add(&format!("{} {kind}", row.draft), agrees);
        found.add_all(&row.draft, agrees);
    }
    let mut told = found.told("json_schema: values as the data says", WANTED);
    told.numbers
        .insert("with `format`, [agreed, judged]".to_owned(), json!([formats.0, formats.1]));
    told.numbers.insert("schemas refused".to_owned(), json!(refused));
    told.numbers.insert("left out, they point to other machines".to_owned(), json!(remote));
    Ok(Some(told))
}

/// True if a schema speaks of a format anywhere.
fn has_format(schema: &Value) -> bool {
    match schema {
        Value::Object(fields) => {
            fields.get("format").is_some_and(Value::is_string) || fields.values().any(has_format)
        }
        Value::Array(items) => items.iter().any(has_format),
        _ => false,
    }
}
