//! Kill switch, fallback, mirrored requests, snapshots, restarts, telemetry:
//! what happens beside the answers, and when things are down.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

mod common;

use common::upstream::{DONE, Step, Upstream, completion, respond};
use common::{Control, OPERATOR, Running, Setup, grant, openai, release, release_id, token_key};
use domain::ids::{Digest, Generation};
use domain::keys::SecretKey;
use domain::routing::Arm;
use domain::snapshot::{Kill, OnError, SignedSnapshot};
use domain::telemetry::AnswerStatus;
use domain::units::{Share, Timestamp};
use serde_json::json;
use std::sync::atomic::Ordering;
use tokio::sync::watch;

const SYSTEM: &str = "Help {{ name }}.";

fn text(body: &serde_json::Value) -> &str {
    body["choices"][0]["message"]["content"].as_str().expect("an answer")
}

fn operator() -> String {
    format!("Bearer {OPERATOR}")
}

async fn order(running: &Running, what: &str, body: serde_json::Value) -> common::Answer {
    let path = format!("/v1/admin/{what}");
    running.send("POST", &path, &[("authorization", &operator())], &body.to_string()).await
}

// ---- fallback -------------------------------------------------------------

#[tokio::test]
async fn a_failure_is_answered_by_the_fallback_where_app_or_caller_wants_it() {
    let dir = tempfile::tempdir().unwrap();
    let upstream = Upstream::always(vec![respond(500, "", "{}")]).await;
    let mut generation = 0;
    let control = Control::new();
    let running = Running::start(dir.path(), control).await;
    // (the app's on_error, the caller's header, answered by the fallback)
    let cases = [
        (OnError::Error, "", false),
        (OnError::Error, "allow", true),
        (OnError::Fallback, "", true),
        (OnError::Fallback, "never", false),
    ];
    for (on_error, wish, answered) in cases {
        generation += 1;
        let setup =
            Setup::new(openai(&upstream.base(), SYSTEM)).fallback(on_error).generation(generation);
        running.control.publish(&setup.snapshot());
        running.control.serving(generation).await;
        let answer = running.chat(&[("x-tidegate-fallback", wish)], json!({})).await;
        assert_eq!(answer.status.as_u16(), if answered { 200 } else { 502 }, "{on_error:?} {wish}");
        assert_eq!(answer.header("x-tidegate-fallback"), if answered { "rules" } else { "none" });
        let body = answer.json().await;
        if answered {
            assert_eq!(text(&body), "Refunds take five days, Ana.");
        }
    }
    for record in running.control.records(4).await {
        assert_eq!(
            record.status,
            AnswerStatus::ProviderError,
            "a fallback does not hide a failure"
        );
        assert_eq!(record.cost_nano_usd, 0);
    }
    let bad = running.chat(&[("x-tidegate-fallback", "perhaps")], json!({})).await;
    assert_eq!(bad.status, 400);
}

#[tokio::test]
async fn where_no_rule_holds_a_person_takes_over() {
    let dir = tempfile::tempdir().unwrap();
    let upstream = Upstream::always(vec![respond(500, "", "{}")]).await;
    let running = Running::serving(
        dir.path(),
        &Setup::new(openai(&upstream.base(), SYSTEM)).fallback(OnError::Fallback),
    )
    .await;
    let hello = json!({"messages": [{"role": "user", "content": "Hello"}], "stream": true});
    let answer = running.chat(&[], hello).await;
    assert_eq!(answer.header("x-tidegate-fallback"), "message");
    let text = answer.text().await;
    assert!(text.contains("colleague") && text.ends_with(DONE), "{text}");
    let record = running.control.record().await;
    assert_eq!((record.fallback.as_str(), record.status), ("message", AnswerStatus::ProviderError));
}

#[tokio::test]
async fn a_wrong_fallback_file_does_not_stop_the_app() {
    let dir = tempfile::tempdir().unwrap();
    let upstream = Upstream::always(vec![completion("x")]).await;
    let setup = Setup::new(openai(&upstream.base(), SYSTEM))
        .with(|s| s.app.fallback = Some(json!({"rules": 7})));
    let running = Running::serving(dir.path(), &setup).await;
    assert_eq!(running.chat(&[], json!({})).await.status, 200);
}

// ---- kill switch ----------------------------------------------------------

