//! Telling people: real HTTP and SMTP on the loopback, a clock only the test moves.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

mod common;
#[path = "common/receiver.rs"]
mod receiver;

use common::{House, person};
use domain::notice::Event;
use domain::people::Role;
use receiver::{MailServer, Post, Program};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use tidegate_control::notify::{DeliveryView, MadeChannel, NewChannel};
use tidegate_control::views::NewAction;
use tidegate_control::{Caller, Control};

const HOUR: i64 = 3_600_000;

fn root(house: &House) -> Caller {
    house.caller("root", &[Role::Admin, Role::Operator])
}

async fn channel(house: &House, settings: Value) -> MadeChannel {
    let new: NewChannel = serde_json::from_value(settings).unwrap();
    house.control.create_channel(&root(house), new).await.unwrap()
}

async fn webhook(house: &House, program: &Program) -> MadeChannel {
    let settings =
        json!({"kind": "webhook", "name": "ci", "url": program.url, "allow_private": true});
    channel(house, settings).await
}

async fn mail(house: &House, server: &MailServer) -> MadeChannel {
    let email = json!({"host": "127.0.0.1", "port": server.port, "tls": "none",
        "from": "Tidegate <tide@example.com>"});
    let settings = json!({"kind": "email", "name": "mail", "email": email, "allow_private": true});
    channel(house, settings).await
}

/// Time passes, and whoever is due is told.
async fn pass(house: &House, ms: i64) {
    house.now.fetch_add(ms, Ordering::SeqCst);
    house.control.tell_people().await.unwrap();
}

async fn messages(house: &House) -> Vec<DeliveryView> {
    house.control.deliveries(&root(house), None, None, None, None).await.unwrap().items
}

fn states(messages: &[DeliveryView]) -> Vec<&str> {
    messages.iter().map(|message| message.state.as_str()).collect()
}

fn act(kind: &str, reason: Option<&str>) -> NewAction {
    serde_json::from_value(json!({"kind": kind, "reason": reason})).unwrap()
}

async fn kill(house: &House) {
    let action = act("kill", Some("it says wrong things"));
    house.control.app_action(&house.omar(), &common::app(), None, action).await.unwrap();
}

async fn unkill(house: &House) {
    let action = act("unkill", Some("it is mended again"));
    house.control.app_action(&house.omar(), &common::app(), None, action).await.unwrap();
}

/// Signed as the reference library would.
fn is_signed(post: &Post, secret: &str) -> bool {
    let reference = standardwebhooks::Webhook::new(secret).unwrap();
    let at = post.header("webhook-timestamp").parse().unwrap();
    let signed = reference.sign(post.header("webhook-id"), at, post.body.as_bytes()).unwrap();
    signed == post.header("webhook-signature")
}

#[tokio::test]
async fn a_webhook_is_signed_retried_under_one_id_and_told_once() {
    let house = House::new().await;
    let program = Program::start().await;
    let made = webhook(&house, &program).await;
    let secret = made.secret.unwrap();
    program.answer(&["500", "302 location: http://127.0.0.1:1/", "204"]);
    house.propose("Greet {{ name }} warmly.\n").await;
    pass(&house, 0).await;
    assert_eq!(states(&messages(&house).await), ["waiting"]);
    pass(&house, 4_000).await;
    assert_eq!(program.posts().len(), 1, "not before its time");
    pass(&house, 3_000).await;
    assert_eq!(program.posts().len(), 1, "a redirect is a failure and followed by nobody");
    let waiting = messages(&house).await;
    assert_eq!(waiting[0].error.as_deref(), Some("the receiver answered with status 302"));
    assert_eq!(waiting[0].attempts, 2);
    pass(&house, HOUR / 10).await;
    let posts = program.posts();
    let [post] = posts.as_slice() else { panic!("{posts:?}") };
    assert!(is_signed(post, &secret), "{post:?}");
    let sent = messages(&house).await;
    assert_eq!((states(&sent), sent[0].attempts), (vec!["sent"], 3));
    assert_eq!(post.header("webhook-id"), sent[0].message_id);
    let body: Value = serde_json::from_str(&post.body).unwrap();
    assert_eq!(body["type"], "tidegate.needs_approval");
    assert_eq!(body["data"]["url"], "http://localhost:8080/changes/1");
    assert_eq!(body["data"]["asked"], json!(["priya"]));
    for _ in 0..3 {
        pass(&house, HOUR).await;
    }
    assert!(program.posts().is_empty(), "told is told");
}

