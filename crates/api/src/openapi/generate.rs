//! The document from its lists. Only tests run this: what is served is the
//! committed result.

use super::DOCUMENT;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

const PATHS: &str = include_str!("paths.txt");
const SCHEMAS: &str = include_str!("schemas.txt");

/// Lines that say something.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.starts_with('#'))
}

/// The schema of a type as the lists write it.
fn schema(text: &str) -> Value {
    let text = text.trim();
    if let Some(inner) = text.strip_suffix('?') {
        let inner = schema(inner);
        return match inner.get("type").and_then(Value::as_str) {
            Some(name) if inner.get("enum").is_none() => {
                let mut both = inner.clone();
                both["type"] = json!([name, "null"]);
                both
            }
            _ => json!({"anyOf": [inner, {"type": "null"}]}),
        };
    }
    if let Some(item) = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
        return json!({"type": "array", "items": schema(item)});
    }
    if let Some(item) = text.strip_prefix('{').and_then(|t| t.strip_suffix('}')) {
        return json!({"type": "object", "additionalProperties": schema(item)});
    }
    if text.starts_with('"') {
        let words: Vec<_> = text.split('|').map(|word| word.trim().trim_matches('"')).collect();
        return json!({"type": "string", "enum": words});
    }
    match text {
        "string" => json!({"type": "string"}),
        "int" => json!({"type": "integer"}),
        "number" => json!({"type": "number"}),
        "bool" => json!({"type": "boolean"}),
        "time" => json!({"type": "integer", "description": "Milliseconds since 1970-01-01, UTC."}),
        "any" => json!({}),
        name => json!({"$ref": format!("#/components/schemas/{name}")}),
    }
}

fn schemas() -> Map<String, Value> {
    let mut all = Map::new();
    for block in lines(SCHEMAS).collect::<Vec<_>>().join("\n").split("\n\n") {
        let mut rows = block.lines().filter(|row| !row.trim().is_empty());
        let Some(head) = rows.next() else { continue };
        if let Some((name, words)) = head.split_once(" = ") {
            all.insert(name.to_owned(), schema(words));
            continue;
        }
        let (name, about) = head.split_once(' ').unwrap_or((head, ""));
        let (mut fields, mut required) = (Map::new(), Vec::new());
        for row in rows {
            let row = row.trim();
            if let Some(other) = row.strip_prefix("+ ") {
                let other: &Value =
                    all.get(other).unwrap_or_else(|| panic!("no {other} before {name}"));
                fields.extend(other["properties"].as_object().expect("fields").clone());
                required.extend(other["required"].as_array().expect("names").clone());
                continue;
            }
            let (key, rest) = row.split_once(": ").unwrap_or_else(|| panic!("{name}: {row}"));
            let (kind, about) = rest.split_once("  ").unwrap_or((rest, ""));
            let mut made = schema(kind);
            if !about.is_empty() {
                made["description"] = json!(about.trim());
            }
            let key = match key.strip_suffix('?') {
                Some(key) => key,
                None => {
                    required.push(json!(key));
                    key
                }
            };
            fields.insert(key.to_owned(), made);
        }
        let mut made = json!({
            "type": "object", "properties": fields, "required": required,
            "additionalProperties": false,
        });
        if !about.is_empty() {
            made["description"] = json!(about);
        }
        assert!(all.insert(name.to_owned(), made).is_none(), "{name} is there twice");
    }
    all
}

/// One line of `paths.txt`.
struct Op<'a> {
    method: &'a str,
    path: &'a str,
    query: Vec<&'a str>,
    body: Option<&'a str>,
    answer: &'a str,
    marks: Vec<&'a str>,
    about: &'a str,
}

fn ops() -> Vec<Op<'static>> {
    lines(PATHS).filter(|line| !line.trim().is_empty()).map(op).collect()
}

