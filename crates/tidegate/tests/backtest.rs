//! `tidegate backtest` from outside: recorded traffic in, verdicts out.
//!
//! The traffic is drawn here, from a seed, with differences nobody could miss:
//! what is tested is the replay, not the power of the tests behind it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

/// A policy, a folder of traces, and the binary run on them.
struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    fn new(policy: &Value) -> Self {
        let bench = Self { dir: tempfile::tempdir().unwrap() };
        fs::create_dir(bench.path("traces")).unwrap();
        fs::write(bench.path("policy.json"), policy.to_string()).unwrap();
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn trace(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path("traces").join(name), text).unwrap();
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("TIDEGATE_") {
                command.env_remove(name);
            }
        }
        command.env("HOME", self.dir.path()).current_dir(self.dir.path());
        command.args(["backtest", "--policy", "policy.json", "--traces", "traces"]).args(args);
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// The output file of a run that must succeed.
    #[track_caller]
    fn output(&self, args: &[&str]) -> String {
        let output = self.run(&[&["--out", "verdicts.jsonl"], args].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{said}");
        fs::read_to_string(self.path("verdicts.jsonl")).unwrap()
    }

    /// Verdicts by name of the trace.
    #[track_caller]
    fn verdicts(&self) -> BTreeMap<String, Value> {
        let lines = self.output(&[]);
        let parse = |line: &str| {
            let verdict: Value = serde_json::from_str(line).unwrap();
            (verdict["trace"].as_str().unwrap().to_owned(), verdict)
        };
        lines.lines().map(parse).collect()
    }

    /// The verdict on this one trace.
    #[track_caller]
    fn verdict(&self, text: impl AsRef<[u8]>) -> Value {
        self.trace("one.jsonl", text);
        self.verdicts().remove("one.jsonl").unwrap()
    }

    /// What is said about this trace, which must not be replayed.
    #[track_caller]
    fn refusal(&self, text: impl AsRef<[u8]>) -> String {
        self.trace("one.jsonl", text);
        // There may be one from a run before.
        fs::remove_file(self.path("verdicts.jsonl")).ok();
        let output = self.run(&["--out", "verdicts.jsonl"]);
        assert_eq!(output.status.code(), Some(2));
        assert!(output.stdout.is_empty() && !self.path("verdicts.jsonl").exists());
        String::from_utf8(output.stderr).unwrap()
    }
}

fn policy() -> Value {
    json!({
        "apiVersion": "tidegate/v1", "check_every": 60,
        "planned": {"duration": 14400, "requests": 14400, "share": 0.1},
        "risk": {"false_stop": 0.05, "false_promote": 0.10},
        "signals": [
            {"name": "error", "kind": "rate", "notice": {"times": 2.0}, "action": "rollback"},
            {"name": "quality", "kind": "score", "range": [0, 1], "worse": "lower",
             "notice": {"by": 0.1}, "action": "pause"},
        ],
    })
}

/// Uniform draws from a seed (splitmix64).
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// What one arm is like: how often it fails, how good it is on average.
#[derive(Clone, Copy)]
struct Is {
    error: f64,
    quality: f64,
}

const GOOD: Is = Is { error: 0.01, quality: 0.8 };
const FAILS: Is = Is { error: 0.5, quality: 0.8 };
const FOOL: Is = Is { error: 0.01, quality: 0.3 };

/// A request a second: `lines` of them, `more` added to each.
fn traffic(
    seed: u64,
    lines: usize,
    share: f64,
    [baseline, candidate]: [Is; 2],
    more: impl Fn(usize) -> String,
) -> String {
    let (mut draws, mut text) = (Draws(seed), String::new());
    for i in 0..lines {
        let is_candidate = draws.next() < share;
        let (arm, is) =
            if is_candidate { ("candidate", candidate) } else { ("baseline", baseline) };
        let error = u8::from(draws.next() < is.error);
        let quality = (is.quality + 0.2 * (draws.next() - 0.5)).clamp(0.0, 1.0);
        let t = i as f64 + draws.next();
        let more = more(i);
        writeln!(
            text,
            r#"{{"t": {t:.3}, "arm": "{arm}", "metrics": {{"error": {error}, "quality": {quality:.4}}}{more}}}"#
        )
        .unwrap();
    }
    text
}

