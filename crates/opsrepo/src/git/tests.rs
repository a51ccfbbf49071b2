//! Against real repositories, judged by the real `git`.

use super::*;
use crate::Alias;
use domain::ids::Digest;
use std::process::Command;

struct Bench {
    folder: tempfile::TempDir,
    repo: Repo,
}

fn ana() -> Identity {
    Identity { name: "Ana Ruiz".into(), email: "ana@example.org".into() }
}

fn ben() -> Identity {
    Identity { name: "Ben <Ode>".into(), email: "Ben@Example.org".into() }
}

fn edits(changes: &[(&str, Option<&str>)]) -> Edits {
    changes
        .iter()
        .map(|(path, text)| ((*path).to_owned(), text.map(|t| t.as_bytes().to_vec())))
        .collect()
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let seed = Files::from([
            ("a.txt".to_owned(), b"one\ntwo\nthree\n".to_vec()),
            ("deep/er/b.txt".to_owned(), b"b\n".to_vec()),
        ]);
        let repo =
            Repo::init(&folder.path().join("ops.git"), &seed, &ana(), Timestamp(1_700_000_000_000))
                .unwrap();
        Self { folder, repo }
    }

    fn git(&self, args: &[&str]) -> String {
        let output = Command::new("git")
            .arg("--git-dir")
            .arg(self.repo.path())
            .args(args)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env_remove("GIT_DIR")
            .output()
            .unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    fn edit(&self, branch: &str, changes: &[(&str, Option<&str>)], effect: &str) -> CommitId {
        let parent = match self.repo.branch(branch).unwrap() {
            Some(head) => head,
            None => self.repo.head().unwrap(),
        };
        self.repo.commit(branch, parent, &edits(changes), &new(&ana(), "Edit", effect)).unwrap()
    }
}

fn new<'a>(author: &'a Identity, message: &'a str, effect: &'a str) -> NewCommit<'a> {
    NewCommit { author, message, at: Timestamp(1_700_000_100_000), effect }
}

fn release(n: u8) -> ReleaseId {
    ReleaseId(Digest::of(&[n]))
}

#[test]
fn a_new_repository_is_one_git_accepts() {
    let bench = Bench::new();
    assert_eq!(bench.git(&["fsck", "--strict", "--no-dangling"]), "");
    assert_eq!(bench.git(&["symbolic-ref", "HEAD"]), "refs/heads/main");
    assert_eq!(
        bench.git(&["log", "-1", "--format=%an|%ae|%at|%s"]),
        "Ana Ruiz|ana@example.org|1700000000|Begin the ops repo"
    );
    let files = bench.repo.files(bench.repo.head().unwrap()).unwrap();
    assert_eq!(files.keys().collect::<Vec<_>>(), ["a.txt", "deep/er/b.txt"]);
    let taken = Repo::init(bench.repo.path(), &Files::new(), &ana(), Timestamp(0));
    assert!(matches!(taken, Err(RepoError::Exists(_))));
    assert!(matches!(Repo::open(bench.folder.path()), Err(RepoError::NotRepository(_))));
}

#[test]
fn an_unfinished_init_is_begun_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ops.git");
    std::fs::create_dir_all(folder.path().join("ops.git.unfinished/objects")).unwrap();
    std::fs::write(folder.path().join("ops.git.unfinished/HEAD.lock"), "").unwrap();
    Repo::init(&path, &Files::new(), &ana(), Timestamp(0)).unwrap().head().unwrap();
    assert!(!folder.path().join("ops.git.unfinished").exists());
}

#[test]
fn a_branch_grows_under_the_persons_name_and_only_from_where_it_is() {
    let bench = Bench::new();
    let main = bench.repo.head().unwrap();
    let change =
        edits(&[("a.txt", Some("1\n")), ("deep/er/b.txt", None), ("deep/c.txt", Some("c"))]);
    let first = bench
        .repo
        .commit("shorter", main, &change, &new(&ben(), "Shorter\n\nBecause.", "e1"))
        .unwrap();
    assert_eq!(
        bench.git(&["log", "-1", "--format=%an|%ae|%at", "shorter"]),
        "Ben Ode|Ben@Example.org|1700000100"
    );
    assert_eq!(bench.git(&["ls-tree", "-r", "--name-only", "shorter"]), "a.txt\ndeep/c.txt");
    assert_eq!(bench.repo.head().unwrap(), main);
    let info = bench.repo.info(first).unwrap();
    assert_eq!(
        (info.subject(), info.effect.as_deref(), &info.parents),
        ("Shorter", Some("e1"), &vec![main])
    );
    // Again: the same commit, also with other work on top.
    assert_eq!(
        bench.repo.commit("shorter", main, &change, &new(&ben(), "Shorter", "e1")).unwrap(),
        first
    );
    let second = bench.edit("shorter", &[("a.txt", Some("2\n"))], "e2");
    assert_eq!(
        bench.repo.commit("shorter", main, &change, &new(&ben(), "Shorter", "e1")).unwrap(),
        first
    );
    // From elsewhere: refused, and nothing moved.
    let stale =
        bench.repo.commit("shorter", first, &change, &new(&ben(), "Stale", "e3")).unwrap_err();
    assert!(matches!(stale, RepoError::Moved { actual: Some(at), .. } if at == second), "{stale}");
    assert_eq!(bench.repo.branches().unwrap(), BTreeMap::from([("shorter".to_owned(), second)]));
}

