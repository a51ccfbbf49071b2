//! A real installation for tests: the binary, a temporary directory, people
//! with tokens, and a home of their own so that nothing of the machine leaks in.
//!
//! ```ignore
//! let tide = Tide::start();
//! tide.people(&[("ana", "editor"), ("priya", "approver")]);
//! tide.run("ana", ["app", "list", "-o", "json"]).ok().json();
//! ```
//!
//! The server says when it is ready, and commands that wait (`--wait`, `rollout
//! watch`) do the waiting; [`wait_for`] is for what no command waits for.

#![allow(dead_code, reason = "every test file uses a part of this")]

use serde_json::Value;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The app of the starter ops repo.
pub const APP: &str = "support-summary";

/// A plan that is over quickly: every answer counts, nothing is waited for but
/// requests.
pub const QUICK_ROLLOUT: &str = "\
apiVersion: tidegate/v1
subject: user
check_every: 100ms
steps:
  - weight: {share: 20%, min_requests: 30}
  - weight: {share: 50%, min_requests: 30}
  - promote: {}
signals:
  - {name: error, kind: rate, worse: higher, limit: 50%, min_samples: 10, action: rollback}
  - {name: rejected, kind: rate, worse: higher, limit: 30%, min_samples: 10, action: rollback}
after_rollback: {cool_down: 1s}
";

/// Longest wait for something that must happen. Only a failing test waits so
/// long.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(120);

/// Copies a folder with everything in it.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).expect("a copy");
        }
    }
}

/// Asks again and again until there is an answer.
#[track_caller]
#[allow(clippy::disallowed_methods, reason = "a test waits for another process")]
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(std::time::Instant::now() < deadline, "{what} never came");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

/// How one run of the binary ended.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// Status 0, or the test fails with everything that was said.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.code(0)
    }

    /// This status, or the test fails with everything that was said.
    #[track_caller]
    pub fn code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "\n--- stdout\n{}\n--- stderr\n{}", self.stdout, self.stderr);
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| {
            panic!("{e}\n--- stdout\n{}\n--- stderr\n{}", self.stdout, self.stderr)
        })
    }

    /// Standard error holds this.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "{text:?} is not in\n{}", self.stderr);
        self
    }

    /// Standard output holds this.
    #[track_caller]
    pub fn prints(self, text: &str) -> Self {
        assert!(self.stdout.contains(text), "{text:?} is not in\n{}", self.stdout);
        self
    }
}

/// A running `tidegate serve`; killed when dropped.
pub struct Serving {
    child: Child,
    ready: Value,
}

impl Serving {
    /// Address of its gateway.
    pub fn gateway(&self) -> &str {
        self.ready["gateway"].as_str().expect("it has a gateway")
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // One that has ended already cannot be killed, and need not be.
        if self.child.kill().is_ok() {
            self.child.wait().expect("it ends");
        }
    }
}

/// An installation with a running server.
pub struct Tide {
    folder: tempfile::TempDir,
    server: Option<Serving>,
    /// Variables of the server's environment.
    env: Vec<(String, String)>,
    /// Address of the control port.
    pub control: String,
    /// Address of the gateway.
    pub gateway: String,
}

impl Tide {
    /// The starter ops repo with [`QUICK_ROLLOUT`], served on free ports.
    pub fn start() -> Self {
        Self::start_with(&[(&format!("apps/{APP}/rollout.yaml"), QUICK_ROLLOUT)])
    }

    /// The starter ops repo with these files on top, served on free ports.
    pub fn start_with(files: &[(&str, &str)]) -> Self {
        let tide = Self::init(files);
        tide.up()
    }

    /// An installation whose server is not running.
    pub fn init(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let ops = folder.path().join("ops");
        let starter = opsrepo::scaffold::starter(&APP.parse().expect("a name"));
        let starter = starter.iter().map(|(path, content)| (path.as_str(), content.as_slice()));
        for (path, content) in starter.chain(files.iter().map(|(p, c)| (*p, c.as_bytes()))) {
            let path = ops.join(path);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            std::fs::write(path, content).expect("a file");
        }
        let env = Vec::new();
        let tide =
            Self { folder, server: None, env, control: String::new(), gateway: String::new() };
        let token = tide.path("admin.token");
        tide.run_as(
            None,
            [
                OsStr::new("init"),
                tide.data().as_ref(),
                "--from".as_ref(),
                ops.as_ref(),
                "--write-token".as_ref(),
                token.as_ref(),
            ],
        )
        .ok();
        tide
    }

    /// Starts the server and waits until it says that it is ready.
    pub fn up(mut self) -> Self {
        self.restart();
        self
    }

