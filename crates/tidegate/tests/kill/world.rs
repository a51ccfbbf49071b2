//! The installation, its server, and what is known of it from outside.

use crate::story::Fate;
use bytes::Bytes;
use connect::http::{Client, read_all};
use http::{Method, Request, header};
use http_body_util::Full;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::process::{Child, Command};

/// Pause before something that failed is tried again.
pub const AGAIN: Duration = Duration::from_millis(25);

/// A command that was acknowledged: action and object as the audit log has them.
pub type Acknowledged = (String, String);

pub struct World {
    folder: tempfile::TempDir,
    control: u16,
    gateway: u16,
    http: Client,
    child: tokio::sync::Mutex<Option<Child>>,
    tokens: BTreeMap<&'static str, String>,
    acknowledged: Mutex<Vec<Acknowledged>>,
    decided: AtomicUsize,
    closing: AtomicBool,
}

/// Numbers that follow from a seed (splitmix64).
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides.max(1)
    }
}

/// A seed nobody chose.
pub fn any_seed() -> u64 {
    std::hash::RandomState::new().build_hasher().finish()
}

impl World {
    /// Makes the installation with these apps and its people. The server is
    /// down afterwards.
    pub async fn make(apps: &[String]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let ops = folder.path().join("ops");
        write_ops(&ops, apps);
        let output = Command::new(env!("CARGO_BIN_EXE_tidegate"))
            .arg("init")
            .arg(folder.path().join("data"))
            .arg("--from")
            .arg(&ops)
            .args(["--output", "json"])
            .output()
            .await
            .expect("init runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let report: Value = serde_json::from_slice(&output.stdout).expect("init prints JSON");
        let admin = report["admin_token"].as_str().expect("a token").to_owned();
        let mut world = Self {
            folder,
            control: free_port(),
            gateway: free_port(),
            http: Client::new(),
            child: tokio::sync::Mutex::new(None),
            tokens: BTreeMap::from([("admin", admin)]),
            acknowledged: Mutex::default(),
            decided: AtomicUsize::new(0),
            closing: AtomicBool::new(false),
        };
        world.start().await;
        for (name, role) in [("ana", "editor"), ("priya", "approver"), ("omar", "operator")] {
            world
                .until_ok("admin", Method::POST, "people", &json!({"name": name, "roles": [role]}))
                .await;
            let made =
                world.until_ok("admin", Method::POST, "tokens", &json!({"person": name})).await;
            world.tokens.insert(name, made["secret"].as_str().expect("a secret").to_owned());
        }
        world.kill().await;
        world
    }

    /// Starts the server; does not wait for it.
    pub async fn start(&self) {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log())
            .expect("the log can be written");
        let child = Command::new(env!("CARGO_BIN_EXE_tidegate"))
            .args(["serve", "--data"])
            .arg(self.folder.path().join("data"))
            .args(["--listen", &format!("127.0.0.1:{}", self.control)])
            .args(["--gateway-listen", &format!("127.0.0.1:{}", self.gateway)])
            .args(["--look-every", "100ms"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .expect("the server starts");
        *self.child.lock().await = Some(child);
    }

    /// Waits until the server takes requests.
    pub async fn wait_until_ready(&self) {
        let ready = async {
            while self.api("admin", Method::GET, "whoami", &Value::Null).await.is_none() {
                if let Some(child) = self.child.lock().await.as_mut()
                    && let Ok(Some(status)) = child.try_wait()
                {
                    panic!("the server ended by itself ({status}):\n{}", self.log_tail());
                }
                tokio::time::sleep(AGAIN).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), ready)
            .await
            .unwrap_or_else(|_| panic!("the server does not come up:\n{}", self.log_tail()));
    }

    /// Ends the server by SIGKILL. It must have been alive: a server that ended
    /// by itself is a failure of its own.
    pub async fn kill(&self) {
        let mut child = self.child.lock().await.take().expect("a server runs");
        if let Some(status) = child.try_wait().expect("the server can be asked") {
            panic!("the server ended by itself ({status}):\n{}", self.log_tail());
        }
        child.kill().await.expect("the server can be killed");
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("server.log")
    }

    /// The newest lines of the server's log.
    pub fn log_tail(&self) -> String {
        let text = std::fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// How far the rollouts have come, for people who read the test's output.
    pub async fn standing(&self) -> String {
        let page = self.until_ok("omar", Method::GET, "rollouts?limit=100", &Value::Null).await;
        let rollouts = page["items"].as_array().expect("rows");
        let line = |r: &Value| {
            format!(
                "{} {} step {} {}",
                r["id"], r["phase"]["name"], r["step"], r["report"]["summary"]["text"]
            )
        };
        let page = self.until_ok("omar", Method::GET, "changes?limit=100", &Value::Null).await;
        let changes = page["items"].as_array().expect("rows").iter();
        let changes =
            changes.map(|c| format!("{} {} {}", c["id"], c["state"], c["summary"]["text"]));
        rollouts.iter().map(line).chain(changes).collect::<Vec<_>>().join("\n")
    }

    pub fn no_more_changes(&self) {
        self.closing.store(true, Ordering::SeqCst);
    }

    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    pub fn one_decided(&self) {
        self.decided.fetch_add(1, Ordering::SeqCst);
    }

    pub fn decided(&self) -> usize {
        self.decided.load(Ordering::SeqCst)
    }

    /// Notes a command that the server acknowledged.
    pub fn acknowledged(&self, action: &str, object: String) {
        self.acknowledged.lock().expect("no panic while held").push((action.to_owned(), object));
    }

    /// One request; none if there was no answer: the outcome is unknown.
    async fn send(&self, request: Request<Full<Bytes>>) -> Option<(u16, http::HeaderMap, Value)> {
        // A killed server's connections may hang until the kernel notices.
        let answer = tokio::time::timeout(Duration::from_secs(5), async {
            let response = self.http.send(request).await.ok()?;
            let (head, body) = response.into_parts();
            let body = read_all(body, 64 << 20).await.ok()?;
            Some((head, body))
        });
        let (head, body) = answer.await.ok()??;
        let value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        Some((head.status.as_u16(), head.headers, value))
    }

    /// A request to the control port as this person.
    pub async fn api(
        &self,
        who: &str,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Option<(u16, Value)> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://127.0.0.1:{}/api/v1/{path}", self.control))
            .header(header::AUTHORIZATION, format!("Bearer {}", self.tokens[who]));
        let text = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        if !text.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request.body(Full::new(text)).expect("a request");
        self.send(request).await.map(|(status, _, value)| (status, value))
    }

    /// The same, again and again until it works.
    pub async fn until_ok(&self, who: &str, method: Method, path: &str, body: &Value) -> Value {
        loop {
            match self.api(who, method.clone(), path, body).await {
                Some((200..=299, value)) => return value,
                Some((500.., _)) | None => tokio::time::sleep(AGAIN).await,
                Some((status, value)) => panic!("{method} {path} answered {status}: {value}"),
            }
        }
    }

    /// A request to the gateway port.
    pub async fn gateway(
        &self,
        path: &str,
        subject: &str,
        body: &Value,
    ) -> Option<(u16, http::HeaderMap, Value)> {
        let request = Request::post(format!("http://127.0.0.1:{}{path}", self.gateway))
            .header(header::AUTHORIZATION, format!("Bearer {}", self.tokens["omar"]))
            .header(header::CONTENT_TYPE, "application/json")
            .header("x-tidegate-subject", subject)
            .body(Full::new(Bytes::from(body.to_string())))
            .expect("a request");
        self.send(request).await
    }

    /// Everything acknowledged is in the log once, and the log is whole.
    pub async fn check_audit(&self) {
        let verified = Command::new(env!("CARGO_BIN_EXE_tidegate"))
            .args(["audit", "verify"])
            .env("TIDEGATE_SERVER", format!("http://127.0.0.1:{}", self.control))
            .env("TIDEGATE_TOKEN", &self.tokens["admin"])
            .env("TIDEGATE_CONFIG", self.folder.path().join("contexts.json"))
            .output()
            .await
            .expect("audit verify runs");
        assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));

        let mut times: BTreeMap<Acknowledged, u64> = BTreeMap::new();
        let mut indexes = Vec::new();
        let mut path = "audit?limit=500".to_owned();
        loop {
            let page = self.until_ok("omar", Method::GET, &path, &Value::Null).await;
            for row in page["items"].as_array().expect("rows") {
                indexes.push(row["index"].as_u64().expect("an index"));
                let text = |key: &str| row["entry"][key].as_str().unwrap_or_default().to_owned();
                *times.entry((text("action"), text("object"))).or_default() += 1;
            }
            match page["next"].as_str() {
                Some(next) => path = format!("audit?limit=500&cursor={next}"),
                None => break,
            }
        }
        indexes.sort_unstable();
        let whole: Vec<u64> = (0..indexes.len() as u64).collect();
        assert_eq!(indexes, whole, "the log has a gap or a double");
        let acknowledged = self.acknowledged.lock().expect("no panic while held").clone();
        assert!(acknowledged.len() > 10, "too few commands: {acknowledged:?}");
        for command in acknowledged {
            assert_eq!(times.get(&command), Some(&1), "{command:?} was acknowledged");
        }
    }

    /// Exactly one commit for each thing git had to be told.
    pub fn check_git(&self, fates: &BTreeMap<String, Fate>) {
        let log = std::process::Command::new("git")
            .arg("--git-dir")
            .arg(self.folder.path().join("data/ops.git"))
            .args([
                "log",
                "--format=%(trailers:key=Tidegate-Effect,valueonly,separator=%x2C)",
                "main",
            ])
            .output()
            .expect("git runs");
        assert!(log.status.success(), "{}", String::from_utf8_lossy(&log.stderr));
        let mut effects: BTreeMap<String, u64> = BTreeMap::new();
        for line in String::from_utf8_lossy(&log.stdout).lines().filter(|l| !l.trim().is_empty()) {
            *effects.entry(line.trim().to_owned()).or_default() += 1;
        }
        for (effect, times) in &effects {
            assert_eq!(*times, 1, "`{effect}` was committed {times} times");
        }
        for (change, fate) in fates {
            let end = if fate.was_good { "promote" } else { "revert" };
            for wanted in [format!("merge/{change}"), format!("{end}/{}", fate.rollout)] {
                assert!(effects.contains_key(&wanted), "`{wanted}` is missing in {effects:?}");
            }
        }
        let merges = effects.keys().filter(|e| e.starts_with("merge/")).count();
        assert_eq!(merges, fates.len(), "merges nobody asked for: {effects:?}");
        let fsck = std::process::Command::new("git")
            .arg("--git-dir")
            .arg(self.folder.path().join("data/ops.git"))
            .args(["fsck", "--strict", "--no-dangling"])
            .output()
            .expect("git runs");
        assert!(fsck.status.success(), "{}", String::from_utf8_lossy(&fsck.stderr));
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .expect("a port")
        .local_addr()
        .expect("an address")
        .port()
}

const APP: &str = "\
apiVersion: tidegate/v1
owner: tests
risk: low
audience: internal
variables: {n: {example: '1'}}
approvals: [{role: approver, count: 1}]
retries: 0
";

const ROLLOUT: &str = "\
apiVersion: tidegate/v1
check_every: 100ms
steps:
  - shadow: {share: 50%, until: {requests: 5}}
  - weight: {share: 20%, hold: 100ms, min_requests: 3}
  - weight: {share: 50%, until: evidence, at_most: 1h}
  - promote: {}
signals:
  - {name: rejected, kind: rate, worse: higher, notice: {by: 0.2}, limit: 20%, min_samples: 5, action: rollback}
missing: {hold_for: 1h, then: pause}
after_rollback: {cool_down: 0s, restore: immediate}
";

/// Answers are rules, so nothing but the text of `fallback.yaml` and its
/// version decides what readers get.
fn write_ops(folder: &Path, apps: &[String]) {
    let put = |path: String, text: &str| {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    };
    put("tidegate.yaml".to_owned(), "apiVersion: tidegate/v1\n");
    for app in apps {
        put(format!("apps/{app}/app.yaml"), APP);
        put(format!("apps/{app}/rollout.yaml"), ROLLOUT);
        put(format!("apps/{app}/fallback.yaml"), "apiVersion: tidegate/v1\nhand_over: wait\n");
        put(format!("apps/{app}/release.yaml"), &crate::story::release("good", 0));
        put(
            format!("apps/{app}/prompts/p/prompt.yaml"),
            "apiVersion: tidegate/v1\nversion: 1.0.0\nchangelog: first\nmessages:\n  - {role: user, template: user.j2}\n",
        );
        put(format!("apps/{app}/prompts/p/user.j2"), "{{ n }}\n");
    }
    for kind in ["good", "bad"] {
        let recordings: String = (0..crate::people::QUESTIONS)
            .map(|n| {
                let answer =
                    if kind == "good" { format!("order {n}") } else { "a refund".to_owned() };
                format!(
                    "{}\n",
                    json!({"model": format!("{kind}-1"), "key": n.to_string(), "response": answer})
                )
            })
            .collect();
        put(format!("recordings/{kind}.jsonl"), &recordings);
        put(
            format!("models/{kind}.yaml"),
            &format!(
                "apiVersion: tidegate/v1\nversion: 1.0.0\nprovider: {{kind: replay, key: '{{{{ n }}}}', recordings: [recordings/{kind}.jsonl]}}\nprovider_model: {kind}-1\ncontext_window: 1000\ntokenizer: o200k_base\nprices: {{input_per_million: 1, output_per_million: 1}}\n"
            ),
        );
    }
}