#[test]
fn names_that_would_hurt_are_refused() {
    let bench = Bench::new();
    let main = bench.repo.head().unwrap();
    for branch in ["main", "main/x", "", "-x", "a..b", "x.lock", "a b", "ü", "refs/../x", "a//b"] {
        let result = bench.repo.commit(branch, main, &edits(&[]), &new(&ana(), "x", "e"));
        assert!(matches!(result, Err(RepoError::BadBranch(_))), "{branch}");
    }
    for path in
        ["", "/abs", "../up", "a/../b", ".git/config", "a/.GIT/x", "a\\b", "a\nb", "a//b", "a/"]
    {
        let result =
            bench.repo.commit("b", main, &edits(&[(path, Some("x"))]), &new(&ana(), "x", "e"));
        assert!(matches!(result, Err(RepoError::BadPath(_))), "{path:?}");
    }
    for effect in ["", " e", "a\nb"] {
        assert!(matches!(
            bench.repo.commit_main(&edits(&[]), &new(&ana(), "x", effect)),
            Err(RepoError::BadEffect)
        ));
    }
}

#[test]
fn a_merge_has_two_parents_and_happens_once() {
    let bench = Bench::new();
    let branch = bench.edit("b", &[("a.txt", Some("one\ntwo\nTHREE\n"))], "e1");
    bench
        .repo
        .commit_main(
            &edits(&[("a.txt", Some("ONE\ntwo\nthree\n"))]),
            &new(&ana(), "Main moves", "m0"),
        )
        .unwrap();
    assert_eq!(bench.repo.conflicts(branch).unwrap(), BTreeSet::new());
    let merged = bench.repo.merge(branch, &new(&ben(), "Merge", "merge-1")).unwrap();
    assert_eq!(bench.git(&["show", "main:a.txt"]), "ONE\ntwo\nTHREE");
    assert_eq!(bench.repo.info(merged).unwrap().parents.len(), 2);
    assert_eq!(bench.repo.merge(branch, &new(&ben(), "Merge", "merge-1")).unwrap(), merged);
    assert_eq!(bench.repo.find_effect("merge-1").unwrap(), Some(merged));
    assert_eq!(
        bench.repo.find_effect("e1").unwrap(),
        None,
        "effects on branches are not effects on main"
    );
    assert!(matches!(
        bench.repo.merge(branch, &new(&ben(), "Merge", "other")),
        Err(RepoError::AlreadyMerged(_))
    ));
    assert_eq!(bench.git(&["fsck", "--strict", "--no-dangling"]), "");
}

#[test]
fn a_conflict_names_the_files_and_moves_nothing() {
    let bench = Bench::new();
    let branch =
        bench.edit("b", &[("a.txt", Some("mine\n")), ("deep/er/b.txt", Some("x\n"))], "e1");
    let main = bench
        .repo
        .commit_main(&edits(&[("a.txt", Some("yours\n"))]), &new(&ana(), "Main", "m0"))
        .unwrap();
    let error = bench.repo.merge(branch, &new(&ben(), "Merge", "merge-1")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "changed on both sides: `a.txt`; merge `main` into the branch, settle these files and push again"
    );
    assert_eq!(bench.repo.head().unwrap(), main);
    assert_eq!(bench.repo.conflicts(branch).unwrap(), BTreeSet::from(["a.txt".to_owned()]));
}