fn op(line: &'static str) -> Op<'static> {
    let (asked, rest) = line.split_once(" -> ").unwrap_or_else(|| panic!("{line}"));
    let (answer, about) = rest.split_once(" : ").unwrap_or_else(|| panic!("{line}"));
    let (asked, body) = match asked.split_once(" {") {
        Some((asked, body)) => (asked, Some(body.trim_end_matches('}'))),
        None => (asked, None),
    };
    let (method, path) = asked.split_once(' ').unwrap_or_else(|| panic!("{line}"));
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let mut words = answer.split(' ');
    Op {
        method,
        path,
        query: query.split('&').filter(|name| !name.is_empty()).collect(),
        body,
        answer: words.next().unwrap_or_default(),
        marks: words.collect(),
        about,
    }
}

fn operation(op: &Op<'_>) -> Value {
    let mut parameters: Vec<Value> = op
        .path
        .split(['{', '}'])
        .skip(1)
        .step_by(2)
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
        .collect();
    for name in &op.query {
        let kind = match name.trim_end_matches('!') {
            "limit" | "points" | "since" => "integer",
            "active" | "labelled" => "boolean",
            "requests_per_day" => "number",
            _ => "string",
        };
        parameters.push(json!({
            "name": name.trim_end_matches('!'), "in": "query",
            "required": name.ends_with('!'), "schema": {"type": kind},
        }));
    }
    if op.marks.contains(&"if-match") {
        parameters.push(json!({
            "name": "If-Match", "in": "header", "required": false, "schema": {"type": "string"},
            "description": "The generation or version that was read, in quotes.",
        }));
    }
    if op.method == "POST" && !op.path.starts_with("/session") {
        parameters.push(json!({
            "name": "Idempotency-Key", "in": "header", "required": false,
            "schema": {"type": "string", "minLength": 1, "maxLength": 128},
            "description": "The same key with the same request, within 24 hours, is answered as \
                the first time and done once.",
        }));
    }
    let (status, answer) = match op.answer {
        "none" => ("204", json!({"description": "Done."})),
        "text" => ("200", content("text/plain", &json!({"type": "string"}))),
        "zip" => {
            ("200", content("application/zip", &json!({"type": "string", "format": "binary"})))
        }
        "csv" => ("200", content("text/csv", &json!({"type": "string"}))),
        "jsonl" => ("200", content("application/jsonl", &json!({"type": "string"}))),
        "events" => ("200", content("text/event-stream", &json!({"type": "string"}))),
        kind => {
            let status = if op.marks.contains(&"created") { "201" } else { "200" };
            (status, content("application/json", &answered(kind)))
        }
    };
    let words = op.path.split(['/', '{', '}', '.', '-']).filter(|word| !word.is_empty());
    let id: Vec<_> =
        std::iter::once(op.method.to_lowercase()).chain(words.map(str::to_owned)).collect();
    let mut made = json!({
        "operationId": id.join("_"),
        "summary": op.about,
        "tags": [op.path.split('/').nth(1).unwrap_or_default()],
        "parameters": parameters,
        "responses": {status: answer, "default": {"$ref": "#/components/responses/Problem"}},
    });
    if op.marks.contains(&"open") {
        made["security"] = json!([]);
    }
    if let Some(body) = op.body {
        made["requestBody"] = json!({
            "required": true,
            "content": {"application/json": {"schema": schema(body)}},
        });
    }
    made
}

fn answered(kind: &str) -> Value {
    match kind.strip_prefix("Page<").and_then(|kind| kind.strip_suffix('>')) {
        Some(kind) => json!({
            "type": "object", "required": ["items"], "additionalProperties": false,
            "properties": {
                "items": {"type": "array", "items": schema(kind)},
                "next": {"type": "string", "description": "Send it as `cursor` for the next page."},
            },
        }),
        None => schema(kind),
    }
}

fn content(media: &str, schema: &Value) -> Value {
    json!({"description": "The answer.", "content": {media: {"schema": schema}}})
}

fn document() -> Value {
    let mut paths = Map::new();
    for op in ops() {
        let at = paths.entry(format!("/api/v1{}", op.path)).or_insert_with(|| json!({}));
        let method = op.method.to_lowercase();
        assert!(at.get(&method).is_none(), "{} {} is there twice", op.method, op.path);
        at[method] = operation(&op);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tidegate",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Every write with a browser's cookie names the session's CSRF token in \
                            X-Tidegate-CSRF. Every no is a problem document (RFC 9457).",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}, {"session": []}],
        "paths": paths,
        "components": {
            "schemas": schemas(),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": crate::session::COOKIE},
            },
            "responses": {"Problem": {
                "description": "A no, and what to do about it.",
                "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
            }},
        },
    })
}

#[test]
fn the_committed_document_is_what_the_lists_say() {
    let made = document();
    if std::env::var_os("TIDEGATE_WRITE_OPENAPI").is_some() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
        let text = serde_json::to_string_pretty(&made).unwrap();
        std::fs::write(file, format!("{text}\n")).unwrap();
        return;
    }
    let committed: Value = serde_json::from_str(DOCUMENT).unwrap();
    assert_eq!(
        committed, made,
        "write it anew: TIDEGATE_WRITE_OPENAPI=1 cargo test -p tidegate-api openapi"
    );
}

#[test]
fn every_route_is_in_it_and_nothing_else() {
    let listed: BTreeSet<_> = ops().iter().map(|op| format!("{} {}", op.method, op.path)).collect();
    let served: BTreeSet<_> =
        crate::resources().names().map(|(method, path)| format!("{method} {path}")).collect();
    let only =
        |a: &BTreeSet<String>, b: &BTreeSet<String>| a.difference(b).cloned().collect::<Vec<_>>();
    assert_eq!(only(&served, &listed), Vec::<String>::new(), "served, but not in paths.txt");
    assert_eq!(only(&listed, &served), Vec::<String>::new(), "in paths.txt, but not served");
}

#[test]
fn every_name_in_it_leads_somewhere_and_every_schema_is_used() {
    let made = document();
    let known: BTreeSet<_> =
        schemas().keys().map(|name| format!("#/components/schemas/{name}")).collect();
    let mut named = BTreeSet::new();
    references(&made, &mut named);
    named.remove("#/components/responses/Problem");
    assert_eq!(named, known);
}

fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            let own = fields.get("$ref").and_then(Value::as_str);
            found.extend(own.map(str::to_owned));
            fields.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}
