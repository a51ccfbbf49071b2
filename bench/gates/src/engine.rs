//! What the evaluation engine costs beside the model: time, memory, and whether
//! two runs say the same.
//!
//! Time is held against the floor that no engine can beat, calls × latency ÷
//! calls at once, and against a bare client that makes the same calls just before:
//! on a busy machine timers are late for everybody. Memory is the peak of a process that does one
//! run and nothing else.

#![expect(clippy::disallowed_methods, reason = "a benchmark measures time")]

use crate::provider::{bare, serve};
use crate::world::World;
use crate::{Failed, runtime, show_json};
use domain::ids::Digest;
use evals::{EvalReport, How, Limits, Options, SuiteReport, evaluate};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

/// Simulated model latency.
const LATENCY: Duration = Duration::from_millis(200);
/// Cases of a timed run; each is asked of both releases.
const TIMED: usize = 320;
/// Calls at once.
const AT_ONCE: usize = 16;
/// Largest overhead allowed.
const MAX_OVERHEAD: f64 = 0.05;
/// Cases of the runs from recordings, five repeats each.
const SIZES: [usize; 3] = [1_000, 10_000, 10_000];
const REPEATS: usize = 5;
/// Most memory of the largest run, in MiB.
const MAX_MIB: f64 = 512.0;

/// All of it.
#[derive(Serialize)]
struct Report {
    ok: bool,
    time: Timed,
    recorded: Vec<Recorded>,
    /// The two largest runs gave the same bytes.
    byte_identical: bool,
}

#[derive(Serialize)]
struct Timed {
    calls: u64,
    at_once: usize,
    latency_ms: u64,
    /// Calls × latency ÷ calls at once.
    floor_s: f64,
    /// What a bare client takes for the same calls.
    bare_s: f64,
    wall_s: f64,
    /// Wall time over the floor, less one.
    over_floor: f64,
    /// Wall time over the bare client's, less one: what is held against the limit.
    overhead: f64,
    max_overhead: f64,
}

/// One run from recordings.
#[derive(Serialize, Deserialize)]
struct Recorded {
    cases: usize,
    repeats: usize,
    wall_s: f64,
    /// Peak of the process, in MiB; none where the system does not tell.
    peak_mib: Option<f64>,
    /// Of these, what files and recordings take before the run begins.
    before_mib: Option<f64>,
    /// Digest of the report's bytes.
    report: String,
}

/// Measures all, each in a process of its own where memory counts.
pub(crate) fn run(as_json: bool) -> Result<bool, Failed> {
    let time = timed()?;
    let own = std::env::current_exe().map_err(|e| e.to_string())?;
    let mut recorded: Vec<Recorded> = Vec::new();
    for cases in SIZES {
        let mut command = Command::new(&own);
        let output = command.args(["--recorded", &cases.to_string()]).output();
        let output = output.map_err(|e| format!("the run of {cases} cases did not start: {e}"))?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        recorded.push(serde_json::from_slice(&output.stdout).map_err(|e| e.to_string())?);
    }
    let byte_identical = match recorded.as_slice() {
        [.., one, two] => one.report == two.report,
        _ => false,
    };
    let bounded = recorded.iter().all(|run| run.peak_mib.is_none_or(|mib| mib <= MAX_MIB));
    let ok = time.overhead <= MAX_OVERHEAD && bounded && byte_identical;
    let report = Report { ok, time, recorded, byte_identical };
    if as_json {
        show_json(&report)?
    } else {
        say(&report)
    }
    Ok(ok)
}

fn say(report: &Report) {
    let time = &report.time;
    println!(
        "{} calls of {} ms, {} at once: {:.2} s; the floor is {:.2} s ({:+.1} %), a bare client took {:.2} s: {:.1} % overhead (at most {:.0} %)",
        time.calls,
        time.latency_ms,
        time.at_once,
        time.wall_s,
        time.floor_s,
        100.0 * time.over_floor,
        time.bare_s,
        100.0 * time.overhead,
        100.0 * time.max_overhead
    );
    for run in &report.recorded {
        let mib = |mib: Option<f64>| mib.map_or("?".to_owned(), |mib| format!("{mib:.0}"));
        println!(
            "{} cases × {} repeats of two releases from recordings: {:.1} s, peak {} MiB (at most {MAX_MIB:.0}), of these {} before the run",
            run.cases,
            run.repeats,
            run.wall_s,
            mib(run.peak_mib),
            mib(run.before_mib)
        );
    }
    let same = if report.byte_identical { "the same bytes" } else { "DIFFERENT bytes" };
    println!("two runs of the same inputs: {same}");
}

