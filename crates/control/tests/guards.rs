//! What must not get through, by whatever path: approvals that cover less than
//! is merged, releases that failed, words of people who may no longer speak.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

mod common;

use common::{House, PLAN, app, files, person, token_for};
use domain::approval::Decision;
use domain::change::ChangeState;
use domain::finding::Severity;
use domain::ids::{AppName, ChangeId, Generation};
use domain::people::Role;
use domain::rollout::Phase;
use domain::routing::Arm;
use domain::snapshot::LocalKill;
use domain::units::Timestamp;
use opsrepo::{Edits, Files, Identity, NewCommit, Repo};
use std::sync::atomic::Ordering;
use tidegate_control::Caller;
use tidegate_control::problem::{Problem, ProblemKind};
use tidegate_control::views::{ChangeView, Edit, NewAction, NewApproval, NewChange, UpdateChange};

fn edit(path: &str, content: &str) -> Edit {
    Edit { path: path.to_owned(), content: Some(content.to_owned()) }
}

fn root(house: &House) -> Caller {
    house.caller("root", &[Role::Admin, Role::Operator])
}

/// Ana proposes these files; the gates run.
async fn propose(house: &House, edits: Vec<Edit>) -> ChangeView {
    let new = NewChange {
        app: app(),
        title: None,
        why: "people asked for a nicer greeting".to_owned(),
        edits,
        branch: None,
        bump: Some("minor".to_owned()),
    };
    let id = house.control.create_change(&house.ana(), new).await.unwrap().id;
    house.control.look().await;
    change(house, id).await
}

async fn change(house: &House, id: ChangeId) -> ChangeView {
    house.control.change(&house.ana(), id).await.unwrap()
}

async fn yes(house: &House, caller: &Caller, id: ChangeId) -> Result<ChangeView, Problem> {
    let content = change(house, id).await.content;
    let yes = NewApproval { decision: Decision::Approve, comment: String::new(), content };
    house.control.decide(caller, id, None, yes).await
}

fn codes(change: &ChangeView) -> Vec<&str> {
    let gates = change.report.iter().flat_map(|report| &report.gates);
    let findings = gates.flat_map(|gate| &gate.findings);
    // Warnings stop nothing; that nobody posts `rejected` yet is one of them.
    let errors = findings.filter(|finding| finding.severity == Severity::Error);
    errors.map(|finding| finding.code.as_str()).collect()
}

fn action(kind: &str) -> NewAction {
    NewAction { kind: kind.to_owned(), reason: None, to: None }
}

/// Changes of the app need two yeses.
fn two_approvals() -> Files {
    let mut files = files();
    let yaml = files.get_mut("apps/greeter/app.yaml").unwrap();
    yaml.extend(b"approvals:\n  - {role: approver, count: 2}\n");
    files
}

/// A second app that shares nothing but the model.
fn two_apps() -> Files {
    let mut files = files();
    let second: Vec<_> = files
        .iter()
        .filter(|(path, _)| path.starts_with("apps/greeter/"))
        .map(|(path, bytes)| (path.replace("apps/greeter/", "apps/waver/"), bytes.clone()))
        .collect();
    files.extend(second);
    files
}

/// What the server finds after `git push` of one commit with these edits.
fn push(house: &House, number: u32, branch: &str, message: &str, edits: &[(&str, &str)]) {
    let path = house.dir.path().join("data/ops.git");
    let repo = Repo::open(&path).unwrap();
    let author = Identity { name: "ana".to_owned(), email: "ana@example.com".to_owned() };
    let at = Timestamp(house.now.load(Ordering::SeqCst));
    let new = NewCommit { author: &author, message, at, effect: "pushed" };
    let edits: Edits =
        edits.iter().map(|(p, t)| ((*p).to_owned(), Some(t.as_bytes().to_vec()))).collect();
    let head = repo.commit(branch, repo.head().unwrap(), &edits, &new).unwrap();
    let folder = path.join("tidegate/pushes");
    std::fs::create_dir_all(&folder).unwrap();
    let record = format!(
        r#"{{"actor": "ana", "updates": [{{"branch": "{branch}", "before": null, "after": "{head}"}}]}}"#
    );
    std::fs::write(folder.join(format!("{number:012}.json")), record).unwrap();
}

