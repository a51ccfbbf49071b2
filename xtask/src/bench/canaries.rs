//! Canaries on recorded answers of real models.
//!
//! Builds a plain ops repo with one app for each pair of models and the
//! recordings, and drives it as people would: `init`, `serve`, `change create`,
//! `change approve`, `traffic replay`, `rollout get`. Every rollout of a set has
//! the same policy; nothing knows which pair must end how, except the table the
//! decisions are compared with at the end.

use super::sets::{self, Row, Rows, SETS, Set};
use crate::server::{self, Server};
use crate::{Failed, args::Args, tools};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

const HELP: &str = "\
cargo xtask bench canaries --data DIR [--set NAME] [--canary BASE:CANDIDATE=EXPECTED]...
                           [--output json]

Rolls one real model out against another on their recorded answers to the same
questions; the human label of each answer is posted as feedback. Prints for each
pair the decision, how many requests the candidate answered, how many of them did
harm, and the reason. Ends with 1 if a decision is not the expected one.

  --data DIR      folder with `ragtruth_qa` and `xstest`; TIDEGATE_BENCH_DATA if absent
  --set NAME      only this set; with --canary: the set of its models
  --canary B:C=E  this pair instead of the default ones; E is rollback, promote or
                  hold (neither, a pause included). May be repeated
  --output json   one JSON document
";

/// What must come out, by the human labels.
const DEFAULT: [(&str, &str, &str, Decision); 8] = [
    ("ragtruth_qa", "gpt-4-0613", "llama-2-7b-chat", Decision::Rollback),
    ("ragtruth_qa", "gpt-4-0613", "llama-2-13b-chat", Decision::Rollback),
    ("ragtruth_qa", "gpt-3.5-turbo-0613", "llama-2-7b-chat", Decision::Rollback),
    ("ragtruth_qa", "llama-2-7b-chat", "gpt-4-0613", Decision::Promote),
    ("ragtruth_qa", "llama-2-13b-chat", "gpt-3.5-turbo-0613", Decision::Promote),
    ("ragtruth_qa", "llama-2-13b-chat", "llama-2-70b-chat", Decision::Hold),
    ("ragtruth_qa", "llama-2-70b-chat", "llama-2-13b-chat", Decision::Hold),
    ("xstest", "mistralguard", "mistralinstruct", Decision::Rollback),
];

/// How often each question is asked, by another subject each time: with half of
/// them on either arm, all but one question in two thousand is answered by both.
const REPEAT: usize = 12;
/// Requests a second for each pair.
const RATE: &str = "60";
/// Looks of the controller after the last answer before "neither" is believed.
const LOOKS_AFTER: u32 = 5;
/// How often the tests draw a wrong decision again.
const AGAIN: u32 = 2;
/// Longest a pair may take.
const WITHIN: Duration = Duration::from_secs(240);

/// How a rollout can end here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Decision {
    /// Went back by itself.
    Rollback,
    /// Live for everyone.
    Promote,
    /// Neither: still waiting, or paused for a person.
    Hold,
}

impl Decision {
    fn word(self) -> &'static str {
        match self {
            Self::Rollback => "rollback",
            Self::Promote => "promote",
            Self::Hold => "hold",
        }
    }
}

/// One pair of models.
struct Canary {
    set: Set,
    app: String,
    base: String,
    candidate: String,
    expected: Decision,
}

/// What came out.
#[derive(Debug, Serialize)]
struct Outcome {
    set: &'static str,
    base: String,
    candidate: String,
    expected: Decision,
    decision: Decision,
    right: bool,
    questions: usize,
    requests: u64,
    harmed: u64,
    reason: String,
}

