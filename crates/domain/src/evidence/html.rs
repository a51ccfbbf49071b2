//! `report.html`: the story for people, readable offline.
//!
//! What stands in it was typed by people and made by models, so nothing of it is
//! trusted: every value goes through [`text`], there is no script, no link to
//! elsewhere, no picture, and the page's own policy forbids all three.

use super::{ChangePart, LoggedEntry, ReleasePart, RolloutPart, Story};
use crate::audit::{Actor, Entry};
use crate::component::Component;
use crate::finding::GateOutcome;
use crate::units::Timestamp;
use std::fmt::Write as _;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;\
padding:0 1rem;color:#1a1a1a;background:#fff}h2{margin-top:2.5rem}table{border-collapse:collapse;\
width:100%}th,td{text-align:left;vertical-align:top;padding:.3rem .6rem;border-bottom:1px solid #ccc}\
pre{overflow:auto;background:#f3f3f3;padding:1rem;white-space:pre-wrap}code{word-break:break-all}\
@media(prefers-color-scheme:dark){body{color:#e8e8e8;background:#161616}pre{background:#242424}}";
/// Longest diff shown, in characters; the whole is in its file.
const MAX_DIFF: usize = 20_000;
/// Most looks of a rollout shown; all that are told are in their file.
const MAX_LOOKS: usize = 50;

/// A value as it may stand between tags and in attributes: markup is written
/// out, and what moves or hides letters (controls, direction marks) is shown by
/// its number.
pub(super) fn text(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}' => put(&mut out, format_args!("[U+{:04X}]", u32::from(c))),
            _ if c.is_control() => put(&mut out, format_args!("[U+{:04X}]", u32::from(c))),
            _ => out.push(c),
        }
    }
    out
}

/// Writing to a string cannot fail.
fn put(out: &mut String, what: std::fmt::Arguments<'_>) {
    out.write_fmt(what).unwrap_or_default();
}

/// The page.
pub(super) fn report(story: &Story) -> String {
    let title = format!("Evidence: {} of {}", story.subject, story.app);
    let mut out = String::new();
    put(
        &mut out,
        format_args!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" \
             content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n\
             <title>{title}</title><style>{STYLE}</style></head><body><main>\n<h1>{title}</h1>\n",
            title = text(&title),
        ),
    );
    put(
        &mut out,
        format_args!(
            "<p>Written by Tidegate {} of <code>{}</code>. This page is for reading; \
             <code>VERIFY.md</code> says how to check that it is true. Times are UTC.</p>\n",
            text(&story.tool_version),
            text(&story.origin),
        ),
    );
    if let Some(release) = &story.release {
        contents(&mut out, release, story);
    }
    for part in &story.changes {
        change(&mut out, part);
    }
    for part in &story.rollouts {
        rollout(&mut out, part);
    }
    incidents(&mut out, story);
    log(&mut out, &story.entries);
    if !story.left_out.is_empty() {
        out.push_str("<h2>Left out</h2>\n");
        let rows = story.left_out.iter().map(|l| {
            let digest = l.digest.map(|d| d.to_string()).unwrap_or_default();
            [l.what.clone(), l.why.clone(), digest]
        });
        table(&mut out, ["what", "why", "digest"], rows);
    }
    out.push_str("</main></body></html>\n");
    out
}