#[tokio::test]
async fn a_killed_app_calls_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let upstream = Upstream::always(vec![completion("x")]).await;
    let setup = Setup::new(openai(&upstream.base(), SYSTEM)).fallback(OnError::Error).with(|s| {
        s.app.killed = Some(Kill { since: Timestamp(0), by: "ana".parse().unwrap() });
    });
    let running = Running::serving(dir.path(), &setup).await;
    // Not even variables are needed.
    let answer = running.chat(&[], json!({"tidegate": {}})).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-tidegate-fallback")), (200, "message"));
    let stream = running.chat(&[], json!({"stream": true})).await.text().await;
    assert!(stream.contains("Refunds take"), "{stream}");
    let never = running.chat(&[("x-tidegate-fallback", "never")], json!({})).await;
    assert_eq!(never.status, 503);
    assert_eq!(never.json().await["error"]["code"], "killed");
    assert!(upstream.received().is_empty());
    for record in running.control.records(3).await {
        assert_eq!(record.status, AnswerStatus::Killed, "not counted against the release");
    }
}

#[tokio::test]
async fn the_switch_works_with_everything_else_down_and_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let upstream = Upstream::always(vec![completion("alive")]).await;
    let setup = Setup::new(openai(&upstream.base(), SYSTEM)).fallback(OnError::Error);
    let running = Running::serving(dir.path(), &setup).await;
    let control = running.control.clone();
    control.down(true);
    assert_eq!(text(&running.chat(&[], json!({})).await.json().await), "alive");

    let thrown =
        order(&running, "kill", json!({"app": "support", "reason": "it insults people"})).await;
    assert_eq!(thrown.status, 200);
    let thrown = thrown.json().await;
    assert_eq!((&thrown["killed"], &thrown["written"]), (&json!(true), &json!(true)));
    assert_eq!(running.chat(&[], json!({})).await.header("x-tidegate-fallback"), "rules");
    running.stop().await;

    let running = Running::start(dir.path(), control.clone()).await;
    assert_eq!(
        running.chat(&[], json!({})).await.header("x-tidegate-fallback"),
        "rules",
        "after a restart"
    );

    // Control is back. A snapshot from before it knew does not switch it on again.
    control.down(false);
    control.publish(&setup.generation(2).snapshot());
    control.serving(2).await;
    assert_eq!(running.chat(&[], json!({})).await.header("x-tidegate-fallback"), "rules");
    control.acknowledge_kills_from(4);
    control.killed(1).await;
    let kill = control.kills().remove(0);
    assert_eq!(
        (kill.by.as_str(), kill.reason.as_str(), kill.killed),
        ("operator", "it insults people", true)
    );
    assert_eq!(kill.id, thrown["id"].as_str().unwrap());
    let setup = Setup::new(openai(&upstream.base(), SYSTEM)).fallback(OnError::Error);
    control.publish(&setup.generation(3).snapshot());
    control.serving(3).await;
    assert_eq!(
        running.chat(&[], json!({})).await.header("x-tidegate-fallback"),
        "rules",
        "3 is before 4"
    );
    // From generation 4 on control's word counts: here somebody has switched it on.
    let setup = Setup::new(openai(&upstream.base(), SYSTEM)).fallback(OnError::Error);
    control.publish(&setup.generation(4).snapshot());
    control.serving(4).await;
    assert_eq!(text(&running.chat(&[], json!({})).await.json().await), "alive");
    assert!(running.metrics().await.contains("tidegate_local_kills 0"));
}

#[tokio::test]
async fn unkill_at_the_gateway_wins_over_the_snapshot_until_control_knows() {
    let dir = tempfile::tempdir().unwrap();
    let upstream = Upstream::always(vec![completion("alive")]).await;
    let setup = Setup::new(openai(&upstream.base(), SYSTEM)).fallback(OnError::Error).with(|s| {
        s.app.killed = Some(Kill { since: Timestamp(0), by: "ana".parse().unwrap() });
    });
    let running = Running::serving(dir.path(), &setup).await;
    assert_eq!(running.chat(&[], json!({})).await.header("x-tidegate-fallback"), "rules");
    assert_eq!(order(&running, "unkill", json!({"app": "support"})).await.status, 200);
    assert_eq!(text(&running.chat(&[], json!({})).await.json().await), "alive");
}

