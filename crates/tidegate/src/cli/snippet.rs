//! The code that calls an app, as it would have to be typed: with the app's
//! variables filled in, so that it runs as it is printed.

use clap::ValueEnum;
use domain::snapshot::Variable;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Languages a snippet can be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Lang {
    /// Python, the official `openai` package.
    Python,
    /// TypeScript, the official `openai` package.
    Ts,
    /// curl.
    Curl,
    /// Rust, `async-openai`.
    Rust,
}

/// What a caller of an app sends.
#[derive(Debug, Default, Deserialize)]
pub struct Call {
    /// The variables of production's prompt.
    variables: BTreeMap<String, Variable>,
    /// True if the prompt needs messages of the caller.
    conversation: bool,
}

impl Call {
    /// What to fill in: what the app declares as an example. A variable that
    /// may be left out and has no example is left out.
    fn vars(&self) -> BTreeMap<&str, Value> {
        self.variables
            .iter()
            .filter(|(_, v)| v.required && v.default.is_none() || v.example.is_some())
            .map(|(name, v)| {
                let value = v.example.clone().unwrap_or_else(|| Value::from(format!("<{name}>")));
                (name.as_str(), value)
            })
            .collect()
    }
}

/// The exact code that calls an app through the gateway.
pub fn snippet(app: &str, gateway: &str, call: &Call, lang: Lang) -> String {
    let (template, indent) = match lang {
        Lang::Python => (include_str!("snippets/python.txt"), "    "),
        Lang::Ts => (include_str!("snippets/ts.txt"), "  "),
        Lang::Curl => (include_str!("snippets/curl.txt"), ""),
        Lang::Rust => (include_str!("snippets/rust.txt"), "        "),
    };
    let messages =
        if call.conversation { r#"[{"role": "user", "content": "Hello"}]"# } else { "[]" };
    // What the app's authors wrote goes in last: it may hold anything.
    template
        .replace("{{app}}", app)
        .replace("{{gateway}}", gateway)
        .replace("{{messages}}", messages)
        .replace("{{vars}}", &vars(&call.vars(), indent, lang))
}

/// An object of the variables: a line each, or all on the one line of a shell.
fn vars(vars: &BTreeMap<&str, Value>, indent: &str, lang: Lang) -> String {
    if vars.is_empty() {
        return "{}".to_owned();
    }
    if lang == Lang::Curl {
        // Within single quotes a shell lets everything stand but these.
        let text = vars.iter().map(|(name, value)| format!("{}: {value}", Value::from(*name)));
        let text = text.collect::<Vec<_>>().join(", ");
        return format!("{{{}}}", text.replace('\'', r"'\''"));
    }
    let lines: String = vars
        .iter()
        .map(|(name, value)| {
            let (name, value) = (literal(&Value::from(*name), lang), literal(value, lang));
            format!("{indent}    {name}: {value},\n")
        })
        .collect();
    format!("{{\n{lines}{indent}}}")
}

/// A value as the language writes it.
fn literal(value: &Value, lang: Lang) -> String {
    match (value, lang) {
        (Value::Null, Lang::Python) => "None".to_owned(),
        (Value::Bool(true), Lang::Python) => "True".to_owned(),
        (Value::Bool(false), Lang::Python) => "False".to_owned(),
        // Rust has no `\u0007` and no `\b`.
        (Value::String(text), Lang::Rust) => format!("{text:?}"),
        (Value::Array(items), _) => {
            let items: Vec<_> = items.iter().map(|item| literal(item, lang)).collect();
            format!("[{}]", items.join(", "))
        }
        (Value::Object(fields), _) => {
            let fields: Vec<_> = fields
                .iter()
                .map(|(name, value)| {
                    let name = literal(&Value::from(name.as_str()), lang);
                    format!("{name}: {}", literal(value, lang))
                })
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
        (other, _) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const LANGS: [Lang; 4] = [Lang::Python, Lang::Ts, Lang::Curl, Lang::Rust];

    fn call() -> Call {
        serde_json::from_value(json!({
            "variables": {
                "customer": {"required": true, "example": "O'Hara"},
                "tone": {"required": false, "default": "warm"},
                "urgent": {"required": true, "example": true},
                "ticket": {"required": true},
            },
            "conversation": true,
        }))
        .unwrap()
    }

    #[test]
    fn snippets_name_the_app_and_the_gateway() {
        for lang in LANGS {
            let code = snippet("qa", "http://gw:1", &Call::default(), lang);
            assert!(code.contains("app/qa") && code.contains("http://gw:1/v1"), "{lang:?}\n{code}");
            assert!(!code.contains("{{"), "{lang:?}\n{code}");
        }
    }

    #[test]
    fn snippets_hold_what_the_app_asks_for() {
        let code: Vec<_> = LANGS.map(|lang| snippet("qa", "http://gw:1", &call(), lang)).into();
        insta::assert_snapshot!(code.join("\n––––\n"));
    }

    #[test]
    fn curls_body_is_json_once_the_shell_has_read_it() {
        let code = snippet("qa", "http://gw:1", &call(), Lang::Curl);
        let body = code.split_once("-d '").unwrap().1.trim_end().strip_suffix('\'').unwrap();
        let body: Value = serde_json::from_str(&body.replace(r"'\''", "'")).unwrap();
        assert_eq!(
            body["tidegate"]["vars"],
            json!({"customer": "O'Hara", "ticket": "<ticket>", "urgent": true})
        );
    }
}
