//! Laws of reading: nothing panics, and nothing but content enters an id.

use crate::scaffold::starter;
use crate::{Files, parse};
use domain::ids::{AppName, ReleaseId};
use proptest::prelude::*;
use serde_json::Value;

fn app() -> AppName {
    "demo".parse().unwrap()
}

fn release_of(files: &Files) -> ReleaseId {
    let (desired, findings) = parse(files);
    assert_eq!(findings, []);
    desired.compose(&app()).unwrap().id
}

/// One path of every kind of file there is.
const KINDS: [&str; 13] = [
    "tidegate.yaml",
    "apps/demo/app.yaml",
    "apps/demo/release.yaml",
    "apps/demo/rollout.yaml",
    "apps/demo/fallback.yaml",
    "apps/demo/prompts/summary/prompt.yaml",
    "apps/demo/prompts/summary/system.j2",
    "apps/demo/prompts/_shared/own.j2",
    "prompts/_shared/facts-only.j2",
    "apps/demo/evals/recordings/starter.jsonl",
    "models/recorded.yaml",
    "models/live.yaml",
    "environments/production/aliases.yaml",
];

/// Every answer is made, whatever was read.
fn use_all(files: &Files) {
    let (desired, findings) = parse(files);
    for app in desired.apps.keys() {
        drop(desired.compose(app));
        desired.content_digest(app);
        desired.blobs(app);
    }
    for finding in findings {
        assert!(finding.place.is_some() && !finding.mend.is_empty(), "{finding:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn arbitrary_bytes_never_panic(kind in 0..KINDS.len(), bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut files = starter(&app());
        files.insert(KINDS[kind].to_owned(), bytes);
        use_all(&files);
    }

    #[test]
    fn arbitrary_yaml_like_text_never_panics(kind in 0..KINDS.len(), text in "([-a-z:{}\\[\\]&*!|>'\"#%?, .0-9\n\t\r]|apiVersion: tidegate/v1\n|  |- ){0,60}") {
        let mut files = starter(&app());
        files.insert(KINDS[kind].to_owned(), text.into_bytes());
        use_all(&files);
    }

    #[test]
    fn a_file_with_a_piece_changed_never_panics(
        kind in 0..KINDS.len(),
        at in any::<prop::sample::Index>(),
        len in 0_usize..12,
        put in "([-a-z:{}\\[\\]&*!|>'\"#%?, .0-9\n\té€🙂]){0,8}",
    ) {
        let mut files = starter(&app());
        let text = files.entry(KINDS[kind].to_owned()).or_insert_with(|| b"x".to_vec());
        let from = at.index(text.len());
        let to = (from + len).min(text.len());
        text.splice(from..to, put.bytes());
        use_all(&files);
    }

    #[test]
    fn paths_of_any_kind_never_panic(path in "(apps|models|environments|prompts|[a-z.]{1,4})(/(_shared|prompts|[^/]{0,5})){0,4}(\\.yaml|\\.yml|\\.j2)?") {
        let mut files = starter(&app());
        files.insert(path, b"apiVersion: tidegate/v1\n".to_vec());
        use_all(&files);
    }

    /// Key order, comments, quotes, block or flow, line ends: none enters the id.
    #[test]
    fn the_style_of_yaml_never_changes_the_id(seed in any::<u64>()) {
        let files = starter(&app());
        let expected = release_of(&files);
        let mut style = Style(seed | 1);
        let restyled: Files = files
            .iter()
            .map(|(path, bytes)| {
                let text = std::str::from_utf8(bytes).unwrap();
                let text = if path.ends_with(".yaml") {
                    let value: Value = serde_saphyr::from_str(text).unwrap();
                    let mut out = String::new();
                    style.map(&value, 0, &mut out);
                    out
                } else {
                    text.to_owned()
                };
                let text = if style.one_in(2) { text.replace('\n', "\r\n") } else { text };
                (path.clone(), text.into_bytes())
            })
            .collect();
        let shown: Vec<String> = restyled.values().map(|b| String::from_utf8_lossy(b).into_owned()).collect();
        let (desired, findings) = parse(&restyled);
        prop_assert_eq!(&findings, &[], "{}", shown.join("\n---\n"));
        prop_assert_eq!(desired.compose(&app()).unwrap().id, expected, "{}", shown.join("\n---\n"));
    }
}

/// Writes a value as YAML in one of many styles.
struct Style(u64);

impl Style {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.next().is_multiple_of(n)
    }

    fn comment(&mut self, out: &mut String) {
        if self.one_in(4) {
            out.push_str("  # a remark: [not] {content}");
        }
        out.push('\n');
        if self.one_in(6) {
            out.push('\n');
        }
    }

    fn map(&mut self, value: &Value, indent: usize, out: &mut String) {
        let mut entries: Vec<_> = value.as_object().unwrap().iter().collect();
        for i in (1..entries.len()).rev() {
            let j = usize::try_from(self.next() % (i as u64 + 1)).unwrap();
            entries.swap(i, j);
        }
        for (key, value) in entries {
            out.push_str(&" ".repeat(indent));
            let key =
                if self.one_in(4) { serde_json::to_string(key).unwrap() } else { key.clone() };
            out.push_str(&format!("{key}:"));
            self.value(value, indent, out);
        }
    }

    fn value(&mut self, value: &Value, indent: usize, out: &mut String) {
        let flow = self.one_in(3);
        match value {
            Value::Object(map) if !map.is_empty() && !flow => {
                self.comment(out);
                self.map(value, indent + 3, out);
            }
            Value::Array(items) if !items.is_empty() && !flow => {
                self.comment(out);
                for item in items {
                    out.push_str(&format!("{}- ", " ".repeat(indent + 2)));
                    self.flow(item, out);
                    self.comment(out);
                }
            }
            Value::String(text) if text.contains('\n') && !flow => {
                out.push_str(" |-\n");
                for line in text.lines() {
                    out.push_str(&format!("{}{line}\n", " ".repeat(indent + 2)));
                }
            }
            _ => {
                out.push(' ');
                self.flow(value, out);
                self.comment(out);
            }
        }
    }

    fn flow(&mut self, value: &Value, out: &mut String) {
        match value {
            Value::Object(map) => {
                let parts: Vec<String> = map
                    .iter()
                    .map(|(key, value)| {
                        let mut text = format!("{key}: ");
                        self.flow(value, &mut text);
                        text
                    })
                    .collect();
                out.push_str(&format!("{{ {} }}", parts.join(" , ")));
            }
            Value::Array(items) => {
                let parts: Vec<String> = items
                    .iter()
                    .map(|item| {
                        let mut text = String::new();
                        self.flow(item, &mut text);
                        text
                    })
                    .collect();
                out.push_str(&format!("[{}]", parts.join(",")));
            }
            Value::String(text) if !text.contains('\n') && self.one_in(2) => {
                out.push_str(&format!("'{}'", text.replace('\'', "''")));
            }
            other => out.push_str(&other.to_string()),
        }
    }
}