/// Runs what the words ask for.
pub fn run(words: &[String]) -> Result<ExitCode, Failed> {
    let Some(mut args) = Args::read(words, HELP) else { return Ok(ExitCode::SUCCESS) };
    let data = super::data_folder(&mut args)?
        .ok_or("no data folder is given; add `--data DIR` or set TIDEGATE_BENCH_DATA")?;
    let only = args.value("--set")?.map(|name| sets::named(&name)).transpose()?;
    let pairs = args.values("--canary")?;
    let as_json = match args.value("--output")?.as_deref() {
        None | Some("table") => false,
        Some("json") => true,
        Some(other) => return Err(crate::args::unknown("output", other, &["table", "json"])),
    };
    args.done()?;
    let rows = read(&data, only)?;
    let canaries = if pairs.is_empty() { default(only)? } else { given(&pairs, &rows)? };
    let outcomes = all_of(&canaries, &rows, as_json)?;
    if as_json {
        let text = serde_json::to_string_pretty(&outcomes).map_err(|e| e.to_string())?;
        println!("{text}");
    }
    let wrong = outcomes.iter().filter(|o| !o.right).count();
    if !as_json {
        println!("{} right, {wrong} wrong", outcomes.len() - wrong);
    }
    Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The default list on this data; an error if a decision is wrong.
///
/// Who gets which answer is drawn anew each time, and verdicts are right at a
/// stated risk only: the close pairs come out otherwise in about one draw of
/// twenty. So a wrong one is drawn [`AGAIN`] times more, and must then be right
/// each time. A verdict that is really wrong is wrong again.
pub fn all(data: &Path) -> Result<(), Failed> {
    let rows = read(data, None)?;
    let mut canaries = default(None)?;
    let outcomes = all_of(&canaries, &rows, false)?;
    let mut right = outcomes.iter().map(|outcome| outcome.right);
    canaries.retain(|_| right.next() == Some(false));
    for _ in 0..AGAIN {
        if canaries.is_empty() {
            return Ok(());
        }
        println!("drawing {} again", canaries.len());
        let outcomes = all_of(&canaries, &rows, false)?;
        match outcomes.iter().filter(|o| !o.right).count() {
            0 => {}
            wrong => return Err(format!("{wrong} decisions are wrong in two draws")),
        }
    }
    Ok(())
}

type BySet = BTreeMap<&'static str, Rows>;

fn read(data: &Path, only: Option<Set>) -> Result<BySet, Failed> {
    SETS.into_iter()
        .filter(|set| only.is_none_or(|only| only.name == set.name))
        // A folder may hold one of the sets alone.
        .filter(|set| only.is_some() || data.join(set.name).is_dir())
        .map(|set| Ok((set.name, Rows::read(data, set)?)))
        .collect()
}

fn default(only: Option<Set>) -> Result<Vec<Canary>, Failed> {
    DEFAULT
        .iter()
        .filter(|(set, ..)| only.is_none_or(|only| only.name == *set))
        .enumerate()
        .map(|(i, (set, base, candidate, expected))| {
            canary(i, sets::named(set)?, base, candidate, *expected)
        })
        .collect()
}

fn given(pairs: &[String], rows: &BySet) -> Result<Vec<Canary>, Failed> {
    pairs
        .iter()
        .enumerate()
        .map(|(i, text)| {
            let wanted = || {
                format!("`--canary {text}` is not of the form BASE:CANDIDATE=rollback|promote|hold")
            };
            let (pair, expected) = text.rsplit_once('=').ok_or_else(wanted)?;
            let (base, candidate) = pair.split_once(':').ok_or_else(wanted)?;
            let expected = [Decision::Rollback, Decision::Promote, Decision::Hold]
                .into_iter()
                .find(|d| d.word() == expected)
                .ok_or_else(wanted)?;
            let set = rows
                .iter()
                .find(|(_, rows)| rows.models().contains(base) && rows.models().contains(candidate))
                .map(|(set, _)| *set)
                .ok_or_else(|| {
                    let known: Vec<&str> = rows.values().flat_map(Rows::models).collect();
                    format!(
                        "no set has answers of both `{base}` and `{candidate}`; there are {}",
                        known.join(", ")
                    )
                })?;
            canary(i, sets::named(set)?, base, candidate, expected)
        })
        .collect()
}

fn canary(
    i: usize,
    set: Set,
    base: &str,
    candidate: &str,
    expected: Decision,
) -> Result<Canary, Failed> {
    Ok(Canary {
        set,
        app: format!("canary-{}", i + 1),
        base: base.to_owned(),
        candidate: candidate.to_owned(),
        expected,
    })
}

/// Runs every canary on one server and prints each as it ends.
fn all_of(canaries: &[Canary], rows: &BySet, quiet: bool) -> Result<Vec<Outcome>, Failed> {
    let folder = server::fresh("bench-canaries")?;
    let questions: Vec<Vec<Question<'_>>> =
        canaries.iter().map(|canary| questions(canary, rows)).collect::<Result<_, _>>()?;
    ops_repo(&folder.join("ops"), canaries, rows)?;
    let binary = tools::tidegate()?;
    let server = Server::start(&binary, &folder, &[])?;
    let editor = server.person("editor", "editor,operator")?;
    let approver = server.person("approver", "approver")?;
    let people = People { editor, approver };
    let mut outcomes = Vec::new();
    // All pairs at once: they are apps of their own.
    std::thread::scope(|scope| {
        let work: Vec<_> = canaries
            .iter()
            .zip(&questions)
            .map(|(canary, asked)| {
                let (server, people, folder) = (&server, &people, &folder);
                scope.spawn(move || one(server, people, folder, canary, asked))
            })
            .collect();
        for thread in work {
            let outcome = thread.join().map_err(|_| "a canary broke down".to_owned())??;
            if !quiet {
                show(&outcome);
            }
            outcomes.push(outcome);
        }
        Ok::<(), Failed>(())
    })?;
    Ok(outcomes)
}

fn show(outcome: &Outcome) {
    let mark = if outcome.right { "ok   " } else { "WRONG" };
    println!(
        "{mark} {:11} {} -> {}: {}{}\n      {} questions, {} candidate requests, {} harmed\n      {}",
        outcome.set,
        outcome.base,
        outcome.candidate,
        outcome.decision.word(),
        if outcome.right {
            String::new()
        } else {
            format!(" (expected {})", outcome.expected.word())
        },
        outcome.questions,
        outcome.requests,
        outcome.harmed,
        outcome.reason
    );
}

struct People {
    editor: String,
    approver: String,
}

/// A question both models answered.
struct Question<'a> {
    base: &'a Row,
    candidate: &'a Row,
}

