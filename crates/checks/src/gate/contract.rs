//! Gate `contract`: the tools an app offers its model, and the schema its answers
//! promise, are JSON Schema 2020-12 and say what they seem to say.
//!
//! Tools are written as OpenAI has them: `{type: function, function: {name,
//! description, parameters}}`, or `{name, description, parameters}` alone.

use super::{counted, problems, result, skipped};
use crate::finding::finding;
use crate::score::Schema;
use domain::finding::{Finding, GateResult, Severity};
use serde_json::Value;
use std::collections::BTreeSet;

const CONTRACT: (&str, &str) = ("contract", "Tool definitions and the schema of answers");
/// Longest name of a tool providers take.
const MAX_TOOL_NAME: usize = 64;
/// Most tools providers take.
const MAX_TOOLS: usize = 128;

/// A component written in a file.
#[derive(Debug, Clone, Copy)]
pub struct Declared<'a> {
    /// The file of the ops repo.
    pub file: &'a str,
    /// The component's content.
    pub content: &'a Value,
}

/// Gate `contract`, of the components `tools` and `answer`.
pub fn contract(tools: Option<Declared<'_>>, answer: Option<Declared<'_>>) -> GateResult {
    if tools.is_none() && answer.is_none() {
        return skipped(CONTRACT, "The release declares neither tools nor a form of its answers.");
    }
    let mut findings = Vec::new();
    let mut read = 0;
    if let Some(tools) = tools {
        read += tool_list(tools, &mut findings);
    }
    let mut of_answers = "no schema of answers";
    if let Some(answer) = answer
        && let Some(schema) = answer.content.get("schema")
    {
        of_answers = "the schema of answers";
        schema_faults(answer.file, "answer.schema", schema, &mut findings);
    }
    let summary =
        format!("{} and {of_answers} read; {}.", counted(read, "tool"), problems(&findings));
    result(CONTRACT, summary, findings)
}

fn tool_list(tools: Declared<'_>, findings: &mut Vec<Finding>) -> usize {
    let list = tools.content.get("tools").and_then(Value::as_array);
    let Some(list) = list else {
        findings.push(
            finding(Severity::Warning, "no_tool_list", "`tools` has no list of tools to check.")
                .field(tools.file, "tools")
                .because(
                    "What is not in the list is hashed into the release, but nobody can say whether a model can use it.",
                    "Write the definitions as `tools: {version: ..., tools: [{type: function, function: {...}}]}`.",
                ),
        );
        return 0;
    };
    if list.len() > MAX_TOOLS {
        findings.push(bad(
            tools.file,
            "tools.tools",
            format!("There are {} tools; providers take {MAX_TOOLS}.", list.len()),
            "Offer fewer tools.",
        ));
    }
    let mut names = BTreeSet::new();
    for (i, entry) in list.iter().enumerate() {
        let (tool, at) = match entry.get("function") {
            Some(function) => (function, format!("tools.tools[{i}].function")),
            None => (entry, format!("tools.tools[{i}]")),
        };
        if entry.get("type").is_some_and(|kind| kind != "function") {
            // Tools a provider brings along have no schema of ours.
            continue;
        }
        let name = tool.get("name").and_then(Value::as_str).unwrap_or_default();
        let is_name = !name.is_empty()
            && name.len() <= MAX_TOOL_NAME
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
        if !is_name {
            findings.push(bad(
                tools.file,
                &format!("{at}.name"),
                "This is no name of a tool.".to_owned(),
                "Write 1 to 64 letters, digits, `_` and `-`.",
            ));
        } else if !names.insert(name) {
            findings.push(bad(
                tools.file,
                &format!("{at}.name"),
                format!("There are two tools `{name}`."),
                "Give every tool its own name.",
            ));
        }
        let described = tool.get("description").and_then(Value::as_str);
        if described.is_none_or(|text| text.trim().is_empty()) {
            findings.push(
                finding(Severity::Warning, "no_description", "The tool has no description.")
                    .field(tools.file, &at)
                    .because(
                        "A model chooses tools by their descriptions.",
                        "Say in a sentence what the tool does and when to call it.",
                    ),
            );
        }
        if let Some(parameters) = tool.get("parameters") {
            parameter_faults(tools.file, &format!("{at}.parameters"), parameters, findings);
        }
    }
    list.len()
}

fn parameter_faults(file: &str, at: &str, schema: &Value, findings: &mut Vec<Finding>) {
    if schema.get("type").is_none_or(|kind| kind != "object") {
        findings.push(bad(
            file,
            at,
            "The parameters of a tool are an object.".to_owned(),
            "Begin with `type: object` and `properties`.",
        ));
    }
    schema_faults(file, at, schema, findings);
}