#[tokio::test]
async fn a_dead_letter_is_seen_kept_and_sent_again_under_its_id() {
    let house = House::new().await;
    let program = Program::start().await;
    webhook(&house, &program).await;
    program.answer(&["500"; 10]);
    kill(&house).await;
    for _ in 0..10 {
        pass(&house, 30 * HOUR).await;
    }
    let posts = program.posts();
    assert_eq!(posts.len(), 10, "ten tries and no more");
    let dead = messages(&house).await;
    assert_eq!(states(&dead), ["dead"]);
    let waits = house.control.inbox(&root(&house)).await.unwrap();
    assert!(waits.iter().any(|item| item.kind == "undelivered"), "{waits:?}");
    assert!(
        house.control.inbox(&house.omar()).await.unwrap().iter().all(|i| i.kind != "undelivered")
    );
    let id = &dead[0].id;
    let refused = house.control.redeliver(&house.omar(), id).await.unwrap_err();
    assert_eq!(refused.code, "not_allowed");
    house.control.redeliver(&root(&house), id).await.unwrap();
    let twice = house.control.redeliver(&root(&house), id).await.unwrap_err();
    assert_eq!(twice.code, "under_way");
    pass(&house, 0).await;
    let again = program.posts();
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].header("webhook-id"), posts[0].header("webhook-id"));
    assert_ne!(again[0].header("webhook-timestamp"), posts[0].header("webhook-timestamp"));
    assert_eq!(states(&messages(&house).await), ["sent"]);
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_left_alone_and_one_in_a_hurry_is_waited_for() {
    let house = House::new().await;
    let (gone, slow) = (Program::start().await, Program::start().await);
    webhook(&house, &gone).await;
    webhook(&house, &slow).await;
    gone.answer(&["410"]);
    slow.answer(&["429 retry-after: 7200"]);
    kill(&house).await;
    pass(&house, 0).await;
    let channels = house.control.channels(&house.ana()).await.unwrap().items;
    assert_eq!(
        channels.iter().map(|c| c.state.as_str()).collect::<Vec<_>>(),
        ["disabled", "failing"]
    );
    assert!(channels[0].state_text.text.contains("410"), "{:?}", channels[0].state_text);
    pass(&house, HOUR).await;
    assert_eq!(slow.posts().len(), 1, "as asked, not as usual");
    unkill(&house).await;
    kill(&house).await;
    pass(&house, HOUR + HOUR / 10).await;
    assert_eq!(slow.posts().len(), 2, "the one that waited, and the new one");
    assert_eq!(gone.posts().len(), 1, "nothing more");
}

#[tokio::test]
async fn killed_at_any_point_nothing_is_lost_and_nothing_is_new() {
    let mut house = House::new().await;
    let program = Program::start().await;
    webhook(&house, &program).await;
    kill(&house).await;
    // Before anything was taken in.
    house.restart().await;
    program.answer(&["503"]);
    pass(&house, 0).await;
    let first = program.posts();
    // Between two tries.
    house.restart().await;
    pass(&house, 10_000).await;
    let second = program.posts();
    assert_eq!((first.len(), second.len()), (1, 1));
    assert_eq!(first[0].header("webhook-id"), second[0].header("webhook-id"));
    assert_eq!(first[0].body, second[0].body);
    // After it arrived.
    house.restart().await;
    pass(&house, HOUR).await;
    assert!(program.posts().is_empty());
    assert_eq!(states(&messages(&house).await), ["sent"]);
}