async fn on_branch(house: &House, branch: &str) -> Option<ChangeView> {
    let all = house.control.changes(&house.ana(), Default::default()).await.unwrap().items;
    all.into_iter().find(|change| change.branch == branch)
}

#[tokio::test]
async fn an_approval_covers_every_file_the_branch_alters() {
    let house = House::with(two_approvals()).await;
    house.control.put_person(&root(&house), person("paul", &[Role::Approver])).await.unwrap();
    let paul = house.caller("paul", &[Role::Approver]);
    let id =
        propose(&house, vec![edit("apps/greeter/prompts/hello/system.j2", "Hi {{ name }}.\n")])
            .await
            .id;
    yes(&house, &house.priya(), id).await.unwrap();
    // Nothing the app depends on, but merged on the same word.
    let spare = String::from_utf8(files()["models/small.yaml"].clone()).unwrap();
    let more = UpdateChange { edits: vec![edit("models/spare.yaml", &spare)], bump: None };
    house.control.update_change(&house.ana(), id, None, more).await.unwrap();
    house.control.look().await;
    let now = change(&house, id).await;
    assert_eq!(
        (now.state, now.missing[0].count),
        (ChangeState::NeedsApproval, 2),
        "{:#?}",
        now.report
    );
    assert_eq!(yes(&house, &paul, id).await.unwrap().state, ChangeState::NeedsApproval);
    assert_eq!(yes(&house, &house.priya(), id).await.unwrap().state, ChangeState::Merging);
}

#[tokio::test]
async fn a_change_cannot_lower_what_it_needs_itself() {
    let house = House::with(two_approvals()).await;
    let yaml = String::from_utf8(files()["apps/greeter/app.yaml"].clone()).unwrap();
    let lowered = propose(&house, vec![edit("apps/greeter/app.yaml", &yaml)]).await;
    assert_eq!(lowered.state, ChangeState::NeedsApproval, "{:#?}", lowered.report);
    assert_eq!(lowered.missing.iter().map(|r| r.count).collect::<Vec<_>>(), [2]);
    let after_one = yes(&house, &house.priya(), lowered.id).await.unwrap();
    assert_eq!(after_one.state, ChangeState::NeedsApproval);
}

#[tokio::test]
async fn a_change_of_one_app_alters_no_file_of_another() {
    let house = House::with(two_apps()).await;
    for (path, text) in [
        ("apps/waver/fallback.yaml", "apiVersion: tidegate/v1\ndefault: Go away.\n"),
        ("apps/waver/rollout.yaml", &PLAN.replace("share: 10%", "share: 40%")),
    ] {
        let change = propose(&house, vec![edit(path, text)]).await;
        assert_eq!(change.state, ChangeState::NeedsFixes, "{path}");
        assert_eq!(codes(&change), ["other_app_touched"], "{path}");
    }
}

#[tokio::test]
async fn a_release_that_failed_while_its_twin_waited_is_not_merged() {
    let house = House::new().await;
    let text = "Insult {{ name }}.\n";
    let (first, twin) = (house.propose(text).await, house.propose(text).await);
    let rollout = house.approve(first).await;
    yes(&house, &house.priya(), twin).await.unwrap();
    house.control.look().await;
    assert_eq!(change(&house, twin).await.state, ChangeState::Merging);
    house.control.rollout_action(&house.omar(), rollout, None, action("rollback")).await.unwrap();
    for _ in 0..70 {
        house.heartbeat().await;
        house.pass(1000).await;
    }
    let twin = change(&house, twin).await;
    assert_eq!((twin.state, twin.rollout), (ChangeState::NeedsFixes, None));
    assert!(codes(&twin).contains(&"release_denied"), "{:?}", codes(&twin));
}