    /// Starts the server (again) on free ports.
    pub fn restart(&mut self) {
        self.restart_with(&[]);
    }

    /// The same with these variables in its environment.
    pub fn restart_env(&mut self, env: &[(&str, &str)]) {
        self.env = env.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        self.restart();
    }

    /// The same with these arguments besides.
    pub fn restart_with(&mut self, args: &[&str]) {
        assert!(self.server.is_none(), "the server runs already");
        let data = self.data();
        let usual = ["--listen", "127.0.0.1:0", "--look-every", "100ms", "--data"].map(OsStr::new);
        let args = args.iter().map(OsStr::new);
        let started = self.serve(usual.into_iter().chain([data.as_os_str()]).chain(args));
        self.control = started.ready["control"].as_str().expect("an address").to_owned();
        self.gateway = started.ready["gateway"].as_str().unwrap_or_default().to_owned();
        self.server = Some(started);
    }

    /// Starts a gateway in a process of its own that joins this control.
    pub fn join(&self, name: &str) -> Serving {
        let made = self.run("admin", ["token", "create", "--gateway", "--note", name]).ok();
        let key = self.run("admin", ["whoami", "-o", "json"]).ok().json();
        let (dir, hashing) = (self.path(name), self.data().join("keys/hashing.key"));
        let (dir, hashing) = (dir.to_string_lossy(), hashing.to_string_lossy());
        self.serve([
            "--role",
            "gateway",
            "--control",
            &self.control,
            "--gateway-name",
            name,
            "--data",
            &dir,
            "--gateway-token",
            made.stdout.trim(),
            "--vkey",
            key["log_key"].as_str().expect("a key"),
            "--hash-key-file",
            &hashing,
        ])
    }

    /// Starts `tidegate serve` and waits until it says that it is ready.
    pub fn serve<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Serving {
        let log =
            std::fs::OpenOptions::new().create(true).append(true).open(self.path("server.log"));
        let mut child = self
            .command()
            .args(["serve", "--gateway-listen", "127.0.0.1:0"])
            .args(args)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::piped())
            .stderr(log.expect("a log file"))
            .spawn()
            .expect("the server starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        let ready =
            serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line:?}\n{}", self.log()));
        Serving { child, ready }
    }

    /// Kills the server as a power cut would.
    pub fn kill(&mut self) {
        drop(self.server.take());
    }

    /// Asks the server to stop, and returns its exit status.
    pub fn stop(&mut self) -> Option<i32> {
        let mut server = self.server.take()?;
        let id = server.child.id().to_string();
        assert!(Command::new("kill").arg(id).status().expect("kill runs").success());
        server.child.wait().expect("it ends").code()
    }

    /// What the server logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("server.log")).unwrap_or_default()
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// A path in the test's own folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file into the test's own folder.
    pub fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).expect("a file");
        path
    }

    /// The file a person's token is in.
    pub fn token_file(&self, who: &str) -> PathBuf {
        self.path(&format!("{who}.token"))
    }

    /// A person's token.
    pub fn token(&self, who: &str) -> String {
        std::fs::read_to_string(self.token_file(who)).expect("a token").trim().to_owned()
    }

    /// Adds people with one role (or several, with commas) and a token each.
    pub fn people(&self, people: &[(&str, &str)]) {
        for (name, roles) in people {
            let email = format!("{name}@example.com");
            self.run("admin", ["person", "add", name, "--role", roles, "--email", &email]).ok();
            let made = self.run("admin", ["token", "create", "--person", name]).ok();
            std::fs::write(self.token_file(name), made.stdout).expect("a token");
        }
    }

    /// Runs the binary as this person against this server.
    pub fn run<A: AsRef<OsStr>>(&self, who: &str, args: impl IntoIterator<Item = A>) -> Ran {
        self.run_as(Some(who), args)
    }

    /// Runs the binary, signed in or not.
    pub fn run_as<A: AsRef<OsStr>>(
        &self,
        who: Option<&str>,
        args: impl IntoIterator<Item = A>,
    ) -> Ran {
        finish(self.command_as(who).args(args))
    }

    /// Runs the binary until it has printed a line, then presses Ctrl-C.
    pub fn interrupt<A: AsRef<OsStr>>(&self, who: &str, args: impl IntoIterator<Item = A>) -> Ran {
        let mut child = self
            .command_as(Some(who))
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        let id = child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().expect("kill runs").success());
        let mut ran = ran(&child.wait_with_output().expect("it ends"));
        ran.stdout = line;
        ran
    }

    /// Runs system git in a folder, without anybody's configuration.
    pub fn git(&self, dir: &Path, args: &[&str]) -> Ran {
        let mut command = Command::new("git");
        command.args(args).current_dir(dir);
        clean(&mut command, self.folder.path());
        command.env("GIT_TERMINAL_PROMPT", "0").env("GIT_CONFIG_NOSYSTEM", "1");
        finish(&mut command)
    }

    /// Clones the ops repo as this person; the working copy's folder.
    pub fn clone_ops(&self, who: &str) -> PathBuf {
        let dir = self.path(&format!("{who}-ops"));
        let host = self.control.trim_start_matches("http://");
        let url = format!("http://{who}:{}@{host}/git/ops.git", self.token(who));
        self.git(self.folder.path(), &["clone", "-q", &url, &dir.to_string_lossy()]).ok();
        self.git(&dir, &["config", "user.name", who]).ok();
        self.git(&dir, &["config", "user.email", &format!("{who}@example.com")]).ok();
        dir
    }

    /// Sends traffic until the rollout ends; the report of what came back.
    /// `rejected` tells by model what the users say.
    pub fn traffic(&self, who: &str, lines: &str, args: &[&str]) -> Value {
        let file = self.write("traffic.jsonl", lines);
        let file = file.to_string_lossy().into_owned();
        let usual = [
            "traffic",
            "replay",
            "-o",
            "json",
            "--app",
            APP,
            "--file",
            &file,
            "--subjects",
            "random",
        ];
        self.run(who, usual.iter().chain(args)).ok().json()
    }

    /// One answer through the gateway: status, headers in lower case, body.
    pub fn ask(&self, who: &str, subject: &str) -> (u16, BTreeMap<String, String>, Value) {
        ask(&self.gateway, &self.token(who), subject)
    }

    fn command_as(&self, who: Option<&str>) -> Command {
        let mut command = self.command();
        if let Some(who) = who {
            command.env("TIDEGATE_TOKEN_FILE", self.token_file(who));
            // Each has a home of their own: what one pins is not the other's.
            command.env("TIDEGATE_CONFIG", self.path(&format!("{who}.contexts.json")));
        }
        command
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
        clean(&mut command, self.folder.path());
        command.env("TIDEGATE_SERVER", &self.control).stdin(Stdio::null());
        if self.control.is_empty() {
            command.env_remove("TIDEGATE_SERVER");
        }
        command
    }
}