/// A suite with checks, measures and cost, and two systems.
fn world(cases: usize, repeats: usize, more: &str) -> World {
    let expected =
        |i: usize| format!("Order {i} left the warehouse on Monday and arrives on Thursday.");
    let answers = |extra: &'static str, repeats: usize| {
        (0..cases)
            .flat_map(move |i| (0..repeats).map(move |k| (i, k)))
            .map(|(i, k)| {
                let mark = if k == 0 { String::new() } else { format!("#{k}") };
                let late = if (i + k) % 17 == 0 { " It is late." } else { "" };
                (format!("c-{i}{mark}"), format!("{}{extra}{late}", expected(i)))
            })
            .collect::<Vec<_>>()
    };
    World {
        suite: format!(
            "title: Orders\nfiles: [cases.jsonl]\nrepeats: {repeats}\n{more}\
             checks:\n  - length: {{at_most: 40}}\n  - not_contains: [\"as an AI\"]\n  - free: [secrets]\n\
             pass: {{at_least: 90%}}\nscores:\n  - {{metric: rouge_l, not_worse_by: 0.05}}\n  - {{metric: recall, not_worse_by: 0.05}}\n\
             cost: {{tokens: 15%}}\n"
        ),
        cases: (0..cases)
            .map(|i| {
                let id = format!("c-{i}");
                json!({"id": id, "variables": {"id": id}, "expected": [expected(i)]})
            })
            .collect(),
        answers: [
            ("before".to_owned(), answers("", repeats)),
            ("after".to_owned(), answers(" Thank you.", repeats)),
        ]
        .into(),
        prompt: "{{ id }}".to_owned(),
        ..World::default()
    }
}

/// Time beside a provider with a latency.
fn timed() -> Result<Timed, Failed> {
    let provider = runtime()?;
    let listener = provider.block_on(TcpListener::bind("127.0.0.1:0"));
    let listener = listener.map_err(|e| format!("no port: {e}"))?;
    let port = listener.local_addr().map_err(|e| e.to_string())?.port();
    let reply = Arc::new(|_: &[u8]| "Order 1 left the warehouse on Monday.".to_owned());
    provider.spawn(serve(listener, reply, LATENCY));
    let mut world = world(TIMED, 1, "tier: paid\ntoken_cap: 100000000\n");
    world.live = Some(port);
    // Answers come from the provider; only the names of the systems are needed.
    world.answers.values_mut().for_each(Vec::clear);
    let folder = std::env::temp_dir().join(format!("tidegate-bench-{}", std::process::id()));
    let (loaded, releases) = world.ready("before", "after")?;
    let limits = Limits { concurrency: AT_ONCE, ..Limits::default() };
    let how = How { limits, journal: Some(folder.clone()), ..How::default() };
    let runtime = runtime()?;
    let calls = 2 * TIMED as u64;
    let begun = Instant::now();
    runtime.block_on(bare(port, calls, AT_ONCE)).map_err(|e| e.to_string())?;
    let bare_s = begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    let report = runtime.block_on(evaluate(loaded, &releases, &how, &|_| {}));
    let wall = begun.elapsed().as_secs_f64();
    std::fs::remove_dir_all(&folder).ok();
    let asked = report.pass.asked;
    if asked != TIMED as u64 || report.scores.iter().any(|s| s.cases != TIMED) {
        return Err(format!("{asked} of {TIMED} cases were answered: {:?}", report.findings));
    }
    let floor = calls as f64 * LATENCY.as_secs_f64() / AT_ONCE as f64;
    Ok(Timed {
        calls,
        at_once: AT_ONCE,
        latency_ms: u64::try_from(LATENCY.as_millis()).unwrap_or(u64::MAX),
        floor_s: floor,
        bare_s,
        wall_s: wall,
        over_floor: wall / floor - 1.0,
        overhead: wall / bare_s - 1.0,
        max_overhead: MAX_OVERHEAD,
    })
}

/// One run from recordings in this process; prints what it took.
pub(crate) fn recorded(cases: usize) -> Result<bool, Failed> {
    let (loaded, releases) = world(cases, REPEATS, "").ready("before", "after")?;
    let before_mib = memory("VmRSS:");
    let how = How { options: Options::default(), ..How::default() };
    let begun = Instant::now();
    let report = runtime()?.block_on(evaluate(loaded, &releases, &how, &|_| {}));
    let wall_s = begun.elapsed().as_secs_f64();
    let asked = report.pass.asked;
    if asked != (cases * REPEATS) as u64 {
        return Err(format!("{asked} answers came: {:?}", report.findings));
    }
    let run = Recorded {
        cases,
        repeats: REPEATS,
        wall_s,
        peak_mib: memory("VmHWM:"),
        before_mib,
        report: bytes(report, &releases)?.to_string(),
    };
    show_json(&run)?;
    Ok(true)
}

/// Digest of a report as `eval run --report` writes it.
fn bytes(report: SuiteReport, releases: &evals::Releases) -> Result<Digest, Failed> {
    let app = releases.candidate.served.app.clone();
    let against = releases.production.as_ref().map(|release| release.id);
    let report = EvalReport::new(app, releases.candidate.id, against, vec![report]);
    report.json().map(|text| Digest::of(text.as_bytes())).map_err(|e| e.to_string())
}

/// A line of `/proc/self/status`, in MiB.
fn memory(name: &str) -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib / 1024.0)
}
