//! External signals read from a real Prometheus that scrapes a real target: a
//! number over its limit, a target that vanishes, and numbers that are none.
//!
//! Needs the program `prometheus` (Debian package of the same name; `cargo xtask
//! test` installs it). Without it these tests fail.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test waits for other processes, and its target may lock"
)]

mod common;

use common::{APP, Tide, wait_for};
use connect::http::Client;
use connect::prometheus::{Login, Prometheus};
use domain::external::Read;
use domain::units::{Span, Timestamp};
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

/// What is scraped: a page of metrics over HTTP, until it vanishes.
struct Target {
    addr: SocketAddr,
    page: Arc<Mutex<String>>,
    gone: Arc<AtomicBool>,
}

impl Target {
    fn start(page: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let page = Arc::new(Mutex::new(page.to_owned()));
        let gone = Arc::new(AtomicBool::new(false));
        let (shown, ended) = (Arc::clone(&page), Arc::clone(&gone));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                let text = shown.lock().unwrap().clone();
                // A scraper that hangs up is no failure of the target.
                stream.and_then(|stream| answer(stream, &text)).ok();
            }
        });
        Self { addr, page, gone }
    }

    fn show(&self, page: &str) {
        *self.page.lock().unwrap() = page.to_owned();
    }

    /// Nobody listens any more.
    fn vanish(&self) {
        self.gone.store(true, Ordering::SeqCst);
        // Wakes the thread, which then lets go of the port.
        drop(TcpStream::connect(self.addr));
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.vanish();
    }
}

fn answer(mut stream: TcpStream, page: &str) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0; 1];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte)? == 0 {
            return Ok(());
        }
        head.push(byte[0]);
    }
    let length = page.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{page}"
    )
}

/// A Prometheus of our own that scrapes one target five times a second.
struct Server {
    child: Child,
    address: String,
    _folder: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Server {
    fn start(target: &Target) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            "global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}\nscrape_configs:\n  - job_name: app\n    static_configs: [{{targets: ['{}']}}]\n",
            target.addr
        );
        std::fs::write(folder.path().join("prometheus.yml"), config).unwrap();
        // It does not say which port it got, so it is told a free one; should
        // somebody else take that first, it ends, and the next is tried.
        for _ in 0..10 {
            let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            let mut child = Command::new("prometheus")
                .arg(format!("--config.file={}/prometheus.yml", folder.path().display()))
                .arg(format!("--storage.tsdb.path={}/data", folder.path().display()))
                .arg(format!("--web.listen-address={free}"))
                .stdout(Stdio::null())
                .stderr(std::fs::File::create(folder.path().join("log")).unwrap())
                .spawn()
                .expect("`prometheus` runs; install the Debian package `prometheus`");
            let ready = wait_for("a Prometheus that is ready", || {
                if child.try_wait().unwrap().is_some() {
                    return Some(false);
                }
                is_ready(free).then_some(true)
            });
            if ready {
                return Self { child, address: format!("http://{free}"), _folder: folder };
            }
        }
        panic!("{}", std::fs::read_to_string(folder.path().join("log")).unwrap_or_default());
    }

    /// Our client's answer to an expression.
    fn read(&self, expression: &str) -> Read {
        let server = Prometheus::new(Client::new(), &self.address, &Login::Nobody).unwrap();
        let asked = async { server.read(expression, now(), Span::from_secs(60)).await };
        runtime().block_on(asked)
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Timestamp(since.as_millis() as i64)
}

fn is_ready(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    let asked = stream.write_all(b"GET /-/ready HTTP/1.0\r\n\r\n");
    let mut text = String::new();
    asked.and_then(|()| stream.read_to_string(&mut text)).is_ok()
        && text.lines().next().is_some_and(|line| line.contains("200"))
}

/// A plan that waits for nothing but its external signals.
fn plan(hold_for: &str, signals: &[&str]) -> String {
    let signals: String = signals.iter().map(|signal| format!("  - {signal}\n")).collect();
    format!(
        "apiVersion: tidegate/v1\ncheck_every: 200ms\nsteps:\n  - weight: {{share: 20%, hold: 1h}}\n  - promote: {{}}\nsignals:\n  - {{name: error, kind: rate, limit: 50%, action: rollback}}\n{signals}missing: {{hold_for: {hold_for}, then: pause}}\n"
    )
}

const CSAT: &str = "{name: csat, kind: score, range: [1, 5], worse: lower, limit: 4.2, window: 3s, sustained: {checks: 2}, min_samples: 1, source: {prometheus: 'avg(agent_csat{app=\"support-summary\"})'}, action: pause}";

/// An installation that asks this server, with a rollout under way.
fn rolling_out(server: &Server, plan: &str) -> Tide {
    let mut tide = Tide::init(&[(&format!("apps/{APP}/rollout.yaml"), plan)]);
    tide.restart_with(&["--prometheus-url", &server.address]);
    tide.people(&[("ana", "editor"), ("priya", "approver"), ("omar", "operator")]);
    let prompt = tide.write("prompt.j2", "Summarise kindly. Write in {{ language }}.\n");
    let prompt = format!("@{}", prompt.display());
    let why = "our readers asked for it";
    tide.run("ana", ["change", "create", "-a", APP, "--why", why, "--prompt", &prompt, "--wait"])
        .ok();
    tide.run("priya", ["change", "approve", "1", "--wait"]).ok();
    tide
}

/// The newest look at this signal.
fn look(tide: &Tide, signal: &str) -> Option<Value> {
    let rollout = tide.run("ana", ["rollout", "get", APP, "-o", "json"]).ok().json();
    let signals = rollout["report"]["signals"].as_array()?;
    signals.iter().map(|s| s["verdict"].clone()).find(|v| v["signal"] == signal)
}

