//! What happens, and the telling of it: one line per event.

use super::DemoError;
use super::content::{APP, Edited, SHORTER, WARMER};
use super::desk::{Desk, RATE, READERS};
use super::folder::Folder;
use super::people::Cast;
use super::server::Server;
use control::views::{ChangeView, Edit, NewApproval, NewChange, RolloutView, WhyView};
use domain::approval::Decision;
use domain::change::ChangeState;
use domain::finding::GateOutcome;
use domain::ids::{AppName, ReleaseId, RolloutId};
use domain::units::{Clock, Timestamp};
use std::io::Write as _;
use std::time::Duration;

/// How often the server is asked what is new.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long one change may take from proposal to its end.
const DECIDED_WITHIN: Duration = Duration::from_secs(40);

/// Prints the story. Times are UTC.
pub struct Teller {
    clock: Clock,
}

impl Teller {
    /// With this clock.
    pub fn new(clock: Clock) -> Self {
        Self { clock }
    }

    /// A heading.
    pub fn head(&self, text: &str) {
        print(&format!("\n{text}"));
    }

    /// One event, now.
    pub fn say(&self, text: &str) {
        self.say_at(self.clock.now(), text);
    }

    /// One event, at its own time.
    pub fn say_at(&self, at: Timestamp, text: &str) {
        print(&format!("{}  {}", at.clock(), text.replace('\n', "\n          ")));
    }

    /// Where to watch what follows.
    pub fn watch(&self, sign_in: &str) {
        print(&format!("Watch it in a browser, once and within the hour: {sign_in}\n"));
    }

    /// What to try while it stays up.
    pub fn stay(&self, server: &Server, folder: &Folder, sign_in: &str) {
        let show = |path: std::path::PathBuf| path.display().to_string();
        self.head("The server stays up; Ctrl-C ends it. To try in another terminal:");
        print(&format!(
            "  in a browser, once and within the hour: {sign_in}\n\
             \n  export TIDEGATE_SERVER={}\n  export TIDEGATE_TOKEN_FILE={}   # or ana, priya, irina, dev\n\
             \n  tidegate status\n  tidegate change list\n  tidegate incident list\n  tidegate kill {APP} --reason 'trying the kill switch'\n  tidegate unkill {APP} --reason 'tried the kill switch'\n\
             \n  gateway (OpenAI-compatible): {}/v1, key in {}, model `app/{APP}`\n  git clone {}/git/ops.git   # any user, a token as password",
            server.control,
            show(folder.token("omar")),
            server.gateway,
            show(folder.token("app")),
            server.control,
        ));
    }
}

/// One line for whoever watches. A closed terminal is nobody's loss.
fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).ok();
}

/// What happened, for checking it again.
pub struct Happened {
    /// The release everybody had at the beginning.
    pub first: ReleaseId,
    /// The good change as it ended.
    pub good: ChangeView,
    /// Its rollout.
    pub good_rollout: RolloutView,
    /// The bad change as it ended.
    pub bad: ChangeView,
    /// Its rollout.
    pub bad_rollout: RolloutView,
    /// What `why` said about a harmed request.
    pub why: WhyView,
}

/// Plays both acts.
///
/// # Errors
/// When something does not come about, or not in time.
pub async fn run(
    teller: &Teller,
    server: &Server,
    cast: &Cast,
    desk: &Desk,
) -> Result<Happened, DemoError> {
    teller.head("A micro app with live traffic");
    teller.say(&format!("control port {}, gateway {}", server.control, server.gateway));
    let app: control::views::AppView = cast.omar.get(&format!("apps/{APP}")).await?;
    let first = app.production.ok_or_else(|| DemoError::new("the app has no release"))?;
    teller.say(&format!(
        "`{APP}` serves {RATE} requests a second of {READERS} readers from {} ({})",
        first.short(),
        app.labels.get("prompt").cloned().unwrap_or_default()
    ));

    teller.head("A good change");
    let (good, good_rollout) = change(teller, cast, desk, &SHORTER).await?;
    finish_good(teller, &good_rollout);

    teller.head("A bad change: every word plausible, and no static check can know");
    let (bad, bad_rollout) = change(teller, cast, desk, &WARMER).await?;
    finish_bad(teller, &bad_rollout, &bad);

    teller.head("Why did this reader get a bad answer?");
    let why = explain(teller, cast, desk, bad_rollout.candidate).await?;
    Ok(Happened { first, good, good_rollout, bad, bad_rollout, why })
}

