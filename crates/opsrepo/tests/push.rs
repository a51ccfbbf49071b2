//! Clone, fetch and push with the real `git`, over a real HTTP server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

mod common;

use bytes::Bytes;
use domain::units::Timestamp;
use futures_util::TryStreamExt;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use tidegate_opsrepo::hook::{DeniedRelease, PushContext};
use tidegate_opsrepo::http::{Backend, Body, HttpError};
use tidegate_opsrepo::{Edits, Identity, NewCommit, Repo, parse, scaffold};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

struct Bench {
    folder: tempfile::TempDir,
    repo: Repo,
    context: Arc<Mutex<PushContext>>,
    url: String,
    _runtime: Runtime,
}

fn ana() -> Identity {
    Identity { name: "Ana".into(), email: "ana@example.org".into() }
}

fn context() -> PushContext {
    PushContext {
        actor: "ana".parse().unwrap(),
        email: "Ana@example.org".into(),
        may_push: true,
        denied: Vec::new(),
    }
}

async fn answer(
    backend: Backend,
    context: PushContext,
    request: http::Request<Incoming>,
) -> Result<
    http::Response<StreamBody<impl futures_util::Stream<Item = std::io::Result<Frame<Bytes>>>>>,
    HttpError,
> {
    let (parts, body) = request.into_parts();
    let response: http::Response<Body> =
        backend.serve(parts, body.into_data_stream(), &context).await?;
    Ok(response.map(|body| StreamBody::new(body.map_ok(Frame::data))))
}

impl Bench {
    fn new() -> Self {
        Self::with(&common::helper())
    }

    fn with(exe: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let seed = scaffold::starter(&"demo".parse().unwrap());
        let repo =
            Repo::init(&folder.path().join("ops.git"), &seed, &ana(), Timestamp(1_700_000_000_000))
                .unwrap();
        let context = Arc::new(Mutex::new(context()));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let (backend, served) = (Backend::new(repo.clone(), exe.to_owned()), Arc::clone(&context));
        runtime.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (backend, context) = (backend.clone(), Arc::clone(&served));
                tokio::spawn(async move {
                    let service = service_fn(move |request| {
                        let context = context.lock().unwrap().clone();
                        answer(backend.clone(), context, request)
                    });
                    let served = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service);
                    drop(served.await);
                });
            }
        });
        Self { folder, repo, context, url, _runtime: runtime }
    }

    fn clone(&self, name: &str) -> Clone {
        let path = self.folder.path().join(name);
        let output =
            git(self.folder.path(), &["clone", "--quiet", &self.url, path.to_str().unwrap()]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Clone { path }
    }
}

fn git(folder: &Path, args: &[&str]) -> Output {
    Command::new("git")
        .args([
            "-c",
            "protocol.version=2",
            "-c",
            "user.name=Ana",
            "-c",
            "user.email=ana@example.org",
            "-c",
            "init.defaultBranch=main",
        ])
        .args(args)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("LC_ALL", "C")
        .env("no_proxy", "127.0.0.1")
        .output()
        .unwrap()
}

struct Clone {
    path: PathBuf,
}