#[tokio::test]
async fn only_operators_of_the_app_use_the_switch() {
    let dir = tempfile::tempdir().unwrap();
    let setup = Setup::new(openai("http://127.0.0.1:9/v1", SYSTEM)).with(|s| {
        let mut elsewhere = grant("other", true);
        elsewhere.apps = ["other".parse().unwrap()].into();
        s.tokens.insert(token_key("elsewhere"), elsewhere);
    });
    let running = Running::serving(dir.path(), &setup).await;
    let cases = [
        ("Bearer tgk_test", json!({"app": "support"}), 403),
        ("Bearer elsewhere", json!({"app": "support"}), 403),
        ("", json!({"app": "support"}), 401),
        (&operator(), json!({"app": "nowhere"}), 404),
        (&operator(), json!({"app": "support", "why": "x"}), 400),
    ];
    for (auth, body, status) in cases {
        let answer = running
            .send("POST", "/v1/admin/kill", &[("authorization", auth)], &body.to_string())
            .await;
        assert_eq!(answer.status.as_u16(), status, "{body}");
    }
    assert!(running.metrics().await.contains("tidegate_local_kills 0"));
}

// ---- mirrored requests ----------------------------------------------------

#[tokio::test]
async fn a_mirrored_copy_is_answered_by_the_candidate_and_nobody_waits_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let (open, gate) = watch::channel(false);
    let stable = Upstream::always(vec![completion("shown")]).await;
    let candidate = Upstream::always(vec![Step::Gate(gate), completion("mirrored")]).await;
    let setup = Setup::new(openai(&stable.base(), "old {{ name }}")).candidate(
        openai(&candidate.base(), "new {{ name }}"),
        Share::NONE,
        Share::ALL,
    );
    let running = Running::serving(dir.path(), &setup).await;
    let answer = running.chat(&[], json!({})).await;
    let id = answer.header("x-request-id").to_owned();
    assert_eq!(answer.header("x-tidegate-arm"), "control");
    assert_eq!(text(&answer.json().await), "shown", "while the candidate has not answered");
    open.send_replace(true);
    let records = running.control.records(2).await;
    let mirrored = records.iter().find(|r| r.arm == Arm::Shadow).unwrap();
    assert_eq!((mirrored.id.as_str(), mirrored.status), (id.as_str(), AnswerStatus::Ok));
    assert_eq!(
        (mirrored.release, mirrored.answer.as_deref()),
        (release_id("candidate"), Some("mirrored"))
    );
    let shown = records.iter().find(|r| r.arm == Arm::Control).unwrap();
    assert_eq!((shown.input, &shown.subject), (mirrored.input, &mirrored.subject));
    let sent = candidate.received()[0].json();
    assert_eq!(
        sent["messages"][0]["content"], "new Ana",
        "the candidate's own prompt, the same variables"
    );
}

#[tokio::test]
async fn mirrored_copies_are_shed_first_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let stable = Upstream::always(vec![completion("shown")]).await;
    let candidate = Upstream::always(vec![Step::Stall]).await;
    let setup = Setup::new(openai(&stable.base(), SYSTEM)).candidate(
        openai(&candidate.base(), SYSTEM),
        Share::NONE,
        Share::ALL,
    );
    let running = Running::serving_with(dir.path(), &setup, |c| c.shadow_slots = 2).await;
    for _ in 0..5 {
        assert_eq!(text(&running.chat(&[], json!({})).await.json().await), "shown");
    }
    assert!(running.metrics().await.contains("tidegate_shadow_shed_total 3"));
    candidate.arrived(2).await;
    assert_eq!(candidate.received().len(), 2);
}

#[tokio::test]
async fn a_copy_that_fails_counts_against_the_candidate_alone() {
    let dir = tempfile::tempdir().unwrap();
    let stable = Upstream::always(vec![completion("shown")]).await;
    let setup = Setup::new(openai(&stable.base(), SYSTEM)).candidate(
        release(json!({"kind": "replay", "key": "{{ nope }}", "recordings": []}), SYSTEM),
        Share::NONE,
        Share::ALL,
    );
    let running = Running::serving(dir.path(), &setup).await;
    assert_eq!(running.chat(&[], json!({})).await.status, 200);
    let records = running.control.records(2).await;
    let of = |arm| records.iter().find(|r| r.arm == arm).unwrap().status;
    assert_eq!(
        (of(Arm::Control), of(Arm::Shadow)),
        (AnswerStatus::Ok, AnswerStatus::ProviderError)
    );
}

