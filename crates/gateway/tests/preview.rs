//! The token of a preview: who answers it, what it may spend, and what it leaves
//! no trace in.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

mod common;

use common::upstream::{Step, Upstream, completion, respond};
use common::{Running, START, Setup, app_name, openai, release_id, token_key};
use domain::ids::{ChangeId, RequestId};
use domain::routing::Arm;
use domain::snapshot::{Grant, Kill, OnError, PreviewGrant};
use domain::units::{Share, Timestamp};
use serde_json::json;
use std::sync::atomic::Ordering;

const PREVIEW: (&str, &str) = ("authorization", "Bearer tgk_preview");
/// What the provider says one answer took.
const AN_ANSWER: u64 = 14;

/// A rollout in which everybody gets the candidate and is mirrored, beside a
/// preview of a third release.
fn setup(upstream: &Upstream, cap: u64, used: u64) -> Setup {
    let candidate = openai(&upstream.base(), "The candidate.");
    Setup::new(openai(&upstream.base(), "The stable one."))
        .candidate(candidate, Share::ALL, Share::NONE)
        .fallback(OnError::Fallback)
        .with(|s| {
            s.releases.insert(release_id("tried"), openai(&upstream.base(), "Tried out."));
            let preview =
                PreviewGrant { change: ChangeId(7), release: release_id("tried"), cap, used };
            s.tokens.insert(
                token_key("tgk_preview"),
                Grant {
                    apps: [app_name()].into(),
                    expires_at: Some(Timestamp(START + 60_000)),
                    preview: Some(preview),
                    ..common::grant("preview of ch-7", false)
                },
            );
        })
}

#[tokio::test]
async fn a_preview_is_answered_from_its_release_beside_everything_routed() {
    let dir = tempfile::tempdir().unwrap();
    let upstream = Upstream::always(vec![completion("Fine.")]).await;
    let running = Running::serving(dir.path(), &setup(&upstream, 1000, 0)).await;
    let answer = running.chat(&[PREVIEW, ("x-tidegate-subject", "user-17")], json!({})).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("x-tidegate-arm"), "preview");
    assert_eq!(answer.header("x-tidegate-variant"), "preview");
    assert_eq!(answer.header("x-tidegate-release"), release_id("tried").short());
    assert_eq!(answer.header("x-tidegate-rollout"), "");
    answer.text().await;
    assert_eq!(upstream.received()[0].json()["messages"][0]["content"], "Tried out.");
    let record = running.control.record().await;
    assert_eq!((record.arm, record.preview), (Arm::Preview, Some(ChangeId(7))));
    assert_eq!((record.rollout, record.share, record.drawn), (None, Share::NONE, None));

    // The same user with a token of the app: the rollout's answer, and its count.
    let routed = running.chat(&[("x-tidegate-subject", "user-17")], json!({})).await;
    assert_eq!(routed.header("x-tidegate-arm"), "candidate");
    routed.text().await;
    running.control.records(2).await;
    let cells: Vec<_> =
        running.control.all_batches().into_iter().flat_map(|batch| batch.cells).collect();
    assert!(cells.iter().all(|(key, _)| key.arm == Arm::Candidate), "{cells:?}");
    assert_eq!(cells.iter().map(|(_, cell)| cell.n).sum::<u64>(), 1);

    // A preview is no evidence, so its token says nothing about answers.
    let word = json!({"request_id": RequestId::from_random([1; 15]), "name": "ok", "value": 1});
    let told = running.send("POST", "/v1/feedback", &[PREVIEW], &word.to_string()).await;
    assert_eq!(told.status, 403);
    let models = running.send("GET", "/v1/models", &[PREVIEW], "").await.json().await;
    assert_eq!(models["data"][0]["id"], "app/support");
}