fn plain(_: usize) -> String {
    String::new()
}

fn time_of(line: &str) -> f64 {
    serde_json::from_str::<Value>(line).unwrap()["t"].as_f64().unwrap()
}

/// The lines known at a time.
fn until(text: &str, time: f64) -> String {
    text.lines().filter(|line| time_of(line) <= time).map(|line| format!("{line}\n")).collect()
}

#[test]
fn each_trace_gets_the_verdict_its_numbers_ask_for() {
    let bench = Bench::new(&policy());
    bench.trace("fails.jsonl", traffic(1, 7200, 0.1, [GOOD, FAILS], plain));
    bench.trace("fool.jsonl", traffic(2, 7200, 0.1, [GOOD, FOOL], plain));
    bench.trace("better.jsonl", traffic(3, 14_400, 0.1, [Is { error: 0.3, ..GOOD }, GOOD], plain));
    bench.trace("short.jsonl", traffic(4, 30, 0.1, [GOOD, GOOD], plain));
    bench.trace("empty.jsonl", "");
    bench.trace("not-a-trace.json", "nonsense");
    bench.trace(".hidden.jsonl", "nonsense");
    let verdicts = bench.verdicts();
    let names: Vec<_> = verdicts.keys().map(String::as_str).collect();
    assert_eq!(names, ["better.jsonl", "empty.jsonl", "fails.jsonl", "fool.jsonl", "short.jsonl"]);
    for (name, decision, metric) in [
        ("fails.jsonl", "rollback", json!("error")),
        ("fool.jsonl", "pause", json!("quality")),
        ("better.jsonl", "promote", Value::Null),
        ("short.jsonl", "continue", Value::Null),
        ("empty.jsonl", "continue", Value::Null),
    ] {
        let verdict = &verdicts[name];
        assert_eq!((&verdict["decision"], &verdict["metric"]), (&json!(decision), &metric));
        let seen =
            verdict["n_candidate"].as_u64().unwrap() + verdict["n_baseline"].as_u64().unwrap();
        if decision == "continue" {
            assert!(verdict.get("at").is_none(), "{verdict}");
            continue;
        }
        // On the grid, and counting what was known by then: a request a second.
        let at = verdict["at"].as_u64().unwrap();
        assert!(at > 0 && at.is_multiple_of(60), "{verdict}");
        assert!(seen == at || seen == at - 1, "{verdict}");
        assert!(verdict["reason"].as_str().unwrap().contains(metric.as_str().unwrap_or("error")));
        assert_eq!(verdict["evidence"].as_array().unwrap().len(), 2);
    }
    assert_eq!(
        verdicts["short.jsonl"]["n_baseline"].as_u64().unwrap()
            + verdicts["short.jsonl"]["n_candidate"].as_u64().unwrap(),
        30
    );
    assert_eq!(verdicts["empty.jsonl"]["n_candidate"], 0);
}

#[test]
fn nothing_is_decided_on_what_was_not_known_yet() {
    let bench = Bench::new(&policy());
    for (seed, arms) in [(5, [GOOD, FAILS]), (6, [GOOD, FOOL]), (7, [FAILS, GOOD])] {
        let text = traffic(seed, 14_400, 0.1, arms, plain);
        let whole = bench.verdict(&text);
        let at = whole["at"].as_f64().unwrap_or_else(|| panic!("undecided: {whole}"));
        assert_eq!(bench.verdict(until(&text, at)), whole, "cut right after the decision");
        let earlier = bench.verdict(until(&text, at - 60.0));
        assert_eq!(earlier["decision"], "continue", "it was decided at {at}: {earlier}");
        // What comes later may be anything, whole or not.
        let opposite = traffic(seed, 14_400, 0.9, [arms[1], arms[0]], plain);
        let later: String =
            opposite.lines().filter(|l| time_of(l) > at).map(|l| format!("{l}\n")).collect();
        assert_eq!(bench.verdict(until(&text, at) + &later), whole, "another future");
        for broken in [
            format!("{{\"t\": {}, \"arm\": \"nobody\", \"metrics\": {{}}}}\n", at + 1.0),
            format!("{{\"arm\": 5, \"t\": {}}}\n", at + 0.001),
            format!("{later}\nnonsense\n"),
        ] {
            assert_eq!(bench.verdict(until(&text, at) + &broken), whole, "{broken:.80}");
        }
    }
}

