//! An approver who asks for changes: the change goes back to its author, keeps
//! its number, and is asked for anew.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

mod common;

use common::{House, files};
use domain::approval::Decision;
use domain::change::ChangeState;
use domain::ids::ChangeId;
use domain::people::Role;
use tidegate_control::Caller;
use tidegate_control::problem::Problem;
use tidegate_control::views::{ChangeView, Edit, NewApproval, UpdateChange};

async fn say(
    house: &House,
    who: &Caller,
    id: ChangeId,
    decision: Decision,
    comment: &str,
) -> Result<ChangeView, Problem> {
    let content = house.control.change(who, id).await.unwrap().content;
    let new = NewApproval { decision, comment: comment.to_owned(), content };
    house.control.decide(who, id, None, new).await
}

async fn mend(house: &House, id: ChangeId, text: &str) -> ChangeView {
    let path = "apps/greeter/prompts/hello/system.j2".to_owned();
    let edit = Edit { path, content: Some(text.to_owned()) };
    let update = UpdateChange { edits: vec![edit], bump: Some("minor".to_owned()) };
    house.control.update_change(&house.ana(), id, None, update).await.unwrap();
    house.control.look().await;
    house.control.change(&house.ana(), id).await.unwrap()
}

fn enabled(change: &ChangeView, kind: &str) -> bool {
    change.allowed_actions.iter().any(|action| action.kind == kind && action.enabled)
}

#[tokio::test]
async fn a_change_goes_back_to_its_author_and_comes_again() {
    let house = House::new().await;
    let (ana, priya) = (house.ana(), house.priya());
    let id = house.propose("Greet {{ name }} warmly.").await;
    let own = say(&house, &ana, id, Decision::Ask, "shorter").await.unwrap_err();
    assert_eq!(own.code, "own_change", "authors decide nothing, this neither");
    let why = say(&house, &priya, id, Decision::Ask, "  ").await.unwrap_err();
    assert_eq!(why.code, "comment_missing");

    let asked = say(&house, &priya, id, Decision::Ask, "name the shop").await.unwrap();
    assert_eq!(asked.state, ChangeState::NeedsFixes);
    let word = asked.asked.as_ref().unwrap();
    assert_eq!((word.by.as_str(), word.comment.as_str()), ("priya", "name the shop"));
    assert!(asked.summary.text.contains("priya asks for changes: name the shop"));
    assert!(!asked.missing.is_empty(), "everything stays open");
    let inbox = house.control.inbox(&ana).await.unwrap();
    assert_eq!((inbox[0].kind, inbox[0].text.code.as_str()), ("mend", "asked_to_change"));
    assert!(house.control.inbox(&priya).await.unwrap().is_empty(), "it is the author's turn");

    let mended = mend(&house, id, "Greet {{ name }} warmly. We are the Tea Shop.").await;
    assert_eq!((mended.id, mended.state), (id, ChangeState::NeedsApproval));
    assert!(mended.asked.is_none(), "what was asked was asked of other content");
    say(&house, &priya, id, Decision::Approve, "").await.unwrap();
    house.control.look().await;
    let change = house.control.change(&ana, id).await.unwrap();
    assert_eq!(change.state, ChangeState::RollingOut, "{}", change.summary.text);
}

#[tokio::test]
async fn who_asked_may_find_that_no_changes_are_needed_and_nobody_else_can() {
    let mut two = files();
    let yaml = two.get_mut("apps/greeter/app.yaml").unwrap();
    yaml.extend(b"approvals:\n  - {role: approver, count: 2}\n");
    let house = House::with(two).await;
    let (priya, sam) = (house.priya(), house.caller("sam", &[Role::Approver]));
    let id = house.propose("Greet {{ name }} warmly.").await;
    let asked = say(&house, &priya, id, Decision::Ask, "why warmly?").await.unwrap();
    assert!(enabled(&house.control.change(&priya, id).await.unwrap(), "approve"));
    assert_eq!(asked.state, ChangeState::NeedsFixes);
    // Another's yes does not answer what she asked.
    let other = say(&house, &sam, id, Decision::Approve, "").await.unwrap();
    assert_eq!(other.state, ChangeState::NeedsFixes);
    assert!(other.asked.is_some());
    let hers = say(&house, &priya, id, Decision::Approve, "I see").await.unwrap();
    assert_eq!(hers.state, ChangeState::Merging, "two yeses, and nobody asks for more");
}
