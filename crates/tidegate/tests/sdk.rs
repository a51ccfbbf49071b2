//! The official OpenAI clients for Python and Node, unmodified, against the real
//! binary.
//!
//! `cargo xtask test` installs both; without it, TIDEGATE_TEST_PYTHON names a
//! Python that has the packages of `tests/sdk/requirements.txt`, and `npm ci` in
//! `tests/sdk` fetches the other.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A server on the shipped example.
struct Server {
    child: Child,
    gateway: String,
    token: String,
    _folder: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn serve() -> Server {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let made = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(["init", "--output", "json", "--from"])
        .arg(here("../../examples/support-summary/ops"))
        .arg(&data)
        .output()
        .expect("init runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let report: Value = serde_json::from_slice(&made.stdout).expect("init prints JSON");
    let mut child = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(["serve", "--listen", "127.0.0.1:0", "--gateway-listen", "127.0.0.1:0", "--data"])
        .arg(&data)
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(folder.path().join("log")).expect("a log"))
        .spawn()
        .expect("serve runs");
    // It says where it listens once it does.
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("a line");
    let ready: Value = serde_json::from_str(&line).unwrap_or_else(|e| {
        let log = std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
        panic!("not ready ({e}): {line}\n{log}")
    });
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let made = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(["token", "create", "--app", "support-summary", "--output", "json"])
        .env("TIDEGATE_SERVER", text(&ready["control"]))
        .env("TIDEGATE_TOKEN", text(&report["admin_token"]))
        .output()
        .expect("token create runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let made: Value = serde_json::from_slice(&made.stdout).expect("JSON");
    Server {
        child,
        gateway: text(&ready["gateway"]),
        token: text(&made["secret"]),
        _folder: folder,
    }
}

fn run(client: &mut Command) {
    let server = serve();
    let traffic = std::fs::read_to_string(here("../../examples/support-summary/traffic.jsonl"))
        .expect("traffic");
    let output = client
        .current_dir(here("tests/sdk"))
        .env("TIDEGATE_GATEWAY", &server.gateway)
        .env("TIDEGATE_APP_TOKEN", &server.token)
        .env("TIDEGATE_TICKET", traffic.lines().next().expect("a line"))
        .output()
        .unwrap_or_else(|e| {
            panic!("{client:?} cannot be started ({e}); `cargo xtask test` installs what it needs")
        });
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success() && said.contains("all well"), "{said}");
}

#[test]
fn the_official_python_client_works_unmodified() {
    let python = std::env::var_os("TIDEGATE_TEST_PYTHON")
        .map_or_else(|| here("../../target/sdk-python/bin/python"), PathBuf::from);
    run(Command::new(python).arg("client.py"));
}

#[test]
fn the_official_node_client_works_unmodified() {
    run(Command::new("node").arg("client.mjs"));
}