fn edited(path: &str, old: &str, new: &str) -> Files {
    let mut files = starter(&app());
    let text = String::from_utf8(files[path].clone()).unwrap();
    assert!(text.contains(old), "{path} has no `{old}`");
    files.insert(path.to_owned(), text.replacen(old, new, 1).into_bytes());
    files
}

#[test]
fn everything_that_shapes_an_answer_changes_the_id() {
    let before = release_of(&starter(&app()));
    for (path, old, new) in [
        ("apps/demo/prompts/summary/system.j2", "three short", "two short"),
        ("apps/demo/prompts/summary/user.j2", "Ticket", "Case"),
        ("apps/demo/prompts/summary/prompt.yaml", "version: 1.0.0", "version: 1.0.1"),
        ("apps/demo/prompts/summary/prompt.yaml", "role: system", "role: user"),
        ("prompts/_shared/facts-only.j2", "Say only", "Say"),
        ("apps/demo/app.yaml", "default: English", "default: German"),
        ("apps/demo/release.yaml", "temperature: 0", "temperature: 0.5"),
        ("apps/demo/release.yaml", "max_tokens: 200", "max_tokens: 201"),
        ("apps/demo/release.yaml", "model: recorded", "model: live"),
        (
            "apps/demo/release.yaml",
            "parameters:",
            "tools: {version: 1.0.0, list: [search]}\nparameters:",
        ),
        ("models/recorded.yaml", "context_window: 8192", "context_window: 8193"),
        ("models/recorded.yaml", "output_per_million: 0.60", "output_per_million: 0.61"),
        (
            "apps/demo/evals/recordings/starter.jsonl",
            "The charger was missing",
            "A charger was missing",
        ),
    ] {
        assert_ne!(release_of(&edited(path, old, new)), before, "{path}: {new}");
    }
}