fn questions<'a>(canary: &Canary, rows: &'a BySet) -> Result<Vec<Question<'a>>, Failed> {
    let rows = rows
        .get(canary.set.name)
        .ok_or_else(|| format!("the data folder has no `{}`", canary.set.name))?;
    let (base, candidate) = (rows.of(&canary.base), rows.of(&canary.candidate));
    let both: Vec<Question<'a>> = base
        .iter()
        .filter_map(|(source, base)| Some(Question { base, candidate: candidate.get(source)? }))
        .collect();
    if both.is_empty() {
        return Err(format!(
            "`{}` and `{}` have no answer to the same question in `{}`",
            canary.base, canary.candidate, canary.set.name
        ));
    }
    Ok(both)
}

/// The whole ops repo: apps, models, recordings.
fn ops_repo(folder: &Path, canaries: &[Canary], rows: &BySet) -> Result<(), Failed> {
    let put = |path: &str, text: &str| server::write(&folder.join(path), text);
    put("tidegate.yaml", "apiVersion: tidegate/v1\n")?;
    let mut models = BTreeSet::new();
    for canary in canaries {
        let app = format!("apps/{}", canary.app);
        put(&format!("{app}/app.yaml"), APP)?;
        put(&format!("{app}/release.yaml"), &release(&canary.base))?;
        put(&format!("{app}/rollout.yaml"), &ROLLOUT.replace("SIGNAL", canary.set.signal))?;
        put(
            &format!("{app}/fallback.yaml"),
            "apiVersion: tidegate/v1\nhand_over: A colleague answers.\n",
        )?;
        put(&format!("{app}/prompts/answer/prompt.yaml"), PROMPT)?;
        put(&format!("{app}/prompts/answer/user.j2"), "{{ prompt }}\n")?;
        models.extend([
            (canary.set.name, canary.base.as_str()),
            (canary.set.name, canary.candidate.as_str()),
        ]);
    }
    for (set, model) in models {
        let slug = slug(model);
        let answers = rows.get(set).map(|rows| rows.of(model)).unwrap_or_default();
        let recordings: String = answers
            .values()
            .map(|row| {
                let line = json!({"model": model, "key": row.source, "response": row.response});
                format!("{line}\n")
            })
            .collect();
        put(&format!("recordings/{set}/{slug}.jsonl"), &recordings)?;
        put(
            &format!("models/{slug}.yaml"),
            &MODEL
                .replace("RECORDINGS", &format!("recordings/{set}/{slug}.jsonl"))
                .replace("MODEL", model),
        )?;
    }
    Ok(())
}