impl Clone {
    fn git(&self, args: &[&str]) -> String {
        let output = git(&self.path, args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Pushes; what the server said if it refused.
    fn push(&self, args: &[&str]) -> Result<(), String> {
        let output = git(&self.path, &[&["push", "--quiet", "origin"], args].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() { Ok(()) } else { Err(said) }
    }

    fn edit(&self, branch: &str, file: &str, old: &str, new: &str) {
        self.git(&["switch", "--quiet", "-C", branch]);
        let path = self.path.join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(old));
        std::fs::write(path, text.replace(old, new)).unwrap();
        self.git(&["commit", "--quiet", "-am", &format!("Edit {branch}")]);
    }
}

const SYSTEM: &str = "apps/demo/prompts/summary/system.j2";

#[test]
fn a_pushed_branch_lands_and_is_in_the_journal_until_it_is_dealt_with() {
    let bench = Bench::new();
    let clone = bench.clone("ana");
    clone.edit("shorter", SYSTEM, "three", "two");
    clone.push(&["shorter"]).unwrap();
    let head = bench.repo.branch("shorter").unwrap().unwrap();
    assert_eq!(head.to_string(), clone.git(&["rev-parse", "HEAD"]));
    let pushes = bench.repo.take_pushes().unwrap();
    assert_eq!(pushes.len(), 1);
    assert_eq!(pushes[0].actor.as_str(), "ana");
    let update = &pushes[0].updates[0];
    assert_eq!(
        (update.branch.as_str(), update.before, update.after),
        ("shorter", None, Some(head))
    );
    // Not dealt with: given again, also by another start of the server.
    assert_eq!(Repo::open(bench.repo.path()).unwrap().take_pushes().unwrap(), pushes);
    clone.edit("shorter", SYSTEM, "two", "four");
    clone.push(&["shorter"]).unwrap();
    let both = bench.repo.take_pushes().unwrap();
    assert_eq!(both[1].updates[0].before, Some(head));
    bench.repo.push_done(&both[0].id).unwrap();
    bench.repo.push_done(&both[0].id).unwrap();
    assert_eq!(bench.repo.take_pushes().unwrap(), both[1..]);
    bench.repo.push_done(&both[1].id).unwrap();
    clone.edit("shorter", SYSTEM, "four", "five");
    clone.push(&["shorter"]).unwrap();
    let third = bench.repo.take_pushes().unwrap();
    assert!(both.iter().all(|push| push.id < third[0].id), "numbers are never used again");
}

#[test]
fn main_and_the_servers_own_refs_do_not_move_by_push() {
    let bench = Bench::new();
    let clone = bench.clone("ana");
    let before = bench.repo.head().unwrap();
    clone.edit("main", SYSTEM, "three", "two");
    let said = clone.push(&["main"]).unwrap_err();
    assert!(said.contains("Push a branch instead, and it becomes a change"), "{said}");
    for (target, words) in [
        ("refs/tidegate/keep/x", "belongs to the server"),
        ("refs/tags/v1", "is no branch"),
        ("refs/heads/main/x", "cannot be a branch"),
        ("refs/heads/a$b", "cannot be a branch"),
    ] {
        let said = clone.push(&[&format!("HEAD:{target}")]).unwrap_err();
        assert!(said.contains(words), "{target}: {said}");
    }
    let said = clone.push(&["--delete", "main"]).unwrap_err();
    assert!(
        said.contains("`main` moves only by approved changes") || said.contains("deletion"),
        "{said}"
    );
    // One bad ref refuses the whole push.
    clone.push(&["HEAD:fine", "HEAD:main"]).unwrap_err();
    assert_eq!(bench.repo.head().unwrap(), before);
    assert!(bench.repo.branches().unwrap().is_empty());
    assert!(bench.repo.take_pushes().unwrap().is_empty());
}

#[test]
fn a_failed_release_does_not_come_back_by_push() {
    let bench = Bench::new();
    let clone = bench.clone("ana");
    clone.edit("bad", SYSTEM, "three", "seven");
    clone.push(&["bad"]).unwrap();
    let bad = bench.repo.branch("bad").unwrap().unwrap();
    let release =
        parse(&bench.repo.files(bad).unwrap()).0.compose(&"demo".parse().unwrap()).unwrap().id;
    bench.context.lock().unwrap().denied = vec![DeniedRelease {
        release,
        failed_on: "accepted (12 of 60 against 48 of 60) on 2026-11-21".into(),
    }];
    // The same content on another branch, by another commit.
    clone.git(&["switch", "--quiet", "main"]);
    clone.edit("again", SYSTEM, "three", "seven");
    let said = clone.push(&["again"]).unwrap_err();
    assert!(
        said.contains("failed on accepted (12 of 60 against 48 of 60) on 2026-11-21"),
        "{said}"
    );
    assert!(said.contains(&format!("tidegate release clear {}", release.short())), "{said}");
    // A branch from a `main` that had it does not bring it.
    let author = ana();
    let new = |effect| NewCommit { author: &author, message: "x", at: Timestamp(0), effect };
    bench.repo.merge(bad, &new("merge")).unwrap();
    let late = bench.clone("late");
    late.edit("other", "README.md", "Ops repo", "Our ops repo");
    late.push(&["other"]).unwrap();
    // Other content is welcome; cleared, the same is too.
    clone.edit("again", SYSTEM, "seven", "six");
    clone.push(&["again"]).unwrap();
    clone.edit("again", SYSTEM, "six", "seven");
    clone.push(&["again"]).unwrap_err();
    bench.context.lock().unwrap().denied.clear();
    clone.push(&["again"]).unwrap();
}

#[test]
fn nobody_drops_commits_of_others() {
    let bench = Bench::new();
    let clone = bench.clone("ana");
    clone.edit("mine", SYSTEM, "three", "two");
    clone.push(&["mine"]).unwrap();
    let ben = Identity { name: "Ben".into(), email: "ben@example.org".into() };
    let edits = Edits::from([("new.txt".to_owned(), Some(b"x".to_vec()))]);
    let new = NewCommit { author: &ben, message: "Ben's", at: Timestamp(0), effect: "e" };
    bench.repo.commit("bens", bench.repo.head().unwrap(), &edits, &new).unwrap();
    clone.git(&["fetch", "--quiet"]);
    for args in [&["--delete", "bens"][..], &["--force", "mine:bens"]] {
        let said = clone.push(args).unwrap_err();
        assert!(said.contains("ben@example.org"), "{said}");
    }
    // One's own may be rewritten and deleted.
    clone.git(&["switch", "--quiet", "mine"]);
    clone.git(&["commit", "--quiet", "--amend", "-m", "Better words"]);
    clone.push(&["--force", "mine"]).unwrap();
    clone.push(&["--delete", "mine"]).unwrap();
    assert_eq!(bench.repo.branches().unwrap().keys().collect::<Vec<_>>(), ["bens"]);
    let last = bench.repo.take_pushes().unwrap().pop().unwrap();
    assert_eq!(last.updates[0].after, None);
}

#[test]
fn a_history_of_elsewhere_is_refused() {
    let bench = Bench::new();
    let clone = bench.clone("ana");
    clone.git(&["switch", "--quiet", "--orphan", "alien"]);
    clone.git(&["commit", "--quiet", "--allow-empty", "-m", "Alien"]);
    let said = clone.push(&["alien"]).unwrap_err();
    assert!(said.contains("no history in common"), "{said}");
}

#[test]
fn who_may_not_push_may_clone() {
    let bench = Bench::new();
    bench.context.lock().unwrap().may_push = false;
    let clone = bench.clone("eve");
    assert!(clone.path.join(SYSTEM).exists());
    clone.edit("x", SYSTEM, "three", "two");
    let said = clone.push(&["x"]).unwrap_err();
    assert!(said.contains("403"), "{said}");
    // Nor past the server.
    let path = bench.repo.path().to_str().unwrap().to_owned();
    let output = git(&clone.path, &["push", &path, "x"]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("belongs to a Tidegate server"));
}

#[test]
fn clones_do_not_see_the_servers_own_refs() {
    let bench = Bench::new();
    let head = bench.repo.head().unwrap();
    bench.repo.keep(domain::ids::ReleaseId(domain::ids::Digest::of(b"x")), head).unwrap();
    let output = git(bench.folder.path(), &["ls-remote", &bench.url]);
    let refs = String::from_utf8(output.stdout).unwrap();
    assert!(refs.contains("refs/heads/main") && !refs.contains("tidegate"), "{refs}");
}

#[test]
fn a_large_push_streams() {
    let bench = Bench::new();
    let clone = bench.clone("ana");
    clone.git(&["switch", "--quiet", "-C", "large"]);
    // Does not compress: the pack is larger than one chunk and sent in chunks.
    let mut state = 1_u64;
    let bytes: Vec<u8> = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    })
    .take(3 << 20)
    .collect();
    std::fs::write(clone.path.join("large.bin"), &bytes).unwrap();
    clone.git(&["add", "large.bin"]);
    clone.git(&["commit", "--quiet", "-m", "Large"]);
    clone.push(&["large"]).unwrap();
    let again = bench.clone("again");
    again.git(&["switch", "--quiet", "large"]);
    assert_eq!(std::fs::read(again.path.join("large.bin")).unwrap(), bytes);
}