impl Drop for Tide {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            std::io::stderr()
                .write_all(format!("--- server log\n{}\n", self.log()).as_bytes())
                .ok();
        }
    }
}

/// Nothing of the machine's settings reaches a test.
fn clean(command: &mut Command, home: &Path) {
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("TIDEGATE_") || name.starts_with("GIT_") {
            command.env_remove(name.as_ref());
        }
    }
    command.env("HOME", home).env_remove("XDG_CONFIG_HOME");
}

fn finish(command: &mut Command) -> Ran {
    ran(&command.output().expect("it runs"))
}

fn ran(output: &std::process::Output) -> Ran {
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// One answer through any gateway.
pub fn ask(gateway: &str, token: &str, subject: &str) -> (u16, BTreeMap<String, String>, Value) {
    let body = serde_json::json!({
        "model": format!("app/{APP}"), "messages": [],
        "tidegate": {"vars": {"ticket": "T-1001", "transcript": "Customer: hello"}},
    });
    let headers =
        [("authorization", format!("Bearer {token}")), ("x-tidegate-subject", subject.to_owned())];
    post(gateway, "/v1/chat/completions", &headers, &body)
}

/// A POST by hand, so that what is tested is not tested with itself.
pub fn post(
    base: &str,
    path: &str,
    headers: &[(&str, String)],
    body: &Value,
) -> (u16, BTreeMap<String, String>, Value) {
    send("POST", base, path, headers, &body.to_string())
}

/// Any request by hand.
pub fn send(
    method: &str,
    base: &str,
    path: &str,
    headers: &[(&str, String)],
    body: &str,
) -> (u16, BTreeMap<String, String>, Value) {
    use std::io::Read as _;
    let host = base.trim_start_matches("http://");
    let mut stream = std::net::TcpStream::connect(host).expect("a connection");
    let extra: String =
        headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n{extra}\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).expect("it is sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let mut lines = head.lines();
    let status = lines
        .next()
        .and_then(|l| l.split(' ').nth(1))
        .and_then(|s| s.parse().ok())
        .expect("a status");
    let mut headers = BTreeMap::new();
    for (name, value) in lines.filter_map(|l| l.split_once(": ")) {
        // Several of one name are several lines: cookies hold commas.
        let known: &mut String = headers.entry(name.to_lowercase()).or_default();
        if !known.is_empty() {
            known.push('\n');
        }
        known.push_str(value);
    }
    (status, headers, serde_json::from_str(body).unwrap_or(Value::String(body.to_owned())))
}