#[test]
fn one_number_written_in_several_ways_is_one_number() {
    let before = release_of(&starter(&app()));
    for zero in ["0.0", "-0", "0e5", "0x0", "+0", ".0"] {
        let files =
            edited("apps/demo/release.yaml", "temperature: 0", &format!("temperature: {zero}"));
        assert_eq!(release_of(&files), before, "{zero}");
    }
    let text = edited("apps/demo/release.yaml", "temperature: 0", "temperature: '0'");
    assert_ne!(release_of(&text), before);
}

#[test]
fn what_shapes_no_answer_changes_the_content_digest_alone() {
    let files = starter(&app());
    let before = release_of(&files);
    let digest = parse(&files).0.content_digest(&app());
    for (path, old, new) in [
        ("apps/demo/app.yaml", "owner: support-tools", "owner: others"),
        ("apps/demo/app.yaml", "description: Number", "description: The number"),
        ("apps/demo/prompts/summary/prompt.yaml", "First version", "The first version"),
        ("apps/demo/rollout.yaml", "share: 5%", "share: 6%"),
        ("apps/demo/fallback.yaml", "A colleague takes", "Somebody takes"),
        ("models/recorded.yaml", "tags: [recorded]", "tags: [replay]"),
    ] {
        let files = edited(path, old, new);
        assert_eq!(release_of(&files), before, "{path}: {new}");
        assert_ne!(parse(&files).0.content_digest(&app()), digest, "{path}: {new}");
    }
}

#[test]
fn files_of_others_change_nothing() {
    let files = starter(&app());
    let digest = parse(&files).0.content_digest(&app());
    for other in ["models/live.yaml", "README.md"] {
        let mut files = files.clone();
        files.remove(other);
        assert_eq!(parse(&files).0.content_digest(&app()), digest, "{other}");
    }
    let touched = parse(&files).0.apps_touched(["models/live.yaml", "apps/other/app.yaml"]);
    assert!(touched.is_empty());
    assert_eq!(parse(&files).0.apps_touched(["models/recorded.yaml"]).len(), 1);
}

#[test]
fn faults_of_another_app_do_not_keep_this_one_from_its_release() {
    let mut files = starter(&app());
    let before = release_of(&files);
    files.insert("apps/broken/app.yaml".into(), b"owner: [".to_vec());
    let (desired, findings) = parse(&files);
    assert!(!findings.is_empty());
    assert_eq!(desired.compose(&app()).unwrap().id, before);
    assert!(!desired.compose(&"broken".parse().unwrap()).unwrap_err().is_empty());
    files.insert("apps/demo/app.yaml".into(), b"owner: [".to_vec());
    let errors = parse(&files).0.compose(&app()).unwrap_err();
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].place.as_ref().unwrap().file, "apps/demo/app.yaml");
}

#[test]
fn limits_are_findings() {
    let mut files = starter(&app());
    files.insert("apps/demo/app.yaml".into(), vec![b'#'; crate::limits::MAX_YAML_LEN + 1]);
    files.insert(
        "apps/demo/prompts/summary/user.j2".into(),
        vec![b'x'; crate::limits::MAX_TEMPLATE_LEN + 1],
    );
    let many: String = (0..crate::limits::MAX_YAML_NODES).map(|_| "1,").collect();
    files.insert(
        "apps/demo/release.yaml".into(),
        format!("parameters: {{a: [{many}]}}").into_bytes(),
    );
    files.insert(
        "apps/demo/fallback.yaml".into(),
        b"apiVersion: tidegate/v1\ndefault: \xff\n".to_vec(),
    );
    let (_, findings) = parse(&files);
    let codes: Vec<&str> = findings.iter().map(|f| f.code.as_str()).collect();
    assert_eq!(codes.iter().filter(|c| **c == "too_large").count(), 3, "{codes:?}");
    let utf8 = findings.iter().find(|f| f.code == "not_utf8").unwrap().place.clone().unwrap();
    assert_eq!((utf8.line, utf8.column), (Some(2), Some(10)));
}
