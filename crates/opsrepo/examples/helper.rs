//! Stands in for the binary in this crate's tests: what git's hooks run, and a
//! writer that the tests kill.
//!
//! ```text
//! helper git-hook pre-receive|post-receive
//! helper work REPOSITORY COUNT
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a helper of tests: it may panic and talks by standard output"
)]

use domain::units::Timestamp;
use std::path::Path;
use std::process::ExitCode;
use tidegate_opsrepo::{Alias, Edits, Identity, NewCommit, Repo, RepoError, hook};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let words: Vec<&str> = args.iter().skip(1).map(String::as_str).collect();
    match words.as_slice() {
        ["git-hook", name] => {
            let context = std::env::var_os(hook::CONTEXT_VARIABLE);
            let context = context.as_deref().map(Path::new);
            ExitCode::from(hook::run(name, context, std::io::stdin(), std::io::stderr()))
        }
        ["work", repository, count] => {
            work(&Repo::open(Path::new(repository)).unwrap(), count.parse().unwrap());
            ExitCode::SUCCESS
        }
        _ => ExitCode::from(2),
    }
}

/// Takes `count` changes from branch to promotion, and every third one back.
/// Every step says so before it begins, for the test to kill in the middle.
fn work(repo: &Repo, count: u32) {
    let author = Identity { name: "Ana".into(), email: "ana@example.org".into() };
    let (env, app) = ("production".parse().unwrap(), "demo".parse().unwrap());
    for n in 0..count {
        let step = |name: &str| {
            println!("{n} {name}");
            format!("{name}-{n}")
        };
        let new = |effect| NewCommit {
            author: &author,
            message: "Work",
            at: Timestamp(i64::from(n) * 1000),
            effect,
        };
        let branch = format!("change-{n}");
        let release = domain::ids::ReleaseId(domain::ids::Digest::of(&n.to_le_bytes()));
        let edits: Edits = Edits::from([(format!("file-{n}"), Some(b"content".to_vec()))]);

        let effect = step("commit");
        let merged_before = repo.find_effect(&format!("merge-{n}")).unwrap();
        let head = match (repo.branch(&branch).unwrap(), merged_before) {
            (Some(head), _) => head,
            (None, Some(merge)) => repo.info(merge).unwrap().parents[1],
            (None, None) => {
                repo.commit(&branch, repo.head().unwrap(), &edits, &new(&effect)).unwrap()
            }
        };
        let effect = step("merge");
        let merge = repo.merge(head, &new(&effect)).unwrap();
        step("keep");
        repo.keep(release, merge).unwrap();
        let effect = step("promote");
        repo.set_aliases(&env, &app, &[(Alias::Production, Some(release))], &new(&effect)).unwrap();
        if n % 3 == 2 {
            let effect = step("revert");
            repo.revert(merge, &new(&effect)).unwrap();
        }
        step("delete");
        match repo.delete_branch(&branch, head) {
            Ok(()) | Err(RepoError::Moved { .. }) => {}
            Err(error) => println!("{error}"),
        }
    }
    println!("done");
}
