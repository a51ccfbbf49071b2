//! What the gateway costs, against a bare proxy on the same HTTP stack.

use crate::server::{self, Server};
use crate::{Failed, args::Args, tools};
use serde_json::json;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};

const HELP: &str = "\
cargo xtask bench gateway [--requests N] [--rounds N] [--connections N] [--output json]

Builds with the `dist` profile, then sends chat completions to an upstream on this
machine three ways in turn: directly, through a bare proxy on the same HTTP stack
(the floor), and through the gateway. Prints CPU per request and added latency as
ratios to the floor.

  --requests N      a round (4000)
  --rounds N        (5)
  --connections N   at a time (16)
  --output json     one JSON document
";

const APP: &str = "bench";

/// Runs it.
pub fn run(words: &[String]) -> Result<ExitCode, Failed> {
    let Some(mut args) = Args::read(words, HELP) else { return Ok(ExitCode::SUCCESS) };
    let requests = args.number("--requests", 4000)?;
    let rounds = args.number("--rounds", 5)?;
    let connections = args.number("--connections", 16)?;
    let as_json = match args.value("--output")?.as_deref() {
        None | Some("table") => false,
        Some("json") => true,
        Some(other) => return Err(crate::args::unknown("output", other, &["table", "json"])),
    };
    args.done()?;
    let (tidegate, bench) = build(as_json)?;

    let upstream = Helper::start(&bench, &["upstream"])?;
    let floor = Helper::start(&bench, &["floor", &upstream.url])?;
    let folder = server::fresh("bench-gateway")?;
    ops_repo(&folder.join("ops"), &upstream.url)?;
    let control = Server::start(&tidegate, &folder, &[])?;
    let made = control.json(&control.admin, &["token", "create", "--app", APP])?;
    let token = server::text(&made, "/secret")?;
    let gateway = OwnGateway::start(&tidegate, &folder, &control)?;

    let body = |model: &str| {
        json!({
            "model": model,
            "messages": [{"role": "user", "content": "My kettle arrived with a cracked base. The order is M29772."}],
        })
        .to_string()
    };
    let plan = json!({
        "connections": connections, "requests": requests, "rounds": rounds, "json": as_json,
        "targets": [
            {"name": "direct", "url": upstream.url, "pid": upstream.child.id(), "body": body("bench-1")},
            {"name": "floor", "url": floor.url, "pid": floor.child.id(), "body": body("bench-1")},
            {"name": "gateway", "url": gateway.url, "pid": gateway.child.id(), "token": token,
             "body": body(&format!("app/{APP}"))},
        ],
    });
    tools::run(Command::new(&bench).args(["load", &plan.to_string()]))?;
    Ok(ExitCode::SUCCESS)
}

fn build(quiet: bool) -> Result<(PathBuf, PathBuf), Failed> {
    if !quiet {
        println!("building with the dist profile (the first time takes some minutes)");
    }
    tools::run(tools::cargo().args([
        "build",
        "--quiet",
        "--profile",
        "dist",
        "--package",
        "tidegate",
        "--package",
        "tidegate-bench",
    ]))?;
    let folder = tools::target().join("dist");
    Ok((folder.join("tidegate"), folder.join("bench")))
}

/// One of the benchmark's own servers; prints its address first.
struct Helper {
    child: Child,
    url: String,
}

impl Helper {
    fn start(bench: &Path, words: &[&str]) -> Result<Self, Failed> {
        let mut child = Command::new(bench)
            .args(words)
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| format!("`{}` could not be started: {e}", bench.display()))?;
        let mut url = String::new();
        if let Some(out) = child.stdout.take() {
            BufReader::new(out).read_line(&mut url).map_err(|e| e.to_string())?;
        }
        let url = url.trim().to_owned();
        if url.is_empty() {
            return Err(format!("`bench {}` printed no address", words.join(" ")));
        }
        Ok(Self { child, url })
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // Gone already is as good.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A gateway in a process of its own, as in a larger installation.
struct OwnGateway {
    child: Child,
    url: String,
}

impl OwnGateway {
    fn start(tidegate: &Path, folder: &Path, control: &Server) -> Result<Self, Failed> {
        let made = control.json(&control.admin, &["token", "create", "--gateway"])?;
        let token = server::text(&made, "/secret")?;
        let log = folder.join("gateway.log");
        let file = std::fs::File::create(&log).map_err(|e| format!("`{}`: {e}", log.display()))?;
        let ready = folder.join("gateway.json");
        let child = Command::new(tidegate)
            .args(["serve", "--role", "gateway", "--control", &control.control, "--data"])
            .arg(folder.join("gateway"))
            .args(["--gateway-listen", "127.0.0.1:0", "--gateway-name", "bench", "--ready-file"])
            .arg(&ready)
            .args(["--vkey", &control.key, "--hash-key-file"])
            .arg(folder.join("data/keys/hashing.key"))
            .env("TIDEGATE_GATEWAY_TOKEN", token)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .map_err(|e| format!("the gateway could not be started: {e}"))?;
        let mut gateway = Self { child, url: String::new() };
        let ready = server::wait_until_ready(&mut gateway.child, &ready, &log)?;
        gateway.url = server::text(&ready, "/gateway")?;
        Ok(gateway)
    }
}

impl Drop for OwnGateway {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// One app in front of the upstream, nothing under way.
fn ops_repo(folder: &Path, upstream: &str) -> Result<(), Failed> {
    let put = |path: &str, text: &str| server::write(&folder.join(path), text);
    let app = format!("apps/{APP}");
    put("tidegate.yaml", "apiVersion: tidegate/v1\n")?;
    put(
        &format!("{app}/app.yaml"),
        "apiVersion: tidegate/v1\nowner: benchmark\nrisk: low\naudience: internal\n",
    )?;
    put(
        &format!("{app}/release.yaml"),
        "apiVersion: tidegate/v1\nversion: 1.0.0\nprompt: answer\nmodel: upstream\n",
    )?;
    put(
        &format!("{app}/fallback.yaml"),
        "apiVersion: tidegate/v1\nhand_over: A colleague answers.\n",
    )?;
    put(
        &format!("{app}/prompts/answer/prompt.yaml"),
        "apiVersion: tidegate/v1\nversion: 1.0.0\nchangelog: First.\nmessages:\n  - {role: system, template: system.j2}\n  - {conversation: {}}\n",
    )?;
    put(&format!("{app}/prompts/answer/system.j2"), "You summarise support chats in one line.\n")?;
    put(
        &format!("{app}/rollout.yaml"),
        "apiVersion: tidegate/v1\nsteps:\n  - weight: {share: 50%, hold: 1h}\n  - promote: {}\nsignals:\n  - {name: error, kind: rate, limit: 5%, action: rollback}\n",
    )?;
    put(
        "models/upstream.yaml",
        &format!(
            "apiVersion: tidegate/v1\nversion: 1.0.0\nprovider: {{kind: openai, base_url: '{upstream}/v1'}}\nprovider_model: bench-1\ncontext_window: 16000\ntokenizer: o200k_base\nprices: {{input_per_million: 0.15, output_per_million: 0.60}}\n"
        ),
    )
}