/// Waits until a look at this signal says this, for this reason.
fn wait_until(tide: &Tide, signal: &str, outcome: &str, reason: &str) -> Value {
    wait_for(&format!("{signal} {outcome} {reason}"), || {
        look(tide, signal).filter(|v| v["outcome"] == outcome && v["reason"] == reason)
    })
}

/// How the rollout stands once it is paused.
fn paused(tide: &Tide) -> Value {
    tide.run("ana", ["rollout", "watch", APP, "--until-paused", "-o", "jsonl"]).code(10);
    tide.run("ana", ["rollout", "get", APP, "-o", "json"]).ok().json()
}

#[test]
fn a_number_over_its_limit_pauses_and_says_which() {
    let page = |csat: f64| {
        format!(
            "agent_csat{{app=\"support-summary\",agent=\"a\"}} {csat}\nagent_csat{{app=\"support-summary\",agent=\"b\"}} {csat}\nqueue_ms{{arm=\"candidate\"}} 700\nqueue_ms{{arm=\"control\"}} 650\n"
        )
    };
    let target = Target::start(&page(4.75));
    let server = Server::start(&target);
    let queue = "{name: queue_ms, kind: latency, limit: 900, source: {prometheus: 'queue_ms{arm=\"$arm\"}'}, action: rollback}";
    let tide = rolling_out(&server, &plan("10m", &[CSAT, queue]));

    let good = wait_until(&tide, "csat", "pass", "not_worse");
    assert_eq!(good["candidate"]["value"], 4.75);
    let queue = wait_until(&tide, "queue_ms", "pass", "not_worse");
    assert_eq!(
        (&queue["candidate"]["value"], &queue["control"]["value"]),
        (&700.0.into(), &650.0.into())
    );

    target.show(&page(3.9));
    let rollout = paused(&tide);
    assert_eq!(rollout["phase"]["cause"], "signal", "{rollout}");
    let said = rollout["report"]["summary"]["text"].as_str().unwrap();
    assert!(said.contains("csat") && said.contains("3.9") && said.contains("4.2"), "{said}");
    assert_eq!(look(&tide, "csat").unwrap()["reason"], "over_limit");

    // Both the good and the bad readings are kept, and nothing was averaged.
    let ticks = tide.run("ana", ["rollout", "get", APP, "-o", "json"]).ok().json();
    let value = ticks["report"]["signals"][1]["verdict"]["candidate"]["value"].as_f64();
    assert!(value == Some(3.9), "{ticks}");
}

#[test]
fn a_target_that_vanishes_holds_and_then_does_what_the_plan_says() {
    let target = Target::start("agent_csat{app=\"support-summary\"} 4.75\n");
    let server = Server::start(&target);
    let tide = rolling_out(&server, &plan("3s", &[CSAT]));
    wait_until(&tide, "csat", "pass", "not_worse");
    target.vanish();
    wait_for("an empty answer", || (server.read("agent_csat") == Read::Empty).then_some(()));
    // It held before it paused: a look without data, the rollout still running.
    let rollout = paused(&tide);
    assert_eq!(rollout["phase"]["cause"], "missing_data", "{rollout}");
    let verdict = wait_until(&tide, "csat", "no_data", "stale");
    assert_eq!(verdict["candidate"]["value"], 4.75, "the last number stays to be seen");
}

#[test]
fn a_number_that_is_none_never_passes_and_never_fails() {
    let target = Target::start("agent_csat{app=\"support-summary\"} NaN\n");
    let server = Server::start(&target);
    let tide = rolling_out(&server, &plan("3s", &[CSAT]));
    let verdict = wait_until(&tide, "csat", "inconclusive", "unusable");
    assert_eq!(verdict["candidate"]["value"], Value::Null);
    assert_eq!(paused(&tide)["phase"]["cause"], "missing_data");
}

#[test]
fn what_a_real_server_says_is_told_apart() {
    let target = Target::start("one 4.25\nzero 0\nmany{a=\"1\"} 1\nmany{a=\"2\"} 2\n");
    let server = Server::start(&target);
    wait_for("a first scrape", || (server.read("one") == Read::Number(4.25)).then_some(()));
    for (expression, wanted) in [
        ("one", Read::Number(4.25)),
        ("scalar(one)", Read::Number(4.25)),
        ("sum(many)", Read::Number(3.0)),
        ("sum by (b) (many)", Read::Number(3.0)),
        ("many", Read::Several(2)),
        ("nobody_measures_this", Read::Empty),
        ("zero / zero", Read::NotANumber),
        ("one / zero", Read::Infinite),
        ("- one / zero", Read::Infinite),
    ] {
        assert_eq!(server.read(expression), wanted, "{expression}");
    }
    for (expression, words) in
        [("sum(", "parse error"), ("one[5m]", "not a number"), ("\"text\"", "not a number")]
    {
        match server.read(expression) {
            Read::Failed(said) => assert!(said.contains(words), "{expression}: {said}"),
            other => panic!("{expression}: {other:?}"),
        }
    }
    let range = |expression: &str| {
        let server = Prometheus::new(Client::new(), &server.address, &Login::Nobody).unwrap();
        let (end, step) = (now(), Span::from_millis(200));
        let start = Timestamp(end.0 - 2_000);
        runtime().block_on(async { server.read_range(expression, start, end, step).await })
    };
    let points = range("one").unwrap();
    assert!(!points.is_empty() && points.iter().all(|p| p.value == 4.25), "{points:?}");
    assert_eq!(range("many"), Err(Read::Several(2)));
    assert_eq!(range("nobody_measures_this"), Err(Read::Empty));
}