#[tokio::test]
async fn mail_asks_each_person_only_for_what_is_theirs() {
    let house = House::new().await;
    let server = MailServer::start().await;
    mail(&house, &server).await;
    house.propose("Greet {{ name }} warmly.\n").await;
    pass(&house, 0).await;
    let mut letters = server.letters();
    letters.sort_by(|a, b| a.to.cmp(&b.to));
    let to: Vec<_> = letters.iter().map(|letter| letter.to.as_str()).collect();
    assert_eq!(to, ["ana@example.com", "priya@example.com"]);
    let (ana, priya) = (&letters[0].text, &letters[1].text);
    assert!(priya.contains("Subject: Needs you: greeter, change #1"), "{priya}");
    assert!(priya.contains("Say yes or no to it."), "{priya}");
    assert_eq!(priya.matches("http://localhost:8080/").count(), 1, "one link: {priya}");
    assert!(ana.contains("Subject: Sent for approval: greeter, change #1"), "{ana}");
    assert!(!ana.contains("Say yes or no"), "{ana}");
    // A server that is busy is asked again; one that refuses for good is not.
    server.refuse("450 later");
    server.refuse("550 no such person");
    kill(&house).await;
    pass(&house, 0).await;
    pass(&house, 10_000).await;
    let killed: Vec<_> =
        messages(&house).await.into_iter().filter(|m| m.event == Event::Killed).collect();
    let mut standing = states(&killed);
    standing.sort_unstable();
    // Omar and root; whoever was refused for good stays a dead letter.
    assert_eq!(standing, ["dead", "sent"], "{killed:?}");
    assert_eq!(server.letters().len(), 1);
}

#[tokio::test]
async fn people_choose_how_they_are_told_but_operators_hear_of_harm() {
    let house = House::new().await;
    let server = MailServer::start().await;
    mail(&house, &server).await;
    let choose = async |who: &Caller, new: Value| {
        house.control.set_preferences(who, serde_json::from_value(new).unwrap()).await
    };
    choose(&house.ana(), json!({"mode": "off"})).await.unwrap();
    choose(&house.priya(), json!({"mode": "hourly"})).await.unwrap();
    choose(&house.omar(), json!({"mode": "off"})).await.unwrap();
    let refused = choose(&house.omar(), json!({"events": {"killed": "hourly"}})).await.unwrap_err();
    assert_eq!(refused.code, "always_told");
    house.propose("Greet {{ name }} warmly.\n").await;
    house.propose("Greet {{ name }} very warmly.\n").await;
    pass(&house, 0).await;
    assert!(server.letters().is_empty());
    assert_eq!(states(&messages(&house).await), ["held"]);
    pass(&house, HOUR).await;
    let letters = server.letters();
    let [digest] = letters.as_slice() else { panic!("{letters:?}") };
    assert_eq!(digest.to, "priya@example.com");
    assert!(digest.text.contains("Subject: Needs you: 2 of 2 things"), "{}", digest.text);
    assert!(digest.text.contains("changes/1") && digest.text.contains("changes/2"));
    kill(&house).await;
    pass(&house, 0).await;
    let mut to: Vec<_> = server.letters().into_iter().map(|letter| letter.to).collect();
    to.sort();
    assert_eq!(to, ["omar@example.com", "root@example.com"]);
}