fn table<const N: usize>(
    out: &mut String,
    heads: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) {
    out.push_str("<table><thead><tr>");
    for head in heads {
        put(out, format_args!("<th scope=\"col\">{}</th>", text(head)));
    }
    out.push_str("</tr></thead><tbody>\n");
    for row in rows {
        out.push_str("<tr>");
        for cell in row {
            put(out, format_args!("<td><bdi>{}</bdi></td>", text(&cell)));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table>\n");
}

fn facts(out: &mut String, facts: &[(&str, String)]) {
    let rows = facts.iter().filter(|(_, value)| !value.is_empty());
    table(out, ["", ""], rows.map(|(name, value)| [(*name).to_owned(), value.clone()]));
}

fn when(at: Timestamp) -> String {
    at.iso()
}

fn label(component: &Option<Component>) -> String {
    component.as_ref().map_or_else(|| "none".to_owned(), Component::label)
}

fn contents(out: &mut String, release: &ReleasePart, story: &Story) {
    put(out, format_args!("<h2>Release <code>{}</code></h2>\n", release.id));
    facts(
        out,
        &[
            ("composed", when(release.created_at)),
            ("from commit", release.commit.clone()),
            ("compared with", release.before.map(|b| b.to_string()).unwrap_or_default()),
        ],
    );
    let before = |kind| release.differences.iter().find(|d| d.kind == kind);
    let rows = release.manifest.components.iter().map(|(kind, component)| {
        let difference = match before(*kind) {
            Some(d) if !d.same() => format!("was {}", label(&d.before)),
            Some(_) => "as before".to_owned(),
            None => String::new(),
        };
        [kind.key().to_owned(), component.label(), component.digest.to_string(), difference]
    });
    table(out, ["component", "name and version", "SHA-256 of its content", "against before"], rows);
    for (kind, diff) in &release.texts {
        put(out, format_args!("<h3>What changed in: {}</h3>\n", kind.key()));
        pre(out, diff, &format!("release/difference/{}.diff", kind.key()));
    }
    if !story.aliases.is_empty() {
        put(
            out,
            format_args!("<h3>When <code>{}</code> pointed at it</h3>\n", text(&story.environment)),
        );
        let rows = story.aliases.iter().map(|a| {
            [when(a.from), a.until.map_or_else(|| "still".to_owned(), when), a.by.clone()]
        });
        table(out, ["from", "until", "by"], rows);
    }
}

fn pre(out: &mut String, diff: &str, file: &str) {
    let shown: String = diff.chars().take(MAX_DIFF).collect();
    put(out, format_args!("<pre>{}</pre>\n", text(&shown)));
    if shown.len() < diff.len() {
        put(out, format_args!("<p>Cut here; the whole is in <code>{}</code>.</p>\n", text(file)));
    }
}

fn change(out: &mut String, part: &ChangePart) {
    let c = &part.change;
    put(out, format_args!("<h2>Change {}: <bdi>{}</bdi></h2>\n", c.id, text(&c.title)));
    put(out, format_args!("<p><bdi>{}</bdi></p>\n", text(&c.why)));
    let authors: Vec<String> = c.contributors.iter().map(ToString::to_string).collect();
    facts(
        out,
        &[
            ("proposed by", c.author.to_string()),
            ("commits by", authors.join(", ")),
            ("proposed", when(c.created_at)),
            ("state", word(&c.state)),
            ("content", c.content.to_string()),
            ("branch", c.branch.clone()),
            ("head", c.head.clone()),
            ("merged as", c.merge_commit.clone().unwrap_or_default()),
            ("taken back by", c.revert_commit.clone().unwrap_or_default()),
        ],
    );
    out.push_str("<h3>Approvals</h3>\n");
    let rows = c.approvals.iter().map(|a| {
        let counts = if a.content == c.content { "this content" } else { "an earlier content" };
        [
            a.by.to_string(),
            a.role.to_string(),
            word(&a.decision),
            a.comment.clone(),
            when(a.at),
            format!("{counts}: {}", a.content),
        ]
    });
    table(out, ["who", "as", "said", "why", "when", "on"], rows);
    out.push_str("<h3>Checks</h3>\n");
    let rows = c.report.iter().flat_map(|r| &r.gates).map(|gate| {
        let outcome = match gate.outcome {
            GateOutcome::Passed => "passed",
            GateOutcome::Warned => "warned",
            GateOutcome::Failed => "failed",
            GateOutcome::Skipped => "not run",
        };
        let found: Vec<&str> = gate.findings.iter().map(|f| f.message.as_str()).collect();
        [gate.title.clone(), outcome.to_owned(), gate.summary.clone(), found.join("\n")]
    });
    table(out, ["check", "result", "in words", "found"], rows);
    out.push_str("<h3>The files it alters</h3>\n");
    pre(out, &part.diff, &format!("change/{}/change.diff", c.id));
}

/// The word a value has in JSON.
fn word(value: &impl serde::Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value.as_str().unwrap_or_default().replace('_', " ")
}

fn rollout(out: &mut String, part: &RolloutPart) {
    let state = &part.state;
    put(out, format_args!("<h2>Rollout {}</h2>\n", state.id));
    let decision = state.decision.as_ref().map(|d| d.text.clone()).unwrap_or_default();
    facts(
        out,
        &[
            ("candidate", state.candidate.to_string()),
            ("everyone else had", state.stable.to_string()),
            ("began", when(state.started_at)),
            ("phase", state.phase.word().replace('_', " ")),
            ("decided", state.decided_at.map(when).unwrap_or_default()),
            ("decided by", state.decided_by.as_ref().map(ToString::to_string).unwrap_or_default()),
            ("decision", decision),
        ],
    );
    if let Some(last) = part.looks.last() {
        out.push_str("<h3>The numbers of the last look</h3>\n");
        let number = |n: Option<f64>| n.map(|n| format!("{n:.6}")).unwrap_or_default();
        let rows = last.signals.iter().map(|s| {
            let v = &s.verdict;
            [
                v.signal.clone(),
                word(&v.outcome),
                number(v.candidate.value),
                number(v.control.value),
                number(v.limit),
                format!("{} / {}", v.candidate.n, v.control.n),
                s.text.text.clone(),
            ]
        });
        let heads =
            ["signal", "verdict", "new", "today", "limit", "answers new / today", "in words"];
        table(out, heads, rows);
    }
    out.push_str("<h3>Looks that said something new</h3>\n");
    let skipped = part.looks.len().saturating_sub(MAX_LOOKS);
    if skipped > 0 {
        let file = format!("rollout/{}/looks.jsonl", state.id);
        put(out, format_args!("<p>{skipped} earlier ones are in <code>{file}</code>.</p>\n"));
    }
    let rows = part.looks.iter().skip(skipped).map(|look| {
        [
            when(look.at),
            format!("{} of {}", look.step + 1, look.steps),
            format!("{}", look.exposure.weight),
            look.summary.text.clone(),
        ]
    });
    table(out, ["when", "step", "share", "in words"], rows);
}

fn incidents(out: &mut String, story: &Story) {
    for incident in &story.incidents {
        put(out, format_args!("<h2>Incident {}</h2>\n", incident.id));
        put(out, format_args!("<p><bdi>{}</bdi></p>\n", text(&incident.what.text)));
        facts(
            out,
            &[
                ("opened", when(incident.opened_at)),
                (
                    "by",
                    incident
                        .opened_by
                        .as_ref()
                        .map_or_else(|| "the controller".to_owned(), ToString::to_string),
                ),
                ("why", incident.reason.clone().unwrap_or_default()),
                ("requests exposed", incident.requests_exposed.to_string()),
                ("requests harmed", incident.requests_harmed.to_string()),
                ("closed", incident.closed_at.map(when).unwrap_or_default()),
            ],
        );
    }
}

fn log(out: &mut String, entries: &[LoggedEntry]) {
    out.push_str("<h2>Who did what, when and why</h2>\n");
    let rows = entries.iter().map(|logged| {
        let Ok(entry) = serde_json::from_slice::<Entry>(&logged.bytes) else {
            return [
                logged.index.to_string(),
                String::new(),
                String::new(),
                String::new(),
                String::new(),
                String::new(),
            ];
        };
        let who = match &entry.actor {
            Actor::Person(name) => name.to_string(),
            Actor::Controller => "the controller".to_owned(),
            Actor::System => "the system".to_owned(),
        };
        let why = entry.reason.unwrap_or_default();
        [logged.index.to_string(), when(entry.at), who, entry.action, entry.object, why]
    });
    table(out, ["entry", "when", "who", "what", "on", "why"], rows);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_value_is_markup_or_moves_letters() {
        let hostile = "<script>alert(1)</script>\u{202e}\"'&\0\u{feff}<!--";
        let safe = text(hostile);
        assert!(!safe.contains(['<', '>', '"', '\'', '\u{202e}', '\0', '\u{feff}']), "{safe}");
        assert!(safe.contains("&lt;script&gt;") && safe.contains("[U+202E]"), "{safe}");
        assert_eq!(text("plain\ntext"), "plain\ntext");
    }
}