#[tokio::test]
async fn a_change_that_main_has_already_goes_back_to_its_author() {
    let house = House::new().await;
    let new = NewChange {
        app: app(),
        title: None,
        why: "there is nothing new in this".to_owned(),
        edits: Vec::new(),
        branch: Some("main".to_owned()),
        bump: None,
    };
    let id = house.control.create_change(&house.ana(), new).await.unwrap().id;
    house.control.look().await;
    yes(&house, &house.priya(), id).await.unwrap();
    house.control.look().await;
    let back = change(&house, id).await;
    assert_eq!((back.state, codes(&back)), (ChangeState::NeedsFixes, vec!["already_merged"]));
    assert!(house.control.git_status(&house.ana()).await.unwrap().pending.is_empty());
}

#[tokio::test]
async fn a_new_app_starts_when_its_change_is_merged() {
    let house = House::new().await;
    let all = two_apps();
    let texts: Vec<_> = all
        .iter()
        .filter(|(path, _)| path.starts_with("apps/waver/"))
        .map(|(path, bytes)| (path.as_str(), std::str::from_utf8(bytes).unwrap()))
        .collect();
    push(&house, 1, "waver", "Add the waver\n\nPeople want to be waved at.", &texts);
    house.control.look().await;
    let id = on_branch(&house, "waver").await.unwrap().id;
    house.control.look().await;
    yes(&house, &house.priya(), id).await.unwrap();
    house.control.look().await;
    house.control.look().await;
    let merged = change(&house, id).await;
    assert_eq!(merged.state, ChangeState::Live, "{}", merged.summary.text);
    let waver: AppName = "waver".parse().unwrap();
    let started = house.control.app(&house.ana(), &waver).await.unwrap();
    assert_eq!(started.production, merged.release);
    let git = house.control.git_status(&house.ana()).await.unwrap();
    assert_eq!((git.drift, git.pending), (Vec::new(), Vec::new()));
}

#[tokio::test]
async fn no_push_keeps_others_from_becoming_changes() {
    let house = House::new().await;
    let path = "apps/greeter/prompts/hello/system.j2";
    let long = format!("Say more\n\n{}", "because it is so. ".repeat(8000));
    push(&house, 1, "long", &long, &[(path, "Hi {{ name }}.\n")]);
    push(&house, 2, "unreadable", "Break it", &[("apps/greeter/app.yaml", "owner: [\n")]);
    push(&house, 3, "plain", "Greet shorter", &[(path, "Hey {{ name }}.\n")]);
    house.control.look().await;
    for branch in ["long", "unreadable", "plain"] {
        assert!(on_branch(&house, branch).await.is_some(), "`{branch}` became no change");
    }
    let unreadable = on_branch(&house, "unreadable").await.unwrap();
    assert_eq!(unreadable.state, ChangeState::NeedsFixes);
}

#[tokio::test]
async fn an_old_word_does_not_take_back_a_newer_kill() {
    let house = House::new().await;
    let now = house.now.load(Ordering::SeqCst);
    let word = |id: &str, at: i64, killed: bool| LocalKill {
        id: id.to_owned(),
        gateway: "gw-1".parse().unwrap(),
        at: Timestamp(at),
        app: app(),
        killed,
        by: "omar".to_owned(),
        reason: "answers were rude".to_owned(),
    };
    house.control.app_action(&house.omar(), &app(), None, action("kill")).await.unwrap();
    // Said at a gateway that was cut off until after the kill.
    house.control.journal(&[word("a", now - 2, true), word("b", now - 1, false)]).await.unwrap();
    assert!(house.snapshot().await.1.apps[&app()].killed.is_some());
    house.control.journal(&[word("c", now + 1, false)]).await.unwrap();
    assert!(house.snapshot().await.1.apps[&app()].killed.is_none());
}

#[tokio::test]
async fn somebody_without_a_role_may_not_even_read() {
    let house = House::new().await;
    let token = house.control.create_token(&root(&house), token_for("ana")).await.unwrap().secret;
    house.control.authenticate(&token, None).await.unwrap();
    house.control.put_person(&root(&house), person("ana", &[])).await.unwrap();
    let refused = house.control.authenticate(&token, None).await.unwrap_err();
    assert_eq!(refused.kind, ProblemKind::NotAllowed);
}

