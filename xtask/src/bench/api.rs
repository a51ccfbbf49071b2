//! What lists and pages cost when there is much of everything: as a ratio to the
//! cheapest signed-in request, and to the same on an empty installation.

use crate::server::{self, Server};
use crate::{Failed, args::Args, tools};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

const HELP: &str = "\
cargo xtask bench api [--apps N] [--changes N] [--requests N] [--rounds N]
                      [--at-most RATIO] [--output json]

Serves the shipped example, asks for every list and page, stops it, fills its
databases (copies of rows the server wrote), serves it again and asks the same.
Prints the median of each as a ratio to the floor (GET /api/v1/whoami on the same
server, which is a sign-in and one row), before and after. Ends with 1 if a ratio
after is over --at-most.

  --apps N          (1000)
  --changes N       (10000)
  --requests N      (1000000)
  --rounds N        how often each is asked (15)
  --at-most RATIO   (200)
  --output json     one JSON document
";

/// The example that is served.
const EXAMPLE: &str = "examples/support-summary/ops";
const APP: &str = "support-summary";
/// The cheapest signed-in request.
const FLOOR: &str = "/api/v1/whoami";
/// How long what the server does in the background may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs it.
pub fn run(words: &[String]) -> Result<ExitCode, Failed> {
    let Some(mut args) = Args::read(words, HELP) else { return Ok(ExitCode::SUCCESS) };
    let apps = args.number("--apps", 1000)?;
    let changes = args.number("--changes", 10_000)?;
    let requests = args.number("--requests", 1_000_000)?;
    let rounds = args.number("--rounds", 15)?;
    let at_most = args.number("--at-most", 200)?;
    let as_json = super::as_json(&mut args)?;
    args.done()?;

    let binary = tools::tidegate()?;
    let folder = server::fresh("bench-api")?;
    copy(&tools::root().join(EXAMPLE), &folder.join("ops"))?;
    let mut server = Server::start(&binary, &folder, &[])?;
    begin(&server)?;
    let small = ask_all(&server, &pages(APP, APP, None), rounds)?;
    server.stop();
    let filled = tools::run_quietly(
        Command::new("python3")
            .arg(tools::root().join("xtask/src/bench/api_seed.py"))
            .arg(folder.join("data"))
            .args([apps, changes, requests].map(|n| n.to_string())),
    )?;
    let filled: Value = serde_json::from_str(&filled).map_err(|e| format!("{e}: {filled}"))?;
    let began = Instant::now();
    server.again(&[])?;
    let started = began.elapsed();
    let text = |name: &str| server::text(&filled, &format!("/{name}"));
    let pages = pages(&text("busy")?, &text("quiet")?, Some(&text("request")?));
    let large = ask_all(&server, &pages, rounds)?;

    let mut over = 0;
    let mut rows = Vec::new();
    for row in &large {
        let before = small.iter().find(|r| r.name == row.name).map(|r| r.ratio);
        let ratio = row.ratio;
        over += u32::from(ratio > at_most as f64);
        rows.push(json!({"page": row.name, "ratio": ratio, "before": before, "bytes": row.bytes}));
    }
    if as_json {
        println!(
            "{}",
            json!({"apps": apps, "changes": changes, "requests": requests,
            "started_s": started.as_secs_f64(), "pages": rows})
        );
    } else {
        println!(
            "{apps} apps, {changes} changes, {requests} requests; served again after {:.1} s",
            started.as_secs_f64()
        );
        println!("{:<44} {:>8} {:>8} {:>9}", "ratio to the floor", "many", "few", "bytes");
        for row in &rows {
            let number =
                |name: &str| row[name].as_f64().map_or("-".to_owned(), |n| format!("{n:.1}"));
            println!(
                "{:<44} {:>8} {:>8} {:>9}",
                row["page"].as_str().unwrap_or(""),
                number("ratio"),
                number("before"),
                row["bytes"]
            );
        }
    }
    Ok(if over == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A change, a rollout and a few requests: what is copied.
fn begin(server: &Server) -> Result<(), Failed> {
    let ana = server.person("ana", "editor")?;
    server.person("priya", "approver")?;
    let why = "--why=something to copy a thousand times";
    let file = format!("apps/{APP}/prompts/summary/user.j2");
    let text = std::fs::read_to_string(tools::root().join(EXAMPLE).join(&file));
    let text = text.map_err(|e| format!("`{file}`: {e}"))?;
    let local = tools::target().join("bench-api/user.j2");
    server::write(&local, &format!("{text}\nBe brief.\n"))?;
    let edit = format!("--file={file}=@{}", local.display());
    server.run(&ana, &["change", "create", "--app", APP, why, &edit, "--wait"]).or_else(|_| {
        // Whatever its checks say: it is there.
        server.run(&ana, &["change", "get", "1"])
    })?;
    for n in 0..5 {
        let body =
            json!({"model": format!("app/{APP}"), "messages": [], "tidegate": {"vars": {"n": n}}});
        send("POST", &server.gateway, "/v1/chat/completions", &server.admin, &body.to_string())?;
    }
    let began = Instant::now();
    loop {
        let (_, answer) =
            send("GET", &server.control, "/api/v1/requests?limit=1", &server.admin, "")?;
        if answer.contains("\"req_") {
            return Ok(());
        }
        if began.elapsed() > PATIENCE {
            return Err("no request arrived in the log".to_owned());
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

struct Row {
    name: String,
    ratio: f64,
    bytes: usize,
}

/// Every list and page.
fn pages(busy: &str, quiet: &str, request: Option<&str>) -> Vec<(String, String)> {
    let mut pages: Vec<(String, String)> = [
        ("apps, a page of 100", "apps?limit=100"),
        ("people", "people?limit=100"),
        ("tokens", "tokens?limit=100"),
        ("inbox", "inbox"),
        ("models", "models"),
        ("gateways", "gateways"),
        ("changes, a page of 50", "changes?limit=50"),
        ("changes that wait", "changes?state=needs_approval&limit=50"),
        ("rollouts under way", "rollouts?active=true&limit=50"),
        ("releases", "releases?limit=50"),
        ("incidents", "incidents?limit=50"),
        ("audit log, a page of 50", "audit?limit=50"),
        ("requests, a page of 100", "requests?limit=100"),
    ]
    .map(|(name, path)| (name.to_owned(), path.to_owned()))
    .into();
    let mut more = |name: &str, path: String| pages.push((name.to_owned(), path));
    more("an app", format!("apps/{busy}"));
    more("changes of an app", format!("changes?app={busy}&limit=50"));
    more(
        "changes of an app in a state",
        format!("changes?app={busy}&state=needs_approval&limit=50"),
    );
    more("requests of the busiest app", format!("requests?app={busy}&limit=100"));
    more("requests of a quiet app", format!("requests?app={quiet}&limit=100"));
    if let Some(request) = request {
        more("why a request was answered so", format!("requests/{request}/explain"));
    }
    pages
}

fn ask_all(server: &Server, pages: &[(String, String)], rounds: u64) -> Result<Vec<Row>, Failed> {
    let mut rows = Vec::new();
    for (name, path) in pages {
        let path = format!("/api/v1/{path}");
        let (mut floors, mut times) = (Vec::new(), Vec::new());
        let mut bytes = 0;
        // In turn with the floor, so that a busy machine is busy for both. The first
        // fills caches that a server under way has filled.
        for round in 0..rounds.max(1).saturating_add(1) {
            let (floor, _) = timed(server, FLOOR)?;
            let (time, answer) = timed(server, &path)?;
            if round > 0 {
                floors.push(floor);
                times.push(time);
            }
            bytes = answer.len();
        }
        let ratio = median(times) / median(floors).max(1e-6);
        rows.push(Row { name: name.clone(), ratio, bytes });
    }
    Ok(rows)
}

fn timed(server: &Server, path: &str) -> Result<(f64, String), Failed> {
    let began = Instant::now();
    let (status, answer) = send("GET", &server.control, path, &server.admin, "")?;
    if status != 200 {
        return Err(format!("GET {path}: {status} {answer}"));
    }
    Ok((began.elapsed().as_secs_f64(), answer))
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// A request by hand: its status and its body.
fn send(
    method: &str,
    base: &str,
    path: &str,
    token: &str,
    body: &str,
) -> Result<(u16, String), Failed> {
    let fail = |e: std::io::Error| format!("{method} {path}: {e}");
    let host = base.trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).map_err(fail)?;
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).map_err(fail)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).map_err(fail)?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
    Ok((status, answer.split_once("\r\n\r\n").map_or(String::new(), |(_, body)| body.to_owned())))
}

/// A folder with all that is in it.
fn copy(from: &Path, to: &Path) -> Result<(), Failed> {
    tools::run_quietly(Command::new("cp").arg("-r").arg(from).arg(to)).map(drop)
}