#[test]
fn an_outcome_known_at_the_look_is_seen_and_one_just_after_is_not() {
    let mut plan = policy();
    plan["signals"][0] = json!({"name": "error", "kind": "rate", "limit": 0.2, "min_samples": 40,
        "action": "rollback"});
    let bench = Bench::new(&plan);
    let line =
        |t: f64| format!("{{\"t\": {t}, \"arm\": \"candidate\", \"metrics\": {{\"error\": 1}}}}\n");
    let all = |t: f64| std::iter::repeat_n(line(t), 40).collect::<String>();
    let verdict = bench.verdict(all(60.0));
    assert_eq!((&verdict["at"], &verdict["n_candidate"]), (&json!(60), &json!(40)), "{verdict}");
    for just_after in [60.000_001, 60.0001] {
        let verdict = bench.verdict(all(just_after));
        assert_eq!((&verdict["decision"], &verdict["at"]), (&json!("rollback"), &json!(120)));
    }
}

#[test]
fn names_order_and_workers_carry_nothing() {
    let texts: Vec<String> = (0..6)
        .map(|i| traffic(20 + i, 2400, 0.1, [GOOD, if i % 2 == 0 { FAILS } else { GOOD }], plain))
        .collect();
    let by_text = |names: [&str; 6], args: &[&str]| {
        let bench = Bench::new(&policy());
        for (name, text) in names.iter().zip(&texts) {
            bench.trace(name, text);
        }
        let output = bench.output(args);
        assert_eq!(output, bench.output(args), "the same inputs, the same verdicts");
        let verdicts: Vec<Value> =
            output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let listed: Vec<_> = verdicts.iter().map(|v| v["trace"].as_str().unwrap()).collect();
        assert!(listed.is_sorted(), "{listed:?}");
        let find = |name: &&str| {
            let mut verdict = verdicts.iter().find(|v| v["trace"] == **name).unwrap().clone();
            verdict.as_object_mut().unwrap().remove("trace");
            verdict
        };
        names.iter().map(find).collect::<Vec<_>>()
    };
    let one = ["a.jsonl", "b.jsonl", "c.jsonl", "d.jsonl", "e.jsonl", "f.jsonl"];
    let other = ["z9.jsonl", "0.jsonl", "good.jsonl", "rollback.jsonl", "é.jsonl", "a.b.jsonl"];
    let verdicts = by_text(one, &["--jobs", "1"]);
    assert_eq!(verdicts, by_text(other, &["--jobs", "5"]));
    assert_eq!(verdicts[0]["decision"], "rollback");
    assert_ne!(verdicts[1]["decision"], "rollback");
}