// ---- snapshots ------------------------------------------------------------

/// A setup whose prompt says its number.
fn numbered(upstream: &Upstream, generation: u64) -> Setup {
    Setup::new(openai(&upstream.base(), &format!("number {generation} for {{{{ name }}}}")))
        .generation(generation)
}

async fn number(running: &Running, upstream: &Upstream) -> String {
    running.chat(&[], json!({})).await.text().await;
    let sent = upstream.received().pop().unwrap().json();
    sent["messages"][0]["content"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn older_and_forged_snapshots_are_refused_and_newer_ones_taken() {
    let dir = tempfile::tempdir().unwrap();
    let upstream = Upstream::always(vec![completion("x")]).await;
    let running = Running::serving(dir.path(), &numbered(&upstream, 5)).await;
    let control = &running.control;
    control.publish(&numbered(&upstream, 4).snapshot());
    let forged =
        SignedSnapshot::sign(&numbered(&upstream, 6).snapshot(), &SecretKey::from_random([8; 32]))
            .unwrap();
    refused(&running, 1).await;
    control.offer(forged);
    refused(&running, 2).await;
    let mut altered =
        SignedSnapshot::sign(&numbered(&upstream, 6).snapshot(), &common::key()).unwrap();
    altered.body = altered.body.replace("number 6", "number 7");
    control.offer(altered);
    refused(&running, 3).await;
    assert_eq!(number(&running, &upstream).await, "number 5 for Ana");
    control.publish(&numbered(&upstream, 6).snapshot());
    control.serving(6).await;
    // A release never changes: the same id with another content keeps what it was.
    assert_eq!(number(&running, &upstream).await, "number 5 for Ana");
    let changed = numbered(&upstream, 7).with(|s| {
        let release = s.releases.remove(&release_id("stable")).unwrap();
        s.releases.insert(release_id("other"), release);
        s.app.production = release_id("other");
    });
    control.publish(&changed.snapshot());
    control.serving(7).await;
    assert_eq!(number(&running, &upstream).await, "number 7 for Ana");
}

/// Waits until so many snapshots were refused. There is no other sign of it
/// than the number: it is asked for, and asked again.
async fn refused(running: &Running, n: usize) {
    let wanted = format!("tidegate_snapshots_rejected_total {n}\n");
    common::upstream::patiently(&wanted, async {
        while !running.metrics().await.contains(&wanted) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_request_keeps_its_snapshot_while_it_streams() {
    let dir = tempfile::tempdir().unwrap();
    let (open, gate) = watch::channel(false);
    let upstream = Upstream::start(move |n, _| {
        let rest = vec![
            common::upstream::sse_head(),
            common::upstream::chunk(&common::upstream::event("a")),
            Step::Gate(gate.clone()),
            common::upstream::chunk(&format!("{}{DONE}", common::upstream::finish())),
            common::upstream::end(),
        ];
        if n == 0 { rest } else { vec![completion("x")] }
    })
    .await;
    let running = Running::serving(dir.path(), &numbered(&upstream, 1)).await;
    let mut answer = running.chat(&[], json!({"stream": true})).await;
    answer.piece().await.unwrap();
    running.control.publish(&numbered(&upstream, 2).snapshot());
    running.control.serving(2).await;
    open.send_replace(true);
    assert!(answer.text().await.ends_with(DONE));
    assert_eq!(running.control.record().await.generation, Generation(1));
}

#[tokio::test]
async fn a_gateway_starts_from_disk_with_control_down() {
    let dir = tempfile::tempdir().unwrap();
    let file = json!({"model": "up-1", "key": "k", "response": "from disk"}).to_string();
    let digest = Digest::of(file.as_bytes());
    let setup =
        Setup::new(release(json!({"kind": "replay", "key": "k", "recordings": [digest]}), SYSTEM))
            .with(|s| s.blobs = [digest].into());
    let control = Control::new();
    control.blob(digest, file.as_bytes());
    control.publish(&setup.snapshot());
    let running = Running::start(dir.path(), control).await;
    running.control.serving(1).await;
    running.stop().await;

    let control = Control::new();
    control.down(true);
    let running = Running::start(dir.path(), control).await;
    let ready = running.send("GET", "/readyz", &[], "").await;
    assert_eq!(ready.status, 200);
    let ready = ready.json().await;
    assert_eq!((&ready["generation"], &ready["control"]), (&json!(1), &json!("unreachable")));
    running.clock.fetch_add(90_000, Ordering::SeqCst);
    assert_eq!(text(&running.chat(&[], json!({})).await.json().await), "from disk");
    let metrics = running.metrics().await;
    assert!(
        metrics.contains("tidegate_control_up 0\n")
            && metrics.contains("tidegate_snapshot_age_seconds 90\n"),
        "{metrics}"
    );
    // What was counted meanwhile arrives when control is back.
    running.control.down(false);
    let record = running.control.record().await;
    assert_eq!((record.status, record.at), (AnswerStatus::Ok, Timestamp(common::START + 90_000)));
}

#[tokio::test]
async fn a_snapshot_on_disk_that_somebody_touched_is_not_served() {
    let dir = tempfile::tempdir().unwrap();
    let upstream = Upstream::always(vec![completion("x")]).await;
    Running::serving(dir.path(), &numbered(&upstream, 1)).await.stop().await;
    let path = dir.path().join("snapshot.json");
    let touched = std::fs::read_to_string(&path).unwrap().replace("number 1", "number 9");
    std::fs::write(&path, touched).unwrap();
    let control = Control::new();
    control.down(true);
    let running = Running::start(dir.path(), control).await;
    assert_eq!(running.send("GET", "/readyz", &[], "").await.status, 503);
    assert_eq!(running.send("GET", "/healthz", &[], "").await.status, 200);
    let answer = running.chat(&[], json!({})).await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.json().await["error"]["code"], "not_ready");
    // Control brings a good one.
    running.control.publish(&numbered(&upstream, 1).snapshot());
    running.control.down(false);
    running.control.serving(1).await;
    assert_eq!(number(&running, &upstream).await, "number 1 for Ana");
}

#[tokio::test]
async fn a_blob_with_other_bytes_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let upstream = Upstream::always(vec![completion("x")]).await;
    let running = Running::serving(dir.path(), &numbered(&upstream, 1)).await;
    let digest = Digest::of(b"right");
    running.control.blob(digest, b"wrong");
    let setup = numbered(&upstream, 2).with(|s| s.blobs = [digest].into());
    running.control.publish(&setup.snapshot());
    refused(&running, 1).await;
    assert_eq!(number(&running, &upstream).await, "number 1 for Ana");
    running.control.blob(digest, b"right");
    running.control.publish(&setup.snapshot());
    running.control.serving(2).await;
}

// ---- telemetry and feedback -----------------------------------------------

#[tokio::test]
async fn a_batch_whose_receipt_was_lost_comes_again_as_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let upstream = Upstream::always(vec![completion("x")]).await;
    let running = Running::serving(dir.path(), &numbered(&upstream, 1)).await;
    running.control.lose_answers(2);
    running.chat(&[], json!({})).await.text().await;
    running.control.record().await;
    // Later counts come after, under the next number, and nothing is missing.
    running.chat(&[], json!({})).await.text().await;
    running.control.records(2).await;
    let all = running.control.all_batches();
    let unique = common::unique(&all);
    assert_eq!(all.len(), unique.len() + 2, "two came twice");
    let seqs: Vec<u64> = unique.iter().map(|b| b.seq).collect();
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>());
    for batch in &all {
        assert_eq!(Some(batch), unique.iter().find(|b| b.seq == batch.seq));
    }
    let counted: u64 = unique.iter().flat_map(|b| &b.cells).map(|(_, cell)| cell.n).sum();
    assert_eq!(counted, 2);
}

#[tokio::test]
async fn a_gateway_with_nothing_to_say_says_that_it_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let setup = Setup::new(openai("http://127.0.0.1:9/v1", SYSTEM));
    let running = Running::serving_with(dir.path(), &setup, |c| {
        c.heartbeat = std::time::Duration::from_millis(20)
    })
    .await;
    // Heartbeats may come before the first snapshot is served; then they say so.
    let served = |b: &analysis::cells::Batch| b.serving == Generation(1);
    let enough = |all: &[analysis::cells::Batch]| all.iter().filter(|b| served(b)).count() >= 3;
    let batches = running.control.shipped(|b| enough(b).then(|| b.to_vec())).await;
    assert!(batches.iter().all(|b| b.cells.is_empty()));
    assert!(batches.iter().skip_while(|b| !served(b)).all(served));
}