#[tokio::test]
async fn a_change_of_roles_leaves_whose_commits_are_whose() {
    let house = House::new().await;
    let mut view = person("ana", &[Role::Editor, Role::Approver]);
    (view.display, view.email) = (String::new(), String::new());
    let now = house.control.put_person(&root(&house), view).await.unwrap();
    assert_eq!((now.display.as_str(), now.email.as_str()), ("ana", "ana@example.com"));
}

#[tokio::test]
async fn an_author_does_not_wave_away_what_speaks_against_the_change() {
    let mut files = files();
    let plan = PLAN.replace("notice: {by: 0.1}, action: rollback", "limit: 10%, action: pause");
    files.insert("apps/greeter/rollout.yaml".to_owned(), plan.into_bytes());
    let house = House::with(files).await;
    let id = house.propose("Insult {{ name }}.\n").await;
    let rollout = house.approve(id).await;
    let mut phase = Phase::Running;
    while phase == Phase::Running {
        house.traffic(40, |arm, _| arm == Arm::Candidate).await;
        house.pass(1000).await;
        phase = house.control.rollout(&house.omar(), rollout).await.unwrap().phase;
    }
    let ana = house.caller("ana", &[Role::Editor, Role::Operator]);
    let own = house.control.rollout_action(&ana, rollout, None, action("resume")).await;
    assert_eq!(own.unwrap_err().code, "own_change", "{phase:?}");
    house.control.rollout_action(&house.omar(), rollout, None, action("resume")).await.unwrap();
}

#[tokio::test]
async fn cells_of_a_gateway_that_was_cut_off_still_count() {
    const CUT_OFF: i64 = 3_600_000;
    let house = House::new().await;
    let id = house.propose("Greet {{ name }} warmly.\n").await;
    let rollout = house.approve(id).await;
    let view = async || house.control.rollout(&house.omar(), rollout).await.unwrap();
    while view().await.exposure.weight.bp() == 0 {
        house.traffic(40, |_, i| i % 50 == 0).await;
        house.pass(1000).await;
    }
    house.pass(CUT_OFF).await;
    let before = view().await.requests_exposed;
    // Counted an hour ago, shipped now.
    house.now.fetch_sub(CUT_OFF, Ordering::SeqCst);
    house.traffic(400, |_, _| false).await;
    house.now.fetch_add(CUT_OFF, Ordering::SeqCst);
    house.pass(1000).await;
    assert!(view().await.requests_exposed > before);
    let (generation, _) = house.snapshot().await;
    assert_ne!(generation, Generation(0));
}

#[tokio::test]
async fn a_failed_release_does_not_come_back_by_its_name() {
    let house = House::new().await;
    let id = house.propose("Greet {{ name }} warmly.\n").await;
    let rollout = house.approve(id).await;
    let promote = NewAction { reason: Some("we are sure of it".to_owned()), ..action("promote") };
    house.control.rollout_action(&house.priya(), rollout, None, promote).await.unwrap();
    for _ in 0..5 {
        house.heartbeat().await;
        house.pass(1000).await;
    }
    let failed = change(&house, id).await.release.unwrap();
    let act = async |action| house.control.app_action(&house.omar(), &app(), None, action).await;
    act(action("rollback")).await.unwrap();
    let good = house.snapshot().await.1.apps[&app()].production;
    let by_name = NewAction { to: Some(failed.to_string()), ..action("rollback") };
    assert_eq!(act(by_name.clone()).await.unwrap_err().code, "release_denied");
    assert_eq!(house.snapshot().await.1.apps[&app()].production, good);
    let why = "it was the provider's fault";
    house.control.clear_release(&house.priya(), &failed.to_string(), why).await.unwrap();
    act(by_name).await.unwrap();
    assert_eq!(house.snapshot().await.1.apps[&app()].production, failed);
}