/// One change from proposal to its end.
async fn change(
    teller: &Teller,
    cast: &Cast,
    desk: &Desk,
    edited: &Edited,
) -> Result<(ChangeView, RolloutView), DemoError> {
    let within = tokio::time::timeout(DECIDED_WITHIN, async {
        let change = propose(teller, cast, edited).await?;
        let rollout = approve(teller, cast, change).await?;
        let rollout = watch(teller, cast, desk, rollout).await?;
        let change = settled(cast, rollout.change).await?;
        Ok((change, rollout))
    });
    within.await.unwrap_or_else(|_| {
        Err(DemoError::new(format!(
            "\"{}\" was not decided within {} s",
            edited.title,
            DECIDED_WITHIN.as_secs()
        )))
    })
}

async fn propose(teller: &Teller, cast: &Cast, edited: &Edited) -> Result<ChangeView, DemoError> {
    let app: AppName =
        APP.parse().map_err(|e: domain::ids::InvalidId| DemoError::new(e.to_string()))?;
    let new = NewChange {
        app,
        title: Some(edited.title.to_owned()),
        why: edited.why.to_owned(),
        edits: edited
            .edits()
            .map(|(path, text)| Edit { path, content: Some(text.to_owned()) })
            .collect(),
        branch: None,
        bump: None,
    };
    let mut change: ChangeView = cast.ana.post("changes", &new, None).await?;
    teller.say(&format!("Ana proposes {} \"{}\"", change.id, edited.title));
    while change.state == ChangeState::Checking {
        tokio::time::sleep(LOOK_EVERY).await;
        change = cast.ana.get(&format!("changes/{}", change.id)).await?;
    }
    let report =
        change.report.as_ref().ok_or_else(|| DemoError::new("there is no report of the checks"))?;
    // Warnings are for the approver: nobody has sent feedback on this app yet.
    let passes = |of: GateOutcome| matches!(of, GateOutcome::Passed | GateOutcome::Warned);
    let passed = report.gates.iter().filter(|g| passes(g.outcome)).count();
    let names: Vec<&str> = report.gates.iter().map(|g| g.gate.as_str()).collect();
    let differences: Vec<String> = change
        .differences
        .iter()
        .filter(|d| !d.same())
        .map(crate::cli::release::difference)
        .collect();
    teller.say(&format!(
        "the checks passed: {passed} of {} ({}); differs in {}",
        report.gates.len(),
        names.join(", "),
        differences.join(", ")
    ));
    if change.state != ChangeState::NeedsApproval {
        return Err(DemoError::new(format!(
            "{} is not ready for approval: {}",
            change.id, change.summary.text
        )));
    }
    Ok(change)
}

async fn approve(teller: &Teller, cast: &Cast, seen: ChangeView) -> Result<RolloutId, DemoError> {
    let approval = NewApproval {
        decision: Decision::Approve,
        comment: "Reads well.".to_owned(),
        content: seen.content,
    };
    let path = format!("changes/{}/approvals", seen.id);
    // The author may not, and a demo that never tries would not know.
    if cast.ana.post::<_, ChangeView>(&path, &approval, Some(seen.generation)).await.is_ok() {
        return Err(DemoError::new("Ana could approve her own change"));
    }
    let mut change: ChangeView = cast.priya.post(&path, &approval, Some(seen.generation)).await?;
    teller.say("Ana may not approve her own change; Priya reads the difference and approves it");
    loop {
        if let Some(rollout) = change.rollout {
            let commit = change.merge_commit.as_deref().unwrap_or_default();
            teller.say(&format!("merged as commit {}; rollout {rollout} starts", short(commit)));
            return Ok(rollout);
        }
        tokio::time::sleep(LOOK_EVERY).await;
        change = cast.priya.get(&format!("changes/{}", change.id)).await?;
    }
}