#[tokio::test]
async fn repeats_of_one_cause_are_one_message() {
    let house = House::new().await;
    let program = Program::start().await;
    webhook(&house, &program).await;
    let id = house.propose("Greet {{ name }} warmly.\n").await;
    pass(&house, 0).await;
    assert_eq!(program.posts().len(), 1);
    for n in 1..4 {
        let update = json!({"edits": [{"path": "apps/greeter/prompts/hello/system.j2",
            "content": format!("Greet {{{{ name }}}} {n} times.\n")}]});
        let update = serde_json::from_value(update).unwrap();
        house.control.update_change(&house.ana(), id, None, update).await.unwrap();
        house.control.look().await;
        pass(&house, 1_000).await;
    }
    assert!(program.posts().is_empty(), "kept together");
    pass(&house, HOUR).await;
    let posts = program.posts();
    let [post] = posts.as_slice() else { panic!("{posts:?}") };
    let body: Value = serde_json::from_str(&post.body).unwrap();
    assert_eq!(body["data"]["repeats"], 2, "{body}");
}

#[tokio::test]
async fn no_secret_comes_back_and_no_other_secret_goes_out() {
    let house = House::new().await;
    let program = Program::start().await;
    let url = format!("{}?key=hidden-in-the-address", program.url);
    let made = channel(
        &house,
        json!({"kind": "slack", "name": "room", "url": url, "allow_private": true}),
    )
    .await;
    let given = webhook(&house, &program).await.secret.unwrap();
    let shown =
        serde_json::to_string(&house.control.channels(&root(&house)).await.unwrap()).unwrap();
    let log = house.control.audit(&root(&house), Default::default()).await.unwrap();
    let log = serde_json::to_string(&log).unwrap();
    let stored = std::fs::read(house.dir.path().join("data/state.db")).unwrap();
    let wal = std::fs::read(house.dir.path().join("data/state.db-wal")).unwrap_or_default();
    for secret in ["hidden-in-the-address", given.trim_start_matches("whsec_")] {
        assert!(!shown.contains(secret) && !log.contains(secret));
        let bytes = secret.as_bytes();
        assert!(!stored.windows(bytes.len()).chain(wal.windows(bytes.len())).any(|w| w == bytes));
    }
    assert!(log.contains("channel.created"), "{log}");
    let tested = house.control.test_channel(&root(&house), &made.channel.id).await.unwrap();
    assert!(tested.ok, "{tested:?}");
    let body: Value = serde_json::from_str(&program.posts()[0].body).unwrap();
    assert!(body["text"].as_str().unwrap().starts_with("*A test from Tidegate*"), "{body}");
    let make = async |settings: Value| {
        let new = serde_json::from_value(settings).unwrap();
        house.control.create_channel(&root(&house), new).await.map(|_| ()).map_err(|p| p.code)
    };
    let hook = |url: &str| json!({"kind": "webhook", "name": "x", "url": url});
    for (settings, code) in [
        (hook("env:HOME"), "bad_reference"),
        (hook("file:../keys/signing.pem"), "bad_reference"),
        (hook("file:/etc/passwd"), "bad_reference"),
        (hook("file:.hidden"), "bad_reference"),
        (hook("ftp://example.com/"), "bad_address"),
        (hook("https://ana:pw@example.com/"), "bad_address"),
        (hook(""), "bad_address"),
        (json!({"kind": "webhook", "name": "x"}), "no_address"),
        (json!({"kind": "webhook", "name": "a\nb", "url": "https://example.com"}), "bad_name"),
        (
            json!({"kind": "webhook", "name": "x", "url": "https://example.com", "secret": "short"}),
            "bad_secret",
        ),
        (json!({"kind": "email", "name": "x"}), "no_server"),
        (
            json!({"kind": "email", "name": "x", "email": {"host": "a/b", "from": "a@b.c"}}),
            "bad_host",
        ),
        (
            json!({"kind": "email", "name": "x", "email": {"host": "h", "from": "nobody"}}),
            "bad_sender",
        ),
        (
            json!({"kind": "email", "name": "x", "email": {"host": "h", "from": "a@b.c", "login": "l"}}),
            "no_password",
        ),
        (
            json!({"kind": "slack", "name": "x", "url": "https://example.com", "secret": "s"}),
            "no_secret",
        ),
    ] {
        assert_eq!(make(settings.clone()).await, Err(code.to_owned()), "{settings}");
    }
}

