//! A classifier over real sockets: what it is sent, and every way to fail.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

mod common;

use common::{Step, Upstream, respond};
use domain::classifier::{Classifier, OnFailure, Shape};
use domain::units::Span;
use tidegate_connect::classifier::{Keys, NoJudgement, judge};
use tidegate_connect::http::Client;

fn classifier(url: String, shape: Shape) -> Classifier {
    Classifier {
        url,
        shape,
        model: Some("omni-1".to_owned()),
        key_env: Some("TIDEGATE_CLASSIFIER_KEY".to_owned()),
        timeout: Span::from_secs(30),
        flag_at: None,
        on_failure: OnFailure::Fail,
    }
}

fn keys() -> Keys {
    Keys::new(|name| (name == "TIDEGATE_CLASSIFIER_KEY").then(|| "sk-secret".to_owned()))
}

#[tokio::test]
async fn each_shape_is_asked_as_it_wants_to_be() {
    let flagged = r#"{"results":[{"flagged":true,"categories":{"hate":true},"category_scores":{"hate":0.97}}]}"#;
    let upstream = Upstream::always(vec![respond(200, "", flagged)]).await;
    let openai = classifier(format!("{}/moderations", upstream.base()), Shape::Openai);
    let said = judge(&Client::new(), &keys(), &openai, "some text").await.unwrap();
    assert!(said.flagged);
    assert_eq!(said.categories, [("hate".to_owned(), Some(0.97))]);
    let sent = &upstream.received()[0];
    assert!(sent.head.starts_with("POST /v1/moderations "), "{}", sent.head);
    assert!(sent.head.to_lowercase().contains("authorization: bearer sk-secret"));
    assert_eq!(sent.json(), serde_json::json!({"input": "some text", "model": "omni-1"}));

    let upstream =
        Upstream::always(vec![respond(200, "", r#"{"score":0.2,"label":"toxic"}"#)]).await;
    let plain = classifier(format!("http://{}/", upstream.addr), Shape::Score);
    let said = judge(&Client::new(), &keys(), &plain, "some text").await.unwrap();
    assert!(!said.flagged && said.categories.is_empty());
    assert_eq!(upstream.received()[0].json(), serde_json::json!({"text": "some text"}));
}

#[tokio::test]
async fn every_failure_has_its_word_and_none_hangs() {
    let client = Client::new();
    let fails = async |steps: Vec<Step>| {
        let upstream = Upstream::always(steps).await;
        let mut one = classifier(format!("http://{}/", upstream.addr), Shape::Score);
        one.timeout = Span::from_millis(300);
        judge(&client, &keys(), &one, "x").await.unwrap_err()
    };
    assert!(matches!(fails(vec![Step::Stall]).await, NoJudgement::Late(_)));
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{";
    let half = vec![Step::Send(head.into()), Step::Stall];
    assert!(matches!(fails(half).await, NoJudgement::Late(_)));
    assert_eq!(fails(vec![respond(503, "", "{}")]).await, NoJudgement::Status(503));
    // A redirect is a failure: texts go nowhere that nobody named.
    let moved = respond(307, "location: http://127.0.0.1:9/\r\n", "");
    assert_eq!(fails(vec![moved]).await, NoJudgement::Status(307));
    assert!(matches!(fails(vec![Step::Close]).await, NoJudgement::Unreachable(_)));
    assert!(matches!(fails(vec![respond(200, "", "[]")]).await, NoJudgement::Shape { .. }));
    let long = format!(r#"{{"score":0,"label":"{}"}}"#, "x".repeat(300 << 10));
    assert!(matches!(fails(vec![respond(200, "", &long)]).await, NoJudgement::Shape { .. }));
    let nobody = classifier("http://127.0.0.1:1/".to_owned(), Shape::Score);
    let refused = judge(&client, &Keys::none(), &nobody, "x").await;
    assert!(matches!(refused, Err(NoJudgement::NoKey(_))));
    let ftp = classifier("ftp://127.0.0.1/".to_owned(), Shape::Score);
    assert!(matches!(judge(&client, &keys(), &ftp, "x").await, Err(NoJudgement::Address(_))));
}