/// A model's name as a file name.
fn slug(model: &str) -> String {
    model.to_ascii_lowercase()
}

const APP: &str = "\
apiVersion: tidegate/v1
owner: benchmark
risk: medium
audience: internal
variables:
  source_id: {example: '1'}
  prompt: {example: How do I kill a process?}
approvals:
  - {role: approver, count: 1}
timeout: 10s
retries: 0
";

const PROMPT: &str = "\
apiVersion: tidegate/v1
version: 1.0.0
changelog: The question as it is.
messages:
  - {role: user, template: user.j2}
";

const MODEL: &str = "\
apiVersion: tidegate/v1
version: 1.0.0
provider: {kind: replay, key: '{{ source_id }}', recordings: [RECORDINGS]}
provider_model: 'MODEL'
context_window: 16000
tokenizer: cl100k_base
prices: {input_per_million: 1, output_per_million: 2}
";

/// One policy for every pair. Half of the subjects on either side, and what is
/// measured is what people said about the answers. The risks are chosen for some
/// eighty different questions: drawing the questions of this data anew, each of
/// the default decisions comes out as it must in about 95 % of the draws, the
/// close pairs included, which a looser risk would decide and a tighter one
/// would leave the clear ones waiting for.
const ROLLOUT: &str = "\
apiVersion: tidegate/v1
subject: user
check_every: 500ms
risk: {false_stop: 2%, false_promote: 5%}
steps:
  - weight: {share: 50%, until: evidence, at_most: 24h}
  - promote: {}
signals:
  - {name: SIGNAL, kind: rate, worse: higher, notice: {times: 1.1}, min_samples: 20, action: rollback}
  - {name: error, kind: rate, worse: higher, limit: 5%, action: pause}
missing: {hold_for: 30m, then: pause}
";

fn release(model: &str) -> String {
    format!(
        "apiVersion: tidegate/v1\nversion: 1.0.0\nprompt: answer\nmodel: {}\nparameters: {{temperature: 0}}\n",
        slug(model)
    )
}

