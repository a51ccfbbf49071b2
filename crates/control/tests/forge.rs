//! A forge on the loopback: real git over HTTP, and the parts of the interfaces
//! of GitHub and Gitea that Tidegate uses, answering in their documented shapes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

mod common;

use common::{House, config, files};
use domain::approval::Decision;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use tidegate_control::views::NewApproval;
use tidegate_control::{Config, Control};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;

const TOKEN: &str = "forge-token-1";

#[derive(Default)]
struct There {
    pulls: Vec<Value>,
    /// Of a commit: context, state, description.
    statuses: BTreeMap<String, Vec<(String, String, String)>>,
    /// Calls of the interface: method and path.
    calls: Vec<String>,
    /// The next answers, in place of the right ones.
    next: Vec<&'static str>,
}

struct Fake {
    url: String,
    gitea: bool,
    dir: tempfile::TempDir,
    there: Mutex<There>,
}

impl Fake {
    async fn start(gitea: bool) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let dir = tempfile::tempdir().unwrap();
        let bare = dir.path().join("acme/ops.git");
        let made = std::process::Command::new("git")
            .args(["init", "--bare", "--quiet", "--initial-branch=main"])
            .arg(&bare)
            .status();
        assert!(made.unwrap().success());
        let set = |key: &str, value: &str| {
            let git = std::process::Command::new("git")
                .arg("-C")
                .arg(&bare)
                .args(["config", key, value])
                .status();
            assert!(git.unwrap().success());
        };
        set("http.receivepack", "true");
        let fake = Arc::new(Self { url, gitea, dir, there: Mutex::default() });
        let serving = Arc::clone(&fake);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let fake = Arc::clone(&serving);
                tokio::spawn(async move { fake.serve(stream).await });
            }
        });
        fake
    }

    fn settings(&self) -> String {
        let kind = if self.gitea { "gitea" } else { "github" };
        format!(
            "apiVersion: tidegate/v1\nforge:\n  kind: {kind}\n  url: {}\n  repo: acme/ops\n  \
             token_env: TIDEGATE_FORGE_TOKEN\n  webhook_env: TIDEGATE_FORGE_HOOK\n",
            self.url
        )
    }

    /// Calls since the last time that make or change something.
    fn writes(&self) -> Vec<String> {
        let calls = std::mem::take(&mut self.there.lock().unwrap().calls);
        calls.into_iter().filter(|call| !call.starts_with("GET")).collect()
    }

    async fn branch(&self, name: &str) -> String {
        let out = Command::new("git")
            .arg("-C")
            .arg(self.dir.path().join("acme/ops.git"))
            .args(["rev-parse", name])
            .output();
        String::from_utf8(out.await.unwrap().stdout).unwrap().trim().to_owned()
    }

    async fn serve(&self, stream: TcpStream) {
        let mut stream = BufReader::new(stream);
        loop {
            let (mut line, mut headers) = (String::new(), BTreeMap::new());
            if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                return;
            }
            let mut words = line.split_whitespace();
            let (method, target) =
                (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
            let mut header = String::new();
            while stream.read_line(&mut header).await.unwrap_or(0) > 2 {
                let (name, value) = header.split_once(':').unwrap();
                headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
                header.clear();
            }
            let length = headers.get("content-length").map_or(0, |n| n.parse().unwrap());
            let mut body = vec![0; length];
            stream.read_exact(&mut body).await.unwrap();
            let answer = if target.starts_with("/acme/") {
                self.git(&method, &target, &headers, &body).await
            } else {
                self.api(&method, &target, &headers, &body)
            };
            if stream.get_mut().write_all(&answer).await.is_err() {
                return;
            }
        }
    }

    /// Git's own server, as any web server runs it.
    async fn git(
        &self,
        method: &str,
        target: &str,
        headers: &BTreeMap<String, String>,
        body: &[u8],
    ) -> Vec<u8> {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        let login = STANDARD.encode(format!("x-access-token:{TOKEN}"));
        if headers.get("authorization") != Some(&format!("Basic {login}")) {
            return reply("401 x", "www-authenticate: Basic\r\n", b"");
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut child = Command::new("git")
            .arg("http-backend")
            .env("GIT_PROJECT_ROOT", self.dir.path())
            .env("GIT_HTTP_EXPORT_ALL", "1")
            .env("REQUEST_METHOD", method)
            .env("PATH_INFO", path)
            .env("QUERY_STRING", query)
            .env("REMOTE_USER", "tidegate")
            .env("CONTENT_TYPE", headers.get("content-type").map_or("", String::as_str))
            .env("CONTENT_LENGTH", body.len().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(body).await.unwrap();
        drop(stdin);
        let out = child.wait_with_output().await.unwrap().stdout;
        let end = out.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(out[..end].to_vec()).unwrap();
        let status = head.lines().find_map(|l| l.strip_prefix("Status: ")).unwrap_or("200 OK");
        let head: String =
            head.lines().filter(|l| !l.starts_with("Status")).map(|l| format!("{l}\r\n")).collect();
        reply(status, &head, &out[end + 4..])
    }

    fn api(
        &self,
        method: &str,
        target: &str,
        headers: &BTreeMap<String, String>,
        body: &[u8],
    ) -> Vec<u8> {
        let mut there = self.there.lock().unwrap();
        let prefix = if self.gitea { "/api/v1" } else { "/api/v3" };
        let path = target.strip_prefix(&format!("{prefix}/repos/acme/ops/")).unwrap_or("?");
        there.calls.push(format!("{method} {path}"));
        let scheme = if self.gitea { "token" } else { "Bearer" };
        if headers.get("authorization") != Some(&format!("{scheme} {TOKEN}")) {
            return reply("401 x", "", br#"{"message":"Bad credentials"}"#);
        }
        if let Some(next) = there.next.pop() {
            let (status, more) = next.split_once('|').unwrap();
            let more: String = more.split(',').map(|line| format!("{line}\r\n")).collect();
            return reply(status, &more, br#"{"message":"no"}"#);
        }
        let sent: Value = serde_json::from_slice(body).unwrap_or_default();
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let parts: Vec<&str> = path.split('/').collect();
        let json = |value: Value| reply("200 OK", "", value.to_string().as_bytes());
        match (method, parts.as_slice()) {
            ("GET", ["pulls"]) => {
                let head = query.split('&').find_map(|p| p.strip_prefix("head=acme%3A")).unwrap();
                let head = head.replace("%2F", "/");
                json(there.pulls.iter().filter(|p| p["head"]["ref"] == *head).cloned().collect())
            }
            ("GET", ["pulls", "main", head]) => {
                let head = head.replace("%2F", "/");
                match there.pulls.iter().find(|p| p["head"]["ref"] == *head) {
                    Some(pull) => json(pull.clone()),
                    None => reply("404 x", "", br#"{"message":"not found"}"#),
                }
            }
            ("POST", ["pulls"]) => {
                let number = there.pulls.len() + 1;
                let pull = json!({
                    "number": number, "state": "open", "merged": false, "merged_at": null,
                    "html_url": format!("{}/acme/ops/pulls/{number}", self.url),
                    "title": sent["title"], "body": sent["body"],
                    "head": {"ref": sent["head"]}, "base": {"ref": sent["base"]},
                });
                there.pulls.push(pull.clone());
                reply("201 Created", "", pull.to_string().as_bytes())
            }
            (_, ["pulls", number]) => {
                let number: usize = number.parse().unwrap();
                let pull = &mut there.pulls[number - 1];
                if method == "PATCH" {
                    pull["state"] = sent["state"].clone();
                }
                json(pull.clone())
            }
            ("GET", ["commits", commit, "status"]) => {
                let key = if self.gitea { "status" } else { "state" };
                let all = there.statuses.get(*commit).cloned().unwrap_or_default();
                let all: Vec<Value> = all
                    .into_iter()
                    .map(|(c, s, d)| json!({"context": c, key: s, "description": d}))
                    .collect();
                json(json!({"statuses": all}))
            }
            ("POST", ["statuses", commit]) => {
                let text = |key: &str| sent[key].as_str().unwrap().to_owned();
                assert!(text("description").chars().count() <= 140);
                assert!(text("target_url").starts_with("http://localhost:8080/changes/"));
                let all = there.statuses.entry((*commit).to_owned()).or_default();
                all.retain(|(context, ..)| *context != text("context"));
                all.push((text("context"), text("state"), text("description")));
                reply("201 Created", "", b"{}")
            }
            _ => reply("404 x", "", br#"{"message":"no such route"}"#),
        }
    }
}

fn reply(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut all = format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n", body.len())
        .into_bytes();
    all.extend(body);
    all
}

fn with_keys(house: &House) -> Config {
    let keys = connect::classifier::Keys::new(|name| match name {
        "TIDEGATE_FORGE_TOKEN" => Some(TOKEN.to_owned()),
        "TIDEGATE_FORGE_HOOK" => Some("hook-secret".to_owned()),
        _ => None,
    });
    Config { env_keys: keys, ..config(&house.dir, &house.now) }
}

async fn house(fake: &Fake) -> House {
    let mut files = files();
    files.insert("tidegate.yaml".to_owned(), fake.settings().into_bytes());
    let mut house = House::with(files).await;
    house.control = Control::open(with_keys(&house)).await.unwrap();
    house
}

async fn visit(house: &House, ms: i64) {
    house.now.fetch_add(ms, Ordering::SeqCst);
    house.control.visit_forge().await.unwrap();
}

async fn forge(house: &House) -> Value {
    serde_json::to_value(house.control.git_status(&house.ana()).await.unwrap().forge).unwrap()
}

fn approval(fake: &Fake, commit: &str) -> String {
    let there = fake.there.lock().unwrap();
    let all = there.statuses.get(commit).cloned().unwrap_or_default();
    let found = all.into_iter().find(|(context, ..)| context == "tidegate/approval");
    found.map(|(_, state, _)| state).unwrap_or_default()
}

#[tokio::test]
async fn a_change_is_a_branch_a_pull_request_and_statuses_made_once() {
    for gitea in [false, true] {
        let fake = Fake::start(gitea).await;
        let mut house = house(&fake).await;
        let id = house.propose("Greet {{ name }} warmly.\n").await;
        visit(&house, 0).await;
        let change = house.control.change(&house.ana(), id).await.unwrap();
        assert_eq!(fake.branch(&change.branch).await, change.head);
        let writes = fake.writes();
        assert_eq!(writes.iter().filter(|w| *w == "POST pulls").count(), 1, "{writes:?}");
        assert!(writes.len() > 3, "gates and approval: {writes:?}");
        assert_eq!(approval(&fake, &change.head), "pending");
        let pull = change.pull_request.unwrap();
        assert_eq!((pull.number, pull.state.as_str()), (1, "open"));
        {
            let there = fake.there.lock().unwrap();
            assert_eq!(there.pulls[0]["title"], "Greet better");
            assert!(there.pulls[0]["body"].as_str().unwrap().contains("/changes/1"));
        }
        // Nothing new, nothing made; nor after a restart, nor from an empty memory.
        visit(&house, 120_000).await;
        house.control = Control::open(with_keys(&house)).await.unwrap();
        visit(&house, 120_000).await;
        assert_eq!(fake.writes(), Vec::<String>::new());
        let view = forge(&house).await;
        assert_eq!((view["state"].as_str(), &view["failures"]), (Some("ok"), &json!([])));
        // A yes shows, and the merge arrives as main.
        let yes = NewApproval {
            decision: Decision::Approve,
            comment: "fine".to_owned(),
            content: change.content,
        };
        house.control.decide(&house.priya(), id, None, yes).await.unwrap();
        house.control.look().await;
        visit(&house, 1_000).await;
        assert_eq!(approval(&fake, &change.head), "success");
        let main = house.control.git_status(&house.ana()).await.unwrap().head;
        assert_eq!(fake.branch("main").await, main);
    }
}

#[tokio::test]
async fn a_merge_there_moves_nothing_here_and_is_told() {
    let fake = Fake::start(false).await;
    let house = house(&fake).await;
    let id = house.propose("Greet {{ name }} warmly.\n").await;
    visit(&house, 0).await;
    {
        let mut there = fake.there.lock().unwrap();
        there.pulls[0]["state"] = json!("closed");
        there.pulls[0]["merged_at"] = json!("2026-01-01T00:00:00Z");
    }
    // The bell: only with the right signature.
    let body = br#"{"action":"closed"}"#;
    let signed = |tag: &str| {
        let mut headers = http::HeaderMap::new();
        headers.insert("x-hub-signature-256", tag.parse().unwrap());
        headers
    };
    let bad = signed(&format!("sha256={}", "0".repeat(64)));
    let refused = house.control.ring_forge(&bad, body).await.unwrap_err();
    assert_eq!(refused.code, "bad_signature");
    visit(&house, 1_000).await;
    let state = async || {
        let change = house.control.change(&house.ana(), id).await.unwrap();
        (change.pull_request.unwrap().state, change.state)
    };
    assert_eq!(state().await.0, "open", "nobody rang, and it is not time");
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, b"hook-secret");
    let tag = aws_lc_rs::hmac::sign(&key, body);
    let good = signed(&format!("sha256={}", hex::encode(tag.as_ref())));
    house.control.ring_forge(&good, body).await.unwrap();
    visit(&house, 1_000).await;
    let (pull, change) = state().await;
    assert_eq!(pull, "merged");
    assert_eq!(change, domain::change::ChangeState::NeedsApproval, "approvals are Tidegate's");
    for _ in 0..3 {
        visit(&house, 100_000).await;
    }
    let log = house.control.audit(&house.ana(), Default::default()).await.unwrap();
    let told = log.items.iter().filter(|row| row.entry.action == "forge.merged_there").count();
    assert_eq!(told, 1, "noticed once");
}

#[tokio::test]
async fn limits_are_kept_failures_are_shown_and_main_is_never_forced() {
    let fake = Fake::start(false).await;
    let house = house(&fake).await;
    house.propose("Greet {{ name }} warmly.\n").await;
    fake.there.lock().unwrap().next.push("403 x|x-ratelimit-remaining: 0,retry-after: 120");
    visit(&house, 0).await;
    assert_eq!(forge(&house).await["state"], "waiting");
    fake.writes();
    visit(&house, 60_000).await;
    assert!(fake.there.lock().unwrap().calls.is_empty(), "not before it may");
    fake.there.lock().unwrap().next.push("422 x|a: b");
    visit(&house, 61_000).await;
    let view = forge(&house).await;
    assert_eq!(view["state"], "failing", "{view}");
    assert!(view["failures"][0]["text"].as_str().unwrap().contains("422"), "{view}");
    visit(&house, 10_000).await;
    assert_eq!(forge(&house).await["state"], "ok");
    // Somebody put a commit on main there: it stays, and is said.
    let bare = fake.dir.path().join("acme/ops.git");
    let script =
        "c=$(git commit-tree -m foreign -p main main^{tree}) && git update-ref refs/heads/main $c";
    let made = std::process::Command::new("sh")
        .args(["-c", script])
        .current_dir(&bare)
        .envs([("GIT_AUTHOR_NAME", "e"), ("GIT_AUTHOR_EMAIL", "e@e"), ("GIT_COMMITTER_NAME", "e")])
        .env("GIT_COMMITTER_EMAIL", "e@e")
        .status();
    assert!(made.unwrap().success());
    let foreign = fake.branch("main").await;
    house.approve(domain::ids::ChangeId(1)).await;
    visit(&house, 1_000).await;
    let view = forge(&house).await;
    assert_eq!(view["failures"][0]["what"], "main", "{view}");
    assert_eq!(fake.branch("main").await, foreign);
    assert!(!view.to_string().contains(TOKEN));
}