/// Tells every step of a rollout until nothing more follows.
async fn watch(
    teller: &Teller,
    cast: &Cast,
    desk: &Desk,
    id: RolloutId,
) -> Result<RolloutView, DemoError> {
    let mut told = None;
    loop {
        let rollout: RolloutView = cast.omar.get(&format!("rollouts/{id}")).await?;
        let now = (rollout.step, rollout.phase.word());
        if told.as_ref() != Some(&now) && rollout.phase.word() == "running" {
            let step = rollout.steps.get(rollout.step).cloned().unwrap_or_default();
            teller.say(&format!("step {} of {}: {step}", rollout.step + 1, rollout.steps.len()));
        }
        if rollout.phase.word() == "paused" {
            let why = rollout.report.as_ref().map(|r| r.summary.text.clone()).unwrap_or_default();
            return Err(DemoError::new(format!("the rollout paused: {why}")));
        }
        told = Some(now);
        // Final, told to every gateway and to git.
        if rollout.phase.is_final() {
            return Ok(rollout);
        }
        let failures = desk.look(|d| (d.failures, d.last_failure.clone()));
        if let (1.., Some(why)) = failures {
            return Err(DemoError::new(format!("{} requests failed, the last: {why}", failures.0)));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The change once it has followed its rollout to the end.
async fn settled(cast: &Cast, id: domain::ids::ChangeId) -> Result<ChangeView, DemoError> {
    loop {
        let change: ChangeView = cast.omar.get(&format!("changes/{id}")).await?;
        if change.state.is_final() {
            return Ok(change);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn decision(rollout: &RolloutView) -> String {
    rollout.decision.as_ref().map(|d| d.text.clone()).unwrap_or_default()
}

fn finish_good(teller: &Teller, rollout: &RolloutView) {
    teller.say_at(rollout.decided_at.unwrap_or_default(), &decision(rollout));
    teller.say(&format!(
        "live for everyone: `production` points at {}, moved by commit {}",
        rollout.candidate.short(),
        short(rollout.git_commit.as_deref().unwrap_or_default())
    ));
}

fn finish_bad(teller: &Teller, rollout: &RolloutView, change: &ChangeView) {
    teller.say_at(rollout.decided_at.unwrap_or_default(), &decision(rollout));
    teller.say(&format!(
        "{} of {} candidate answers hurt a reader; everyone else never saw it",
        rollout.requests_harmed, rollout.requests_exposed
    ));
    if let Some(span) = rollout.swing_back {
        teller.say(&format!(
            "every gateway was back on {} after {} ms",
            rollout.stable.short(),
            span.millis()
        ));
    }
    teller.say(&format!(
        "git is reconciled: {} was reverted by commit {}",
        change.id,
        short(change.revert_commit.as_deref().unwrap_or_default())
    ));
    if let Some(incident) = &rollout.incident {
        teller.say(&format!(
            "incident {incident} is open; {} stays off until a person clears it",
            rollout.candidate.short()
        ));
    }
}

/// Asks why about one of the harmed requests.
async fn explain(
    teller: &Teller,
    cast: &Cast,
    desk: &Desk,
    candidate: ReleaseId,
) -> Result<WhyView, DemoError> {
    let bad = candidate.short();
    let harm = desk
        .look(|d| d.harms.iter().find(|h| h.release == bad).cloned())
        .ok_or_else(|| DemoError::new("no reader rejected an answer of the bad release"))?;
    let why: WhyView = cast.omar.get(&format!("requests/{}/explain", harm.request)).await?;
    teller.say(&format!("`tidegate why {}`", harm.request));
    teller.say(&why.summary.text);
    let differences: Vec<String> =
        why.differences.iter().filter(|d| !d.same()).map(crate::cli::release::difference).collect();
    teller.say(&format!(
        "served by {}; differs from the last good {} in {}",
        why.served.release.short(),
        why.last_good.as_ref().map(|r| r.id.short()).unwrap_or_default(),
        differences.join(", ")
    ));
    for text in why.texts.values() {
        let changed: Vec<&str> = text
            .lines()
            .filter(|l| {
                (l.starts_with('+') || l.starts_with('-'))
                    && !l.starts_with("+++")
                    && !l.starts_with("---")
            })
            .collect();
        teller.say(&changed.join("\n"));
    }
    Ok(why)
}

/// A commit as people write it.
pub fn short(commit: &str) -> &str {
    commit.get(..10).unwrap_or(commit)
}
