//! `eval record`: ask the provider once and keep its answers; then ask those who
//! judge answers (judges, embeddings, classifiers) about what was recorded, and
//! keep what they say.

use super::releases::{self, Against};
use super::{RecordArgs, today, write_whole};
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::talk;
use crate::cli::run::Run;
use domain::finding::Tier;
use domain::ids::AppName;
use evals::{Asker, How, Loaded, Options, Recorder, Releases, asks_others, evaluate, unasked};
use opsrepo::{Desired, Files};
use std::sync::Arc;

/// Troubles that are listed.
const LISTED: usize = 5;

pub(super) async fn run(run: &Run, args: &RecordArgs) -> Result<Exit, Failure> {
    let (mut files, desired) = args.which.read()?;
    let wanted = |app: &&AppName| args.which.app.as_ref().is_none_or(|a| a == *app);
    let mut exit = Exit::Ok;
    for app in desired.apps.keys().filter(wanted) {
        let about = (&files, &desired, app);
        let releases = releases::of(&args.which.repo, about, None, (true, today(run)))?;
        for loaded in args.which.suites(&files, app)? {
            let path = format!("apps/{app}/evals/recordings/{}.jsonl", loaded.name);
            let one = answers(run, args, &releases, (&mut files, &path, &loaded)).await?;
            exit = if one == Exit::Ok { exit } else { one };
            if asks_others(&loaded) {
                let one = words(run, args, (&mut files, &desired, app), (&path, loaded)).await?;
                exit = if one == Exit::Ok { exit } else { one };
            }
        }
    }
    Ok(exit)
}

/// The release's own answers.
async fn answers(
    run: &Run,
    args: &RecordArgs,
    releases: &Releases,
    (files, path, loaded): (&mut Files, &str, &Loaded),
) -> Result<Exit, Failure> {
    let live = releases
        .subject(&releases.candidate, Tier::Paid)
        .map_err(|why| Failure::usage(why.message).fix(why.mend))?;
    if !live.is_live() {
        talk(&format!(
            "{} {}: no answer to record: `{}` answers from recordings or rules",
            loaded.app, loaded.name, live.model_name
        ));
        return Ok(Exit::Ok);
    }
    let existing = files.get(path).map(Vec::as_slice).unwrap_or_default();
    let asker = Asker::new(args.which.limits(), loaded.suite.token_cap);
    let repeats = args.which.repeats.unwrap_or(loaded.suite.repeats);
    let day = day(run);
    let done = evals::record(loaded, &live, &asker, existing, (repeats, args.again, &day)).await;
    let text = done.jsonl().map_err(|e| Failure::new(Exit::Failed, e.to_string()))?;
    write_whole(&args.which.repo.join(path), &text)?;
    files.insert(path.to_owned(), text.into_bytes());
    talk(&format!(
        "{path}: {} recorded, {} were there, {} tokens",
        done.new,
        done.kept,
        asker.used()
    ));
    for (case, why) in done.failed.iter().take(LISTED) {
        talk(&format!("  case `{case}`: {why}; {}", why.mend));
    }
    Ok(if done.failed.is_empty() { Exit::Ok } else { Exit::Failed })
}

/// What others say of recorded answers, of this release and of what it is
/// compared with.
async fn words(
    run: &Run,
    args: &RecordArgs,
    (files, desired, app): (&mut Files, &Desired, &AppName),
    (path, loaded): (&str, Arc<Loaded>),
) -> Result<Exit, Failure> {
    let against = match &args.against {
        Against::Nothing => None,
        Against::Production => {
            let environment = &desired.settings.defaults.environment;
            desired.production(environment, app).map(|id| id.to_string())
        }
        Against::Release(id) => Some(id.clone()),
    };
    let about = (&*files, desired, app);
    let mut releases = releases::of(&args.which.repo, about, against, (true, today(run)))?;
    let existing = files.get(path).map(Vec::as_slice).unwrap_or_default();
    let recorder = Arc::new(Recorder::new(existing, args.again, &day(run)));
    releases.beside.recorder = Some(Arc::clone(&recorder));
    let how = How {
        options: Options { repeats: args.which.repeats, ..Options::default() },
        limits: args.which.limits(),
        journal: Some(args.which.repo.join(super::CACHE)),
        ..How::default()
    };
    let report = evaluate(loaded, &releases, &how, &|_| {}).await;
    let done = recorder.recorded();
    let text = done.jsonl().map_err(|e| Failure::new(Exit::Failed, e.to_string()))?;
    write_whole(&args.which.repo.join(path), &text)?;
    files.insert(path.to_owned(), text.into_bytes());
    talk(&format!("{path}: {} words about answers recorded, {} were there", done.new, done.kept));
    let mut trouble = unasked(&report).peekable();
    let failed = trouble.peek().is_some();
    for finding in trouble.take(LISTED) {
        talk(&format!("  {}; {}", finding.message, finding.mend));
    }
    Ok(if failed { Exit::Failed } else { Exit::Ok })
}

/// Today, as recordings have it.
fn day(run: &Run) -> String {
    run.now().iso().chars().take(10).collect()
}