#[test]
fn the_policy_is_a_rollout_plan_in_yaml_or_json() {
    let bench = Bench::new(&policy());
    let text = traffic(8, 2400, 0.1, [GOOD, FAILS], plain);
    let json = bench.verdict(&text);
    let yaml = "\
apiVersion: tidegate/v1
check_every: 60s
planned: {duration: 4h, requests: 14400, share: 10%}
risk: {false_stop: 5%, false_promote: 10%}
steps:
  - weight: {share: 10%, hold: 30m}
  - promote: {}
signals:
  - {name: error, kind: rate, notice: {times: 2}, action: rollback}
  - {name: quality, kind: score, range: [0, 1], worse: lower, notice: {by: 0.1}, action: pause}
";
    fs::write(bench.path("policy.json"), yaml).unwrap();
    assert_eq!(bench.verdict(&text), json);

    fs::write(bench.path("policy.json"), yaml.replace("quality", "error").replace("60s", "0s"))
        .unwrap();
    let said = bench.refusal(&text);
    for part in ["policy.json:2:", "check_every", "policy.json:10:", "a second time"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    fs::remove_file(bench.path("policy.json")).unwrap();
    assert!(bench.refusal(&text).contains("`policy.json`"));
}

#[test]
fn shares_units_segments_and_pairs_are_read() {
    let bench = Bench::new(&policy());
    // A ramp: each line says its share; the policy's would be wrong.
    let early = traffic(9, 1200, 0.05, [GOOD, FAILS], |_| r#", "share": 0.05"#.to_owned());
    assert_eq!(bench.verdict(&early)["decision"], "rollback");
    let sticky = |i: usize| format!(r#", "unit": "u{}", "segment": {}, "share": 0.1"#, i, i % 3);
    let text = traffic(10, 2400, 0.1, [GOOD, FAILS], sticky);
    assert_eq!(bench.verdict(&text)["decision"], "rollback");
    // Without a share of its own a trace needs the plan's.
    let mut plan = policy();
    plan["planned"].as_object_mut().unwrap().remove("share");
    fs::write(bench.path("policy.json"), plan.to_string()).unwrap();
    assert_eq!(bench.verdict(&text)["decision"], "rollback");
    let said = bench.refusal(traffic(11, 10, 0.1, [GOOD, GOOD], plain));
    assert!(said.contains("line 1") && said.contains("`planned.share`"), "{said}");
    // Pairs need none: both arms answered the same input.
    let mut draws = Draws(12);
    let mut pairs = String::new();
    for i in 0..600 {
        for (arm, rate) in [("baseline", 0.01), ("candidate", 0.5)] {
            let error = u8::from(draws.next() < rate);
            writeln!(
                pairs,
                r#"{{"t": {i}, "arm": "{arm}", "metrics": {{"error": {error}}}, "pair": {i}}}"#
            )
            .unwrap();
        }
    }
    let verdict = bench.verdict(&pairs);
    assert_eq!((&verdict["decision"], &verdict["metric"]), (&json!("rollback"), &json!("error")));
    assert_eq!(verdict["n_candidate"], verdict["n_baseline"]);
    // An outcome that could only go one way is no evidence, and no error.
    let sure = traffic(13, 2400, 0.1, [GOOD, FAILS], |i| format!(r#", "share": {}"#, i % 2));
    assert_eq!(bench.verdict(sure)["decision"], "continue");
}

#[test]
fn a_broken_limit_must_last_and_a_told_one_never_stops() {
    let plan = |sustained: Value, action: &str| {
        let mut plan = policy();
        plan["signals"] = json!([{"name": "error", "kind": "rate", "limit": 0.2, "min_samples": 5,
            "sustained": sustained, "action": action}]);
        plan
    };
    // Too bad for the limit, and not so bad that it acts at once.
    let text = traffic(14, 3600, 0.5, [GOOD, Is { error: 0.35, ..GOOD }], plain);
    let at = |sustained, action| {
        let verdict = Bench::new(&plan(sustained, action)).verdict(&text);
        (verdict["decision"].as_str().unwrap().to_owned(), verdict["at"].as_u64())
    };
    let (decision, first) = at(json!({"checks": 1}), "rollback");
    let first = first.unwrap();
    assert_eq!(decision, "rollback");
    let paused = |at| ("pause".to_owned(), Some(at));
    assert_eq!(at(json!({"checks": 3}), "pause"), paused(first + 120));
    assert_eq!(at(json!({"for": "5m"}), "require_approval"), paused(first + 300));
    assert_eq!(at(json!({"checks": 1}), "notify"), ("continue".to_owned(), None));
    assert_eq!(at(json!(null), "notify"), ("continue".to_owned(), None));
}

#[test]
fn a_look_may_come_long_after_the_recording_ends() {
    let mut plan = policy();
    plan["check_every"] = json!("24h");
    let verdict = Bench::new(&plan).verdict(traffic(15, 1200, 0.1, [GOOD, FAILS], plain));
    assert_eq!((&verdict["decision"], &verdict["at"]), (&json!("rollback"), &json!(86_400)));
    // Times between whole seconds are told as they are.
    plan["check_every"] = json!("62500ms");
    let verdict = Bench::new(&plan).verdict(traffic(15, 1200, 0.1, [GOOD, FAILS], plain));
    let at = verdict["at"].as_f64().unwrap();
    assert_eq!((at * 1000.0) % 62_500.0, 0.0, "{verdict}");
    // Years without an outcome are no work.
    plan["check_every"] = json!("1s");
    let late = "{\"t\": 300000000, \"arm\": \"candidate\", \"metrics\": {}}\n";
    let text = traffic(16, 20, 0.1, [GOOD, GOOD], plain) + late;
    assert_eq!(Bench::new(&plan).verdict(text)["decision"], "continue");
}

#[test]
fn every_bad_trace_is_named_with_its_place_and_nothing_is_written() {
    let bench = Bench::new(&policy());
    let good = "{\"t\": 1, \"arm\": \"baseline\", \"metrics\": {\"error\": 0}}\n";
    let long = format!("{{\"t\": 1, \"note\": \"{}\"}}\n", "x".repeat(1 << 20));
    for (text, says) in [
        (
            format!("{good}{{\"t\": 2, \"arm\": \"canary\", \"metrics\": {{}}}}\n"),
            "line 2, column 24: `canary`",
        ),
        (
            format!("{good}\r\n\n{{\"t\": 2, \"arm\": \"candidate\"}}\n"),
            "line 4, column 28: `metrics` is missing",
        ),
        (
            format!("{good}{{\"t\": 2, \"arm\": \"candidate\", \"metrics\": {{\"error\": NaN}}}}"),
            "line 2, column 51: ",
        ),
        (
            format!("{good}{}", good.replace("1,", "0.5,")),
            "line 2: `t` is 0.5, and 1 on a line before",
        ),
        (format!("{good}{}", good.trim_end().trim_end_matches('}')), "line 2, column 50: "),
        (format!("{good}{long}"), "line 2: the line is longer than 1 MiB"),
        (format!("{good}\u{1}\n"), "line 2, column 1: "),
    ] {
        let said = bench.refusal(&text);
        assert!(said.contains(&format!("`one.jsonl`, {says}")), "{says}: {said}");
        assert!(said.contains("nothing was written") && said.ends_with("exit 2\n"), "{said}");
    }
    // Not text.
    let said =
        bench.refusal([b"{\"t\": 1, \"arm\": \"\xff\"}\n".as_slice(), good.as_bytes()].concat());
    assert!(said.contains("`one.jsonl`, line 1, column"), "{said}");
    // Several at once, and what was there stays.
    bench.trace("two.jsonl", "nonsense");
    bench.trace("good.jsonl", good);
    fs::write(bench.path("verdicts.jsonl"), "from before").unwrap();
    let output = bench.run(&["--out", "verdicts.jsonl", "-o", "json"]);
    assert_eq!(output.status.code(), Some(2));
    let document: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(document["detail"], "2 of 3 traces cannot be replayed");
    let why = document["why"].as_str().unwrap();
    assert!(why.contains("`one.jsonl`, line 1") && why.contains("`two.jsonl`, line 1"), "{why}");
    assert_eq!(fs::read_to_string(bench.path("verdicts.jsonl")).unwrap(), "from before");
    let left: Vec<_> = fs::read_dir(bench.dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with(".verdicts"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn what_cannot_be_done_at_all_is_said_before_any_work() {
    let bench = Bench::new(&policy());
    let refused = |args: &[&str], says: &str| {
        let output = bench.run(args);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains(says), "{says}: {said}");
    };
    refused(&["--out", "v.jsonl"], "there is no trace in `traces`");
    bench.trace("one.jsonl", "");
    refused(&[], "--out");
    refused(&["--out", "no/such/folder/v.jsonl"], "cannot write `no/such/folder/v.jsonl`");
    refused(&["--out", "traces"], "cannot write `traces`");
    refused(&["--out", "v.jsonl", "--jobs", "0"], "--jobs");
    refused(&["--explain", "other"], "there is no trace `other`");
    refused(&["--out", "v.jsonl", "--traces", "policy.json"], "--traces");
}

#[test]
fn the_output_may_lie_among_the_traces() {
    let bench = Bench::new(&policy());
    bench.trace("one.jsonl", traffic(17, 100, 0.1, [GOOD, GOOD], plain));
    for _ in 0..2 {
        let output = bench.run(&["--out", "traces/verdicts.jsonl", "-o", "json"]);
        let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&summary["traces"], &summary["decisions"]["continue"]), (&json!(1), &json!(1)));
    }
}

#[test]
fn a_verdict_can_be_explained() {
    let bench = Bench::new(&policy());
    bench.trace("bad.jsonl", traffic(18, 7200, 0.1, [GOOD, FAILS], plain));
    let verdict = bench.verdicts().remove("bad.jsonl").unwrap();
    for name in ["bad", "bad.jsonl"] {
        let output = bench.run(&["--explain", name, "-o", "json"]);
        assert!(output.status.success());
        let lines: Vec<Value> = String::from_utf8(output.stdout)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let (last, looks) = lines.split_last().unwrap();
        assert_eq!(last, &verdict);
        let times: Vec<u64> = looks.iter().map(|look| look["at"].as_u64().unwrap()).collect();
        assert_eq!(times.first(), Some(&60), "the first data");
        assert_eq!(times.last(), verdict["at"].as_u64().as_ref(), "the decision");
        assert!(times.is_sorted_by(|a, b| a < b), "{times:?}");
        let decisive = &looks.last().unwrap()["signals"];
        assert_eq!(decisive, &verdict["evidence"]);
        assert_eq!(decisive[0]["outcome"], "fail");
    }
    let output = bench.run(&["--explain", "bad"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let (last, rows) = lines.split_last().unwrap();
    assert_eq!(*last, verdict["reason"].as_str().unwrap());
    assert!(rows.iter().all(|row| row.split('\t').count() == 9), "{text}");
    assert!(rows.iter().any(|row| row.contains("\terror\tworse\t")), "{text}");
}

/// A trace far larger than the memory there is.
#[test]
#[cfg(target_os = "linux")]
fn a_trace_larger_than_memory_is_read() {
    use std::io::Write as _;
    let bench = Bench::new(&policy());
    let note = format!(r#", "note": "{}""#, "x".repeat(60_000));
    let file = fs::File::create(bench.path("traces/large.jsonl")).unwrap();
    let mut file = std::io::BufWriter::new(file);
    for line in traffic(19, 4000, 0.1, [GOOD, GOOD], plain).lines() {
        writeln!(file, "{}{note}}}", line.trim_end_matches('}').to_owned() + "}").unwrap();
    }
    drop(file);
    let size = fs::metadata(bench.path("traces/large.jsonl")).unwrap().len();
    let memory = 96 << 20;
    assert!(size > 2 * memory, "{size}");
    let command = bench.command(&["--out", "v.jsonl"]);
    let limited = Command::new("sh")
        .args(["-c", &format!("ulimit -d {} && exec \"$@\"", memory >> 10), "sh"])
        .arg(command.get_program())
        .args(command.get_args())
        .current_dir(bench.dir.path())
        .output()
        .unwrap();
    assert!(limited.status.success(), "{}", String::from_utf8_lossy(&limited.stderr));
    let verdict: Value =
        serde_json::from_str(&fs::read_to_string(bench.path("v.jsonl")).unwrap()).unwrap();
    assert_eq!(verdict["trace"], "large.jsonl");
}