#[test]
fn a_revert_takes_back_merges_and_commits_and_only_them() {
    let bench = Bench::new();
    let branch = bench.edit("b", &[("a.txt", Some("bad\n")), ("deep/new.txt", Some("n"))], "e1");
    let merged = bench.repo.merge(branch, &new(&ben(), "Merge", "merge-1")).unwrap();
    let plain = bench
        .repo
        .commit_main(&edits(&[("other.txt", Some("stays"))]), &new(&ana(), "Other", "m1"))
        .unwrap();
    let back = bench.repo.revert(merged, &new(&ben(), "Take it back", "revert-1")).unwrap();
    assert_eq!(bench.git(&["show", "main:a.txt"]), "one\ntwo\nthree");
    assert_eq!(
        bench.git(&["ls-tree", "-r", "--name-only", "main"]),
        "a.txt\ndeep/er/b.txt\nother.txt"
    );
    assert_eq!(bench.repo.revert(merged, &new(&ben(), "Take it back", "revert-1")).unwrap(), back);
    bench.repo.revert(plain, &new(&ben(), "And this", "revert-2")).unwrap();
    assert_eq!(bench.git(&["ls-tree", "-r", "--name-only", "main"]), "a.txt\ndeep/er/b.txt");
    // Nothing left to take back: said in the history, nothing changed.
    let before = bench.git(&["rev-parse", "main^{tree}"]);
    bench.repo.revert(plain, &new(&ben(), "Once more", "revert-3")).unwrap();
    assert_eq!(bench.git(&["rev-parse", "main^{tree}"]), before);
    let stray = bench.edit("c", &[("x", Some("y"))], "e9");
    assert!(matches!(
        bench.repo.revert(stray, &new(&ben(), "No", "revert-4")),
        Err(RepoError::NotOnMain(_))
    ));
}

#[test]
fn a_revert_in_conflict_names_the_files() {
    let bench = Bench::new();
    let branch = bench.edit("b", &[("a.txt", Some("bad\n"))], "e1");
    let merged = bench.repo.merge(branch, &new(&ben(), "Merge", "merge-1")).unwrap();
    bench
        .repo
        .commit_main(&edits(&[("a.txt", Some("worse\n"))]), &new(&ana(), "Later", "m1"))
        .unwrap();
    let error = bench.repo.revert(merged, &new(&ben(), "Back", "revert-1")).unwrap_err();
    assert!(matches!(error, RepoError::Conflict { files } if files.contains("a.txt")));
}

#[test]
fn aliases_move_in_one_commit_and_once() {
    let bench = Bench::new();
    let (env, app) = ("production".parse().unwrap(), "demo".parse().unwrap());
    let set = |aliases: &[(Alias, Option<ReleaseId>)], effect: &str| {
        bench.repo.set_aliases(&env, &app, aliases, &new(&ana(), "Promote", effect)).unwrap()
    };
    let first = set(&[(Alias::Candidate, Some(release(1)))], "start");
    let second = set(&[(Alias::Production, Some(release(1))), (Alias::Candidate, None)], "promote");
    assert_eq!(
        set(&[(Alias::Production, Some(release(1))), (Alias::Candidate, None)], "again"),
        second,
        "nothing to do"
    );
    assert_eq!(
        set(&[(Alias::Candidate, Some(release(1)))], "start"),
        first,
        "an old effect done again changes nothing"
    );
    assert_eq!(
        bench.git(&["show", "main:environments/production/aliases.yaml"]),
        format!("apiVersion: tidegate/v1\napps:\n  demo:\n    production: {}", release(1))
    );
}

#[test]
fn contributors_are_all_who_have_a_hand_in_it() {
    let bench = Bench::new();
    let main = bench.repo.head().unwrap();
    bench.edit("b", &[("a.txt", Some("1"))], "e1");
    let parent = bench.repo.branch("b").unwrap().unwrap();
    let message = "Pair\n\nCo-Authored-By: Cy <CY@example.org>";
    let head = bench
        .repo
        .commit("b", parent, &edits(&[("a.txt", Some("2"))]), &new(&ben(), message, "e2"))
        .unwrap();
    let all = bench.repo.contributors(main, head).unwrap();
    assert_eq!(
        all.iter().map(String::as_str).collect::<Vec<_>>(),
        ["ana@example.org", "ben@example.org", "cy@example.org"]
    );
    assert!(bench.repo.contributors(head, head).unwrap().is_empty());
}

#[test]
fn differences_are_paths_and_text() {
    let bench = Bench::new();
    let main = bench.repo.head().unwrap();
    let head =
        bench.edit("b", &[("a.txt", Some("one\n2\nthree\n")), ("deep/er/b.txt", None)], "e1");
    assert_eq!(
        bench.repo.changed_paths(main, head).unwrap(),
        BTreeSet::from(["a.txt".into(), "deep/er/b.txt".into()])
    );
    let text = bench.repo.diff(main, head).unwrap();
    assert!(
        text.contains("--- a/a.txt\n+++ b/a.txt\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n"),
        "{text}"
    );
    assert_eq!(bench.repo.merge_base(main, head).unwrap(), Some(main));
    let missing: CommitId = "1234567890123456789012345678901234567890".parse().unwrap();
    assert!(matches!(bench.repo.diff(main, missing), Err(RepoError::NotCommit(_))));
    assert!("main".parse::<CommitId>().is_err());
}

