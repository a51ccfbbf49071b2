//! Personal data: spans of a text, by type. A found span is right if it
//! overlaps a labelled one of its type. Names and addresses are counted apart;
//! a labelled type nobody looks for counts for nothing.

use crate::data::{Folder, text};
use crate::score::{Counts, short};
use checks::scan::{Kind, REDACT_FROM, REPORT_FROM, scan};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ops::Range;

/// The kinds that have a structure and with it a validator or an announcement.
const STRUCTURED: [Kind; 8] = [
    Kind::Card,
    Kind::Email,
    Kind::Iban,
    Kind::IpAddress,
    Kind::Phone,
    Kind::Ssn,
    Kind::OfficialId,
    Kind::BirthDate,
];

/// The kind a label means.
fn meant(label: &str) -> Option<Kind> {
    let label = label.to_lowercase();
    let has = |word: &str| label.contains(word);
    Some(match () {
        () if has("card") && !has("identity") => Kind::Card,
        () if has("mail") => Kind::Email,
        () if has("iban") => Kind::Iban,
        () if label == "ip" || has("ip_address") || has("ipv") => Kind::IpAddress,
        () if has("phone") || has("mobile") || has("fax") => Kind::Phone,
        () if has("ssn") || has("social_security") => Kind::Ssn,
        () if has("license") || has("licence") || has("passport") || has("national_id") => {
            Kind::OfficialId
        }
        () if has("birth") || label == "dob" => Kind::BirthDate,
        () if has("address") || has("street") => Kind::Address,
        () if has("person") || has("name") && !has("domain") => Kind::Name,
        () => return None,
    })
}

struct Span {
    range: Range<usize>,
    kind: Option<Kind>,
    /// Labelled as a date, of whatever.
    date: bool,
}

/// Micro-averaged over the structured types, and each type.
pub fn measure(folder: &Folder, errors: usize) -> Result<Value, String> {
    let mut by_type: BTreeMap<Kind, Counts> = BTreeMap::new();
    let mut shown = 0;
    for row in folder.rows("pii/cases.jsonl", true)? {
        let content = text(&row, "text");
        let spans = spans(&row, content);
        let found = scan(content, REDACT_FROM);
        let wanted = |kind: Kind, score: u8| {
            let from = if STRUCTURED.contains(&kind) { REPORT_FROM } else { REDACT_FROM };
            kind.is_personal() && score >= from
        };
        let meets = |a: &Range<usize>, b: &Range<usize>| a.start < b.end && b.start < a.end;
        for hit in found.iter().filter(|hit| wanted(hit.kind, hit.score)) {
            let met = |of: &dyn Fn(&Span) -> bool| {
                spans.iter().any(|s| of(s) && meets(&s.range, &hit.range))
            };
            // A date of birth that is labelled as a date is neither right nor wrong.
            if hit.kind == Kind::BirthDate && met(&|s| s.date && s.kind.is_none()) {
                continue;
            }
            let right = met(&|s| s.kind == Some(hit.kind));
            let counts = by_type.entry(hit.kind).or_default();
            counts.wrong += u32::from(!right);
            if !right && shown < errors {
                shown += 1;
                let value = content.get(hit.range.clone()).unwrap_or("");
                eprintln!("wrong {:?} {value:?}: {}", hit.kind, short(content));
            }
        }
        for span in &spans {
            let Some(kind) = span.kind else { continue };
            let right = found
                .iter()
                .any(|h| h.kind == kind && wanted(kind, h.score) && meets(&span.range, &h.range));
            let counts = by_type.entry(kind).or_default();
            counts.right += u32::from(right);
            counts.missed += u32::from(!right);
            if !right && STRUCTURED.contains(&kind) && shown < errors {
                shown += 1;
                let value = content.get(span.range.clone()).unwrap_or("");
                eprintln!("missed {kind:?} {value:?}: {}", short(content));
            }
        }
    }
    let mut all = Counts::default();
    let mut types = BTreeMap::new();
    let mut apart = BTreeMap::new();
    for (kind, counts) in by_type {
        let name = kind.placeholder().to_lowercase();
        if STRUCTURED.contains(&kind) {
            all.add(counts);
            types.insert(name, counts.json());
        } else {
            apart.insert(name, counts.json());
        }
    }
    let mut result = all.json();
    if let Some(map) = result.as_object_mut() {
        map.insert("by_type".to_owned(), json!(types));
        map.insert("names_and_addresses".to_owned(), json!(apart));
    }
    Ok(result)
}

/// The labelled spans; their offsets count characters.
fn spans(row: &Value, content: &str) -> Vec<Span> {
    let offsets: Vec<usize> =
        content.char_indices().map(|(at, _)| at).chain([content.len()]).collect();
    let labelled = row.get("spans").and_then(Value::as_array).cloned().unwrap_or_default();
    let read = |span: &Value| {
        let at = |key: &str| {
            let offset = usize::try_from(span.get(key)?.as_u64()?).ok()?;
            offsets.get(offset).copied()
        };
        let label = text(span, "type");
        let date = label.to_lowercase().contains("date");
        Some(Span { range: at("start")?..at("end")?, kind: meant(label), date })
    };
    labelled.iter().filter_map(read).collect()
}