/// Enough to ask about that git compresses the request.
#[test]
fn a_fetch_with_much_to_tell_is_understood() {
    let bench = Bench::new();
    let clone = bench.clone("ana");
    for n in 0..80 {
        clone.git(&["commit", "--quiet", "--allow-empty", "-m", &n.to_string()]);
    }
    let author = ana();
    let new = NewCommit { author: &author, message: "x", at: Timestamp(0), effect: "x" };
    let edits = Edits::from([("new.txt".to_owned(), Some(b"x".to_vec()))]);
    let head = bench.repo.commit_main(&edits, &new).unwrap();
    clone.git(&["fetch", "--quiet"]);
    assert_eq!(clone.git(&["rev-parse", "origin/main"]), head.to_string());
}

/// The process ends between git's two hooks: the push is in the refs and not yet
/// in the journal.
#[test]
fn a_push_cut_off_between_the_hooks_is_found_in_the_refs() {
    let folder = tempfile::tempdir().unwrap();
    let half = folder.path().join("half");
    let helper = common::helper();
    let script = format!(
        "#!/bin/sh\n[ \"$2\" = post-receive ] && exit 0\nexec '{}' \"$@\"\n",
        helper.display()
    );
    std::fs::write(&half, script).unwrap();
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&half, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let bench = Bench::with(&half);
    let clone = bench.clone("ana");
    clone.edit("cut", SYSTEM, "three", "two");
    clone.push(&["cut"]).unwrap();
    let pushes = Repo::open(bench.repo.path()).unwrap().take_pushes().unwrap();
    assert_eq!(pushes.len(), 1);
    assert_eq!(pushes[0].updates[0].branch, "cut");
}