/// One canary from proposal to its end.
fn one(
    server: &Server,
    people: &People,
    folder: &Path,
    canary: &Canary,
    asked: &[Question<'_>],
) -> Result<Outcome, Failed> {
    let began = Instant::now();
    let in_words = |e: Failed| format!("{} -> {}: {e}", canary.base, canary.candidate);
    let rollout = propose(server, people, folder, canary).map_err(in_words)?;
    let traffic = traffic(folder, canary, asked)?;
    let harmed = replay(server, people, canary, &traffic).map_err(in_words)?;
    let (decision, last) = wait(server, people, &rollout, began).map_err(in_words)?;
    let number = |pointer: &str| last.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
    let reason = ["/decision/text", "/report/summary/text"]
        .iter()
        .find_map(|p| last.pointer(p).and_then(Value::as_str))
        .unwrap_or_default();
    Ok(Outcome {
        set: canary.set.name,
        base: canary.base.clone(),
        candidate: canary.candidate.clone(),
        expected: canary.expected,
        decision,
        right: decision == canary.expected,
        questions: asked.len(),
        requests: number("/requests_exposed"),
        harmed,
        reason: format!("{reason}{}", measured(&last, canary.set.signal)),
    })
}

fn verdict<'a>(rollout: &'a Value, signal: &str) -> Option<&'a Value> {
    rollout
        .pointer("/report/signals")?
        .as_array()?
        .iter()
        .filter_map(|row| row.get("verdict"))
        .find(|verdict| verdict.get("signal").and_then(Value::as_str) == Some(signal))
}

/// The numbers behind the reason.
fn measured(rollout: &Value, signal: &str) -> String {
    let Some(verdict) = verdict(rollout, signal) else { return String::new() };
    let arm = |name: &str| {
        let number = |key: &str| {
            verdict.pointer(&format!("/{name}/{key}")).and_then(Value::as_u64).unwrap_or(0)
        };
        format!("{name} {} of {}", number("bad"), number("n"))
    };
    format!(" [{signal}: {}, {}]", arm("candidate"), arm("control"))
}

/// Proposes the candidate and has it approved; gives the rollout's id.
fn propose(
    server: &Server,
    people: &People,
    folder: &Path,
    canary: &Canary,
) -> Result<String, Failed> {
    let edited = folder.join(format!("{}-release.yaml", canary.app));
    server::write(&edited, &release(&canary.candidate))?;
    let file = format!("apps/{}/release.yaml=@{}", canary.app, edited.display());
    let why = format!("Try {} in the place of {}.", canary.candidate, canary.base);
    let change = server.json(
        &people.editor,
        &["change", "create", "--app", &canary.app, "--why", &why, "--file", &file, "--wait=60s"],
    )?;
    let id = server::text(&change, "/id").or_else(|_| {
        change.get("id").map(ToString::to_string).ok_or("the change has no id".to_owned())
    })?;
    server.json(&people.approver, &["change", "approve", &id])?;
    let began = Instant::now();
    loop {
        let change = server.json(&people.editor, &["change", "get", &id])?;
        match change.get("rollout") {
            Some(Value::String(rollout)) => return Ok(rollout.clone()),
            Some(Value::Number(rollout)) => return Ok(rollout.to_string()),
            _ if began.elapsed() > WITHIN => {
                return Err(format!(
                    "no rollout started; the change says: {}",
                    change.pointer("/summary/text").unwrap_or(&Value::Null)
                ));
            }
            _ => std::thread::sleep(Duration::from_millis(200)),
        }
    }
}

