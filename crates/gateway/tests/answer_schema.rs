//! Answers of an app that promises their form: which are checked, and against what.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

mod common;

use common::upstream::{DONE, Step, Upstream, chunk, completion, end, finish, respond, sse_head};
use common::{Running, Setup, openai, release_id};
use domain::component::ComponentKind;
use domain::routing::Arm;
use domain::snapshot::{OnError, ServedRelease};
use domain::units::Share;
use serde_json::{Value, json};

const SYSTEM: &str = "Help {{ name }} with {{ topic }}.";

/// Promises `{"status": "open" | "closed"}`.
fn promising(mut release: ServedRelease, states: &[&str]) -> ServedRelease {
    let schema = json!({
        "type": "object", "required": ["status"], "additionalProperties": false,
        "properties": {"status": {"enum": states}},
    });
    release.contents.insert(ComponentKind::Answer, json!({"schema": schema}));
    release
}

async fn checked(setup: &Setup, asked: Value) -> Option<bool> {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::serving(dir.path(), setup).await;
    running.chat(&[], asked).await.text().await;
    running.control.record().await.schema_failed
}

async fn answered(step: Step) -> Option<bool> {
    let upstream = Upstream::always(vec![step]).await;
    let stable = promising(openai(&upstream.base(), SYSTEM), &["open", "closed"]);
    checked(&Setup::new(stable), json!({})).await
}

#[tokio::test]
async fn answers_in_words_are_held_against_the_schema() {
    assert_eq!(answered(completion(r#"{"status": "open"}"#)).await, Some(false));
    assert_eq!(answered(completion(r#"{"status": "lost"}"#)).await, Some(true));
    assert_eq!(answered(completion(r#"Sure! {"status": "open"}"#)).await, Some(true));
    assert_eq!(answered(completion("")).await, Some(true), "an empty answer is none");
    assert_eq!(answered(respond(500, "", "{}")).await, None, "an error is counted as one");
    let calls = json!({"choices": [{"finish_reason": "tool_calls", "message": {
        "role": "assistant", "content": null,
        "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
    }}]});
    assert_eq!(answered(respond(200, "", &calls.to_string())).await, None);
}

#[tokio::test]
async fn a_stream_is_held_against_it_as_a_whole() {
    let piece = |text: &str| {
        let delta = json!({"choices": [{"index": 0, "delta": {"content": text}}]});
        chunk(&format!("data: {delta}\n\n"))
    };
    for (rest, failed) in [(" \"closed\"}", false), (" \"clo", true)] {
        let steps = vec![
            sse_head(),
            piece("{\"status\":"),
            piece(rest),
            chunk(&format!("{}{DONE}", finish())),
            end(),
        ];
        let upstream = Upstream::always(steps).await;
        let stable = promising(openai(&upstream.base(), SYSTEM), &["open", "closed"]);
        assert_eq!(checked(&Setup::new(stable), json!({"stream": true})).await, Some(failed));
    }
}

#[tokio::test]
async fn a_prepared_answer_is_not_the_models() {
    let upstream = Upstream::always(vec![respond(500, "", "{}")]).await;
    let stable = promising(openai(&upstream.base(), SYSTEM), &["open"]);
    let setup = Setup::new(stable).fallback(OnError::Fallback);
    assert_eq!(checked(&setup, json!({})).await, None);
}

#[tokio::test]
async fn both_versions_are_held_against_what_production_promises() {
    let dir = tempfile::tempdir().unwrap();
    let upstream = Upstream::always(vec![completion(r#"{"status": "new"}"#)]).await;
    let plain = || openai(&upstream.base(), SYSTEM);
    let to_all =
        |stable, candidate| Setup::new(stable).candidate(candidate, Share::ALL, Share::NONE);
    // The candidate says "new", which callers of today know nothing of.
    let setup = to_all(promising(plain(), &["open"]), promising(plain(), &["open", "new"]));
    let running = Running::serving(dir.path(), &setup).await;
    running.chat(&[], json!({})).await.text().await;
    let record = running.control.record().await;
    assert_eq!((record.arm, record.schema_failed), (Arm::Candidate, Some(true)));
    // Promoted, it is what callers were promised.
    let promoted = Setup::new(promising(plain(), &["open"])).generation(2).with(|setup| {
        let new = promising(plain(), &["open", "new"]);
        setup.releases.insert(release_id("new"), new);
        setup.app.production = release_id("new");
    });
    running.control.publish(&promoted.snapshot());
    running.control.serving(2).await;
    running.chat(&[], json!({})).await.text().await;
    assert_eq!(running.control.records(2).await[1].schema_failed, Some(false));
}

#[tokio::test]
async fn the_first_promise_is_the_candidates() {
    let upstream = Upstream::always(vec![completion("no JSON")]).await;
    let plain = || openai(&upstream.base(), SYSTEM);
    let setup =
        Setup::new(plain()).candidate(promising(plain(), &["open"]), Share::NONE, Share::NONE);
    assert_eq!(checked(&setup, json!({})).await, Some(true));
    assert_eq!(checked(&Setup::new(plain()), json!({})).await, None, "nothing is promised");
}

#[tokio::test]
async fn a_schema_that_cannot_be_used_stops_nobody() {
    let upstream = Upstream::always(vec![completion("{}")]).await;
    let mut stable = openai(&upstream.base(), SYSTEM);
    stable.contents.insert(ComponentKind::Answer, json!({"schema": {"type": "nonsense"}}));
    assert_eq!(checked(&Setup::new(stable), json!({})).await, None);
}