#[test]
fn a_kept_commit_outlives_its_branch_and_gc() {
    let bench = Bench::new();
    let head = bench.edit("b", &[("a.txt", Some("kept"))], "e1");
    let dropped = bench.edit("c", &[("a.txt", Some("dropped"))], "e2");
    bench.repo.keep(release(1), head).unwrap();
    bench.repo.keep(release(1), head).unwrap();
    bench.repo.delete_branch("b", head).unwrap();
    bench.repo.delete_branch("b", head).unwrap();
    assert!(matches!(bench.repo.delete_branch("c", head), Err(RepoError::Moved { .. })));
    bench.repo.delete_branch("c", dropped).unwrap();
    bench.git(&["reflog", "expire", "--expire=now", "--all"]);
    bench.git(&["gc", "--quiet", "--prune=now"]);
    assert_eq!(bench.repo.kept(release(1)).unwrap(), Some(head));
    assert_eq!(bench.repo.file(head, "a.txt").unwrap(), Some(b"kept".to_vec()));
    assert!(bench.repo.files(dropped).is_err());
    assert_eq!(bench.repo.kept(release(2)).unwrap(), None);
}

#[test]
fn locks_of_a_killed_process_do_not_outlive_the_next_start() {
    let bench = Bench::new();
    let path = bench.repo.path().to_owned();
    for lock in ["refs/heads/main.lock", "packed-refs.lock", "HEAD.lock", "config.lock"] {
        std::fs::write(path.join(lock), "").unwrap();
    }
    let blocked = bench.repo.commit_main(&edits(&[("x", Some("1"))]), &new(&ana(), "x", "x"));
    assert!(blocked.is_err(), "the lock is real");
    let repo = Repo::open(&path).unwrap();
    repo.commit_main(&edits(&[("x", Some("1"))]), &new(&ana(), "x", "x")).unwrap();
}

#[test]
fn a_working_copy_is_read_and_never_touched() {
    let bench = Bench::new();
    let copy = bench.folder.path().join("copy");
    let cloned = Command::new("git")
        .args(["clone", "--quiet"])
        .arg(bench.repo.path())
        .arg(&copy)
        .status()
        .unwrap();
    assert!(cloned.success());
    let git = copy.join(".git");
    std::fs::write(git.join("HEAD.lock"), "").unwrap();
    let config = std::fs::read(git.join("config")).unwrap();
    let opened = Repo::open(&git).unwrap();
    assert_eq!(opened.head().unwrap(), bench.repo.head().unwrap());
    let write = opened.commit_main(&edits(&[("x", Some("1"))]), &new(&ana(), "x", "x"));
    assert!(matches!(write, Err(RepoError::ReadOnly(_))));
    assert!(git.join("HEAD.lock").exists() && !git.join("hooks/pre-receive").exists());
    assert_eq!(std::fs::read(git.join("config")).unwrap(), config);
}

#[test]
fn two_writers_lose_nothing() {
    let bench = Bench::new();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let repo = bench.repo.clone();
            scope.spawn(move || {
                for n in 0..10 {
                    let name = format!("{writer}-{n}");
                    repo.commit_main(&edits(&[(&name, Some("x"))]), &new(&ana(), &name, &name))
                        .unwrap();
                }
            });
        }
    });
    assert_eq!(bench.repo.files(bench.repo.head().unwrap()).unwrap().len(), 42);
    assert_eq!(bench.git(&["rev-list", "--count", "main"]), "41");
}

#[test]
fn a_main_set_back_by_hand_forgets_the_effects_it_lost() {
    let bench = Bench::new();
    let first = bench.repo.head().unwrap();
    let lost = bench.repo.commit_main(&edits(&[("x", Some("1"))]), &new(&ana(), "x", "x")).unwrap();
    assert_eq!(bench.repo.find_effect("x").unwrap(), Some(lost));
    bench.git(&["update-ref", "refs/heads/main", &first.to_string()]);
    assert_eq!(bench.repo.find_effect("x").unwrap(), None);
}

#[test]
fn every_write_is_durable_and_git_is_not_told_so_in_outdated_words() {
    let bench = Bench::new();
    // As an older version wrote it.
    bench.git(&["config", "core.fsyncObjectFiles", "true"]);
    let again = Repo::open(bench.repo.path()).unwrap();
    let ours = again.git().unwrap().config().unwrap().snapshot().unwrap();
    assert!(ours.get_bool("core.fsyncobjectfiles").unwrap());
    let gits = bench.git(&["config", "--local", "--list"]);
    assert!(gits.contains("core.fsync=committed,reference"), "{gits}");
    assert!(!gits.contains("fsyncobjectfiles"), "{gits}");
}