/// The requests: every question once, with the label of either model's answer.
fn traffic(folder: &Path, canary: &Canary, asked: &[Question<'_>]) -> Result<PathBuf, Failed> {
    let mut lines = String::new();
    for question in asked {
        let label = |row: &Row| u8::from(row.harms);
        let line = json!({
            "vars": {"source_id": question.base.source, "prompt": question.base.prompt},
            "feedback": {
                canary.set.signal: {
                    &question.base.model: label(question.base),
                    &question.candidate.model: label(question.candidate),
                },
            },
        });
        lines.push_str(&line.to_string());
        lines.push('\n');
    }
    let path = folder.join(format!("{}-traffic.jsonl", canary.app));
    server::write(&path, &lines)?;
    Ok(path)
}

/// Sends every question often enough for both models to answer it, or until the
/// rollout has ended. Gives how many of the candidate's answers did harm.
fn replay(
    server: &Server,
    people: &People,
    canary: &Canary,
    traffic: &Path,
) -> Result<u64, Failed> {
    let (file, repeat) = (traffic.display().to_string(), REPEAT.to_string());
    let words = [
        "traffic",
        "replay",
        "--app",
        &canary.app,
        "--file",
        &file,
        "--gateway",
        &server.gateway,
        "--rate",
        RATE,
        "--repeat",
        &repeat,
        "--shuffle",
        "--subjects",
        "random",
        "--until-rollout-ends",
        "--until-paused",
    ];
    let report = server.json(&people.editor, &words)?;
    let count = |key: &str| report.get(key).and_then(Value::as_u64).unwrap_or(0);
    let errors = report.get("errors").and_then(Value::as_array).map_or(0, Vec::len);
    if count("sent") == 0 || count("unanswered") + count("labels_failed") > 0 || errors > 0 {
        return Err(format!("the traffic of {} did not go through: {report}", canary.app));
    }
    Ok(count("harmed"))
}

/// Waits until the rollout is decided, or has looked often enough at all of the
/// evidence without a decision.
fn wait(
    server: &Server,
    people: &People,
    rollout: &str,
    began: Instant,
) -> Result<(Decision, Value), Failed> {
    let mut looks = BTreeSet::new();
    loop {
        let view = server.json(&people.editor, &["rollout", "get", rollout])?;
        let decision = match view.pointer("/phase/name").and_then(Value::as_str) {
            Some("promoted") => Some(Decision::Promote),
            Some("rolled_back") => Some(Decision::Rollback),
            Some("paused") => Some(Decision::Hold),
            _ => None,
        };
        if let Some(decision) = decision {
            return Ok((decision, view));
        }
        looks.extend(view.pointer("/report/at").and_then(Value::as_i64));
        if looks.len() > LOOKS_AFTER as usize
            && view.pointer("/phase/name").and_then(Value::as_str) == Some("running")
        {
            return Ok((Decision::Hold, view));
        }
        if began.elapsed() > WITHIN {
            return Err(format!("not decided within {} s: {view}", WITHIN.as_secs()));
        }
        std::thread::sleep(Duration::from_millis(300));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data() -> tools::Folder {
        let folder = tools::Folder::temporary("canaries-test");
        let row = |source: &str, model: &str, bad: bool| {
            json!({"source_id": source, "prompt": "p", "model": model, "response": "r", "hallucinated": bad}).to_string()
        };
        let rows = [
            row("1", "Old", false),
            row("2", "Old", true),
            row("2", "New", false),
            row("3", "New", true),
        ];
        server::write(&folder.path().join("ragtruth_qa/responses.jsonl"), &rows.join("\n"))
            .expect("written");
        folder
    }

    #[test]
    fn only_questions_both_models_answered_are_asked() {
        let folder = data();
        let rows = read(folder.path(), None).expect("one set is enough");
        let pairs = ["Old:New=hold".to_owned()];
        let canaries = given(&pairs, &rows).expect("both models are there");
        let asked = questions(&canaries[0], &rows).expect("one question");
        let labels: Vec<_> = asked
            .iter()
            .map(|q| (q.base.source.as_str(), q.base.harms, q.candidate.harms))
            .collect();
        assert_eq!(labels, [("2", true, false)]);
        assert_eq!(canaries[0].expected, Decision::Hold);
    }

    #[test]
    fn what_is_missing_or_misspelt_is_named() {
        let folder = data();
        let rows = read(folder.path(), None).expect("reads");
        for (pair, word) in [
            ("Old:New", "rollback|promote|hold"),
            ("Old:New=later", "rollback|promote|hold"),
            ("Old:Newer=hold", "`Newer`"),
        ] {
            let error = given(&[pair.to_owned()], &rows).err().expect("refused");
            assert!(error.contains(word), "{error}");
        }
        let absent = read(folder.path(), Some(SETS[1])).err().expect("there is no xstest");
        assert!(absent.contains("xstest"), "{absent}");
    }
}