#[tokio::test]
async fn the_cap_is_kept_over_new_snapshots_and_over_what_others_spent() {
    let dir = tempfile::tempdir().unwrap();
    let upstream = Upstream::always(vec![completion("Fine.")]).await;
    let cap = 3 * AN_ANSWER;
    let running = Running::serving(dir.path(), &setup(&upstream, cap, 0)).await;
    let ask = async || {
        let answer = running.chat(&[PREVIEW], json!({})).await;
        (answer.status.as_u16(), answer.json().await)
    };
    assert_eq!(ask().await.0, 200);
    running.control.publish(&setup(&upstream, cap, 0).generation(2).snapshot());
    running.control.serving(2).await;
    assert_eq!(ask().await.0, 200);
    assert_eq!(ask().await.0, 200, "what is spent: the cap less one answer");
    let (status, error) = ask().await;
    assert_eq!(status, 429);
    assert_eq!(error["error"]["code"], "preview_cap_reached");
    assert_eq!(error["error"]["type"], "insufficient_quota");
    let message = error["error"]["message"].as_str().unwrap();
    assert!(message.contains("cap of 42 tokens (42 used)"), "{message}");
    let hint = error["error"]["tidegate"]["hint"].as_str().unwrap();
    assert!(hint.contains("tidegate change preview 7 --tokens 84"), "{hint}");
    assert_eq!(upstream.received().len(), 3, "nobody is asked beyond the cap");
    // Others spent as much of a higher one.
    running.control.publish(&setup(&upstream, 2 * cap, 2 * cap).generation(3).snapshot());
    running.control.serving(3).await;
    assert_eq!(ask().await.0, 429);
}

#[tokio::test]
async fn many_at_once_do_not_all_see_an_unspent_cap() {
    let dir = tempfile::tempdir().unwrap();
    let (gate, opens) = tokio::sync::watch::channel(false);
    let upstream = Upstream::always(vec![Step::Gate(opens), completion("Fine.")]).await;
    let running = Running::serving(dir.path(), &setup(&upstream, 20, 0)).await;
    let first = async {
        let answer = running.chat(&[PREVIEW], json!({})).await;
        answer.status.as_u16()
    };
    let second = async {
        upstream.arrived(1).await;
        let refused = running.chat(&[PREVIEW], json!({})).await;
        gate.send(true).unwrap();
        refused.status.as_u16()
    };
    assert_eq!(tokio::join!(first, second), (200, 429));
}

#[tokio::test]
async fn it_ends_by_the_clock_and_outlives_the_kill_switch() {
    let dir = tempfile::tempdir().unwrap();
    let upstream = Upstream::always(vec![completion("Fine.")]).await;
    let killed = setup(&upstream, 1000, 0).with(|s| {
        s.app.killed = Some(Kill { since: Timestamp(START), by: "omar".parse().unwrap() });
    });
    let running = Running::serving(dir.path(), &killed).await;
    assert_eq!(running.chat(&[PREVIEW], json!({})).await.status, 200);
    running.clock.store(START + 60_000, Ordering::SeqCst);
    let ended = running.chat(&[PREVIEW], json!({})).await;
    assert_eq!(ended.status, 401);
    let error = ended.json().await;
    let message = error["error"]["message"].as_str().unwrap();
    assert!(message.contains("the preview of ch-7 has expired"), "{message}");
}

#[tokio::test]
async fn a_failure_is_shown_and_not_hidden_by_the_fallback() {
    let dir = tempfile::tempdir().unwrap();
    let upstream = Upstream::always(vec![respond(500, "", "{}")]).await;
    let running = Running::serving(dir.path(), &setup(&upstream, 1000, 0)).await;
    let failed = running.chat(&[PREVIEW], json!({})).await;
    assert_eq!(failed.status, 502, "the app's fallback would answer users");
    let asked = running.chat(&[PREVIEW, ("x-tidegate-fallback", "allow")], json!({})).await;
    assert_eq!(asked.status, 200, "who asks for it gets it");
}