#[tokio::test]
async fn stopping_delivers_what_was_counted() {
    let dir = tempfile::tempdir().unwrap();
    let upstream = Upstream::always(vec![completion("x")]).await;
    let running = Running::serving_with(dir.path(), &numbered(&upstream, 1), |c| {
        c.ship_every = std::time::Duration::from_secs(3600)
    })
    .await;
    let control = running.control.clone();
    for _ in 0..3 {
        running.chat(&[], json!({})).await.text().await;
    }
    running.stop().await;
    let records: usize = control.all_batches().iter().map(|b| b.records.len()).sum();
    assert_eq!(records, 3);
}

#[tokio::test]
async fn feedback_is_checked_made_private_and_shipped() {
    let dir = tempfile::tempdir().unwrap();
    let upstream = Upstream::always(vec![completion("x")]).await;
    let running = Running::serving(dir.path(), &numbered(&upstream, 1)).await;
    let answer = running.chat(&[("x-tidegate-subject", "user-17")], json!({})).await;
    let id = answer.header("x-request-id").to_owned();
    let good = [
        json!({"request_id": id, "name": "accepted", "value": 0, "comment": "mail me at ana@example.com"}),
        json!({"subject": "user-17", "app": "support", "name": "csat", "value": 4.5}),
    ];
    for (path, body) in ["/v1/feedback", "/api/v1/feedback"].iter().zip(&good) {
        let answer = running.send("POST", path, &[], &body.to_string()).await;
        assert_eq!(answer.status, 202);
        assert_eq!(answer.json().await, json!({"accepted": true}));
    }
    let bad = [
        json!({"name": "accepted", "value": 1}),
        json!({"subject": "x", "name": "accepted", "value": 1}),
        json!({"request_id": id, "name": "", "value": 1}),
        json!({"request_id": id, "name": "two words", "value": 1}),
        json!({"request_id": "nonsense", "name": "accepted", "value": 1}),
        json!({"request_id": id, "name": "accepted", "value": "yes"}),
        json!({"request_id": id, "name": "accepted"}),
        json!({"request_id": id, "name": "accepted", "value": 1, "note": "x"}),
    ];
    for body in bad {
        let answer = running.send("POST", "/v1/feedback", &[], &body.to_string()).await;
        assert_eq!(answer.status, 400, "{body}");
        assert!(!answer.json().await["error"]["tidegate"]["hint"].is_null(), "{body}");
    }
    assert_eq!(
        running
            .send("POST", "/v1/feedback", &[("authorization", "")], &good[0].to_string())
            .await
            .status,
        401
    );
    let shipped = running
        .control
        .shipped(|batches| {
            let all: Vec<_> = batches.iter().flat_map(|b| b.feedback.clone()).collect();
            (all.len() >= 2).then_some(all)
        })
        .await;
    assert_eq!(shipped.len(), 2);
    assert_eq!(shipped[0].1.request_id.as_ref().map(|i| i.as_str()), Some(id.as_str()));
    assert!(!shipped[0].1.comment.as_ref().unwrap().contains("ana@"));
    // The subject is the same keyed hash as in the answer's record.
    assert_eq!(shipped[1].1.subject.as_ref(), Some(&running.control.record().await.subject));
}

#[tokio::test]
async fn texts_are_kept_for_the_share_that_was_configured() {
    let dir = tempfile::tempdir().unwrap();
    let upstream =
        Upstream::start(|n, _| vec![if n == 0 { completion("x") } else { respond(500, "", "{}") }])
            .await;
    let running =
        Running::serving_with(dir.path(), &numbered(&upstream, 1), |c| c.bodies = Share::NONE)
            .await;
    running.chat(&[], json!({})).await.text().await;
    running.chat(&[], json!({})).await.text().await;
    let records = running.control.records(2).await;
    assert_eq!((&records[0].prompt, &records[0].answer), (&None, &None));
    assert!(records[1].prompt.is_some(), "a failure's prompt is always kept");
}