#[tokio::test]
async fn the_house_is_not_reached_unless_somebody_said_so() {
    let house = House::new().await;
    let program = Program::start().await;
    let inside = program.url.replace("127.0.0.1", "localhost");
    for url in [&program.url, &inside] {
        let made = channel(&house, json!({"kind": "webhook", "name": "x", "url": url})).await;
        let tested = house.control.test_channel(&root(&house), &made.channel.id).await.unwrap();
        assert!(
            !tested.ok && tested.text.contains("not an address of the public internet"),
            "{tested:?}"
        );
    }
    kill(&house).await;
    pass(&house, 0).await;
    assert!(program.posts().is_empty());
}

#[tokio::test]
async fn a_removed_channel_drops_what_waits_and_an_edit_keeps_secrets() {
    let house = House::new().await;
    let program = Program::start().await;
    let made = webhook(&house, &program).await;
    let (id, secret) = (made.channel.id, made.secret.unwrap());
    let edit = |events: Value| -> NewChannel {
        serde_json::from_value(json!({"kind": "webhook", "name": "renamed", "events": events,
            "allow_private": true}))
        .unwrap()
    };
    let (admin, old) = (root(&house), Some(domain::ids::Generation(9)));
    let stale = house.control.update_channel(&admin, &id, old, edit(json!([]))).await;
    assert_eq!(stale.unwrap_err().code, "changed_meanwhile");
    let edit = edit(json!(["killed"]));
    let edited = house.control.update_channel(&admin, &id, None, edit).await.unwrap();
    assert_eq!(edited.name, "renamed");
    house.propose("Greet {{ name }} warmly.\n").await;
    kill(&house).await;
    pass(&house, 0).await;
    let posts = program.posts();
    let [post] = posts.as_slice() else { panic!("{posts:?}") };
    assert!(post.body.contains("tidegate.killed") && is_signed(post, &secret));
    program.answer(&["500"]);
    unkill(&house).await;
    kill(&house).await;
    pass(&house, 0).await;
    house.control.remove_channel(&root(&house), &id).await.unwrap();
    pass(&house, HOUR).await;
    assert_eq!(program.posts().len(), 1);
    assert_eq!(states(&messages(&house).await), ["dropped", "sent"]);
}

#[tokio::test]
async fn only_admins_touch_channels_and_people_see_their_own_mail() {
    let house = House::new().await;
    let server = MailServer::start().await;
    mail(&house, &server).await;
    kill(&house).await;
    pass(&house, 0).await;
    let control: &Control = &house.control;
    let seen = control.deliveries(&house.omar(), None, None, None, None).await.unwrap().items;
    assert!(!seen.is_empty() && seen.iter().all(|m| m.to == Some("omar".parse().unwrap())));
    let page = control.deliveries(&root(&house), None, Some("sent"), Some(1), None).await.unwrap();
    assert_eq!(page.items.len(), 1);
    let next = page.next.map(|cursor| cursor.parse().unwrap());
    let rest = control.deliveries(&root(&house), None, Some("sent"), Some(1), next).await.unwrap();
    assert_ne!(rest.items[0].id, page.items[0].id);
    let nobody = house.caller("irina", &[Role::Auditor]);
    let new: NewChannel =
        serde_json::from_value(json!({"kind": "slack", "name": "x", "url": "https://a.b"}))
            .unwrap();
    assert_eq!(control.create_channel(&nobody, new).await.unwrap_err().code, "not_allowed");
    assert_eq!(control.test_channel(&nobody, "nc-1").await.unwrap_err().code, "not_allowed");
    assert_eq!(control.remove_channel(&nobody, "nc-1").await.unwrap_err().code, "not_allowed");
    // A person without an address is no failure.
    control.put_person(&root(&house), domain_person("eve")).await.unwrap();
}

fn domain_person(name: &str) -> tidegate_control::views::PersonView {
    let mut view = person(name, &[Role::Operator]);
    view.email = String::new();
    view
}