/// Faults of a schema: what is not valid, names that are required and nowhere
/// described, formats nobody checks.
fn schema_faults(file: &str, at: &str, schema: &Value, findings: &mut Vec<Finding>) {
    if let Err(fault) = Schema::new(schema) {
        let field = format!("{at}{}", fault.pointer.replace('/', "."));
        findings.push(bad(
            file,
            &field,
            format!("This is no usable JSON Schema: {}.", fault.message.trim_end_matches('.')),
            "Correct the schema; references lead into it alone, and patterns have no look-around.",
        ));
        return;
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    for name in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
        let name = name.as_str().unwrap_or_default();
        if properties.is_some_and(|properties| !properties.contains_key(name)) {
            findings.push(
                finding(
                    Severity::Warning,
                    "required_unknown",
                    format!("`{name}` is required, and `properties` does not describe it."),
                )
                .field(file, &format!("{at}.required"))
                .because(
                    "A model is told to give something nobody has described.",
                    "Describe it under `properties`, or take it out of `required`.",
                ),
            );
        }
    }
    if uses_format(schema, 0) {
        findings.push(
            finding(
                Severity::Note,
                "format_not_checked",
                "`format` is an annotation of JSON Schema 2020-12 and is not checked.",
            )
            .field(file, at)
            .because(
                "An answer with a malformed date would keep the schema.",
                "Add a `pattern` where the form matters.",
            ),
        );
    }
}

/// True if a schema says `format` somewhere it is a keyword.
fn uses_format(schema: &Value, depth: usize) -> bool {
    if depth > 64 {
        return false;
    }
    match schema {
        Value::Object(map) => map.iter().any(|(key, value)| match key.as_str() {
            "format" => value.is_string(),
            "properties" | "$defs" | "patternProperties" => value
                .as_object()
                .is_some_and(|map| map.values().any(|value| uses_format(value, depth + 1))),
            "enum" | "const" | "default" | "examples" => false,
            _ => uses_format(value, depth + 1),
        }),
        Value::Array(list) => list.iter().any(|value| uses_format(value, depth + 1)),
        _ => false,
    }
}

fn bad(file: &str, field: &str, message: String, mend: &str) -> Finding {
    finding(Severity::Error, "bad_contract", message)
        .field(file, field)
        .because("A provider refuses such a definition, or a model misreads it.", mend)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::finding::GateOutcome;
    use serde_json::json;

    fn places(result: &GateResult) -> Vec<(&str, &str)> {
        let field = |f: &'_ Finding| f.place.as_ref().and_then(|p| p.field.clone());
        result
            .findings
            .iter()
            .map(|f| (f.code.as_str(), field(f).unwrap_or_default().leak() as &str))
            .collect()
    }

    #[test]
    fn good_tools_and_schemas_pass() {
        let tools = json!({"tools": [
            {"type": "function", "function": {"name": "find_order", "description": "Finds an order.",
                "parameters": {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}}},
            {"type": "web_search"},
        ]});
        let answer =
            json!({"schema": {"type": "object", "properties": {"format": {"type": "string"}}}});
        let result = contract(
            Some(Declared { file: "r.yaml", content: &tools }),
            Some(Declared { file: "a.yaml", content: &answer }),
        );
        assert_eq!(result.outcome, GateOutcome::Passed, "{:?}", result.findings);
        assert_eq!(contract(None, None).outcome, GateOutcome::Skipped);
    }

    #[test]
    fn every_fault_has_its_place() {
        let tools = json!({"tools": [
            {"name": "a b", "description": "x", "parameters": {"type": "object", "properties": {"n": {"type": "int"}}}},
            {"name": "c", "description": "x", "parameters": {"type": "array"}},
            {"name": "c", "parameters": {"type": "object", "properties": {}, "required": ["q"]}},
        ]});
        let answer = json!({"schema": {"properties": {"at": {"format": "date"}, "p": {"$ref": "https://example.com/s"}}}});
        let dated = json!({"schema": {"properties": {"at": {"format": "date"}}}});
        let file = "r.yaml";
        let result = contract(
            Some(Declared { file, content: &tools }),
            Some(Declared { file, content: &answer }),
        );
        assert_eq!(
            places(&result),
            [
                ("bad_contract", "tools.tools[0].name"),
                ("bad_contract", "tools.tools[0].parameters.properties.n.type"),
                ("bad_contract", "tools.tools[1].parameters"),
                ("bad_contract", "tools.tools[2].name"),
                ("no_description", "tools.tools[2]"),
                ("required_unknown", "tools.tools[2].parameters.required"),
                ("bad_contract", "answer.schema"),
            ]
        );
        let result = contract(None, Some(Declared { file, content: &dated }));
        assert_eq!(places(&result), [("format_not_checked", "answer.schema")]);
    }
}
