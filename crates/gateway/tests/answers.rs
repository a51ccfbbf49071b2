//! What callers get: answers, streams, errors, headers; and what is remembered.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

mod common;

use common::upstream::{
    DONE, Step, Upstream, chunk, completion, completion_json, end, event, finish, respond, sse_head,
};
use common::{Running, Setup, TOKEN, openai, release, release_id, token_key};
use domain::ids::Digest;
use domain::routing::Arm;
use domain::snapshot::OnError;
use domain::telemetry::AnswerStatus;
use domain::units::{Share, Span, Timestamp};
use serde_json::{Value, json};
use tokio::sync::watch;

const SYSTEM: &str = "Help {{ name }} with {{ topic }}.";

#[tokio::test]
async fn a_request_is_rendered_passed_on_and_remembered() {
    let dir = tempfile::tempdir().unwrap();
    let upstream = Upstream::always(vec![completion("Write to ana@example.com")]).await;
    let running = Running::serving(dir.path(), &Setup::new(openai(&upstream.base(), SYSTEM))).await;
    let answer = running
        .chat(&[("x-tidegate-subject", "user-17")], json!({"temperature": 0.25, "tools": [{"type": "function", "function": {"name": "f"}}], "response_format": {"type": "text"}}))
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("x-tidegate-release"), release_id("stable").short());
    assert_eq!(answer.header("x-tidegate-arm"), "stable");
    assert_eq!(answer.header("x-tidegate-fallback"), "none");
    assert_eq!(answer.header("x-tidegate-cost-usd"), "0.000017000");
    let id = answer.header("x-request-id").to_owned();
    assert_eq!(answer.header("x-tidegate-request-id"), id);
    assert_eq!(answer.text().await, completion_json("Write to ana@example.com"), "byte for byte");
    let sent = upstream.received()[0].json();
    assert_eq!(
        sent,
        json!({
            "model": "up-1",
            "messages": [{"role": "system", "content": "Help Ana with parcels."}, {"role": "user", "content": "Where is my refund?"}],
            "temperature": 0.25,
            "tools": [{"type": "function", "function": {"name": "f"}}],
            "response_format": {"type": "text"},
        }),
        "nothing of ours reaches the provider"
    );
    let record = running.control.record().await;
    assert_eq!(record.id.as_str(), id);
    assert_eq!(
        (record.status, record.arm, record.fallback.as_str()),
        (AnswerStatus::Ok, Arm::Stable, "none")
    );
    assert_eq!((record.prompt_tokens, record.completion_tokens), (11, 3));
    assert_eq!(record.cost_nano_usd, 11 * 1000 + 3 * 2000);
    assert_eq!(record.served_model.as_deref(), Some("up-1"));
    assert!(record.ttft_us <= record.latency_us);
    assert!(!record.subject.contains("17") && record.subject.len() == 32, "{}", record.subject);
    let kept = record.answer.unwrap();
    assert!(kept.starts_with("Write to ") && !kept.contains("ana@example.com"), "{kept}");
    assert!(record.prompt.unwrap().contains("Help Ana with parcels."));
}

#[tokio::test]
async fn a_stream_arrives_while_it_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let (open, gate) = watch::channel(false);
    let rest = format!("{}{}{DONE}", event("two"), finish());
    let upstream = Upstream::always(vec![
        sse_head(),
        chunk(&event("one ")),
        Step::Gate(gate),
        chunk(&rest),
        end(),
    ])
    .await;
    let running = Running::serving(dir.path(), &Setup::new(openai(&upstream.base(), SYSTEM))).await;
    let mut answer = running.chat(&[], json!({"stream": true})).await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").starts_with("text/event-stream"));
    assert!(answer.header("x-request-id").starts_with("req_"));
    assert_eq!(answer.piece().await.unwrap(), event("one "), "before the provider sent more");
    open.send_replace(true);
    assert_eq!(answer.text().await, rest);
    let record = running.control.record().await;
    assert!(record.streamed);
    assert_eq!((record.status, record.answer.as_deref()), (AnswerStatus::Ok, Some("one two")));
    // Nobody asked for usage, so it was not asked for, and tokens are counted here.
    assert!(upstream.received()[0].json().get("stream_options").is_none());
    assert_eq!(record.completion_tokens, 2);
    assert!(record.prompt_tokens > 10 && record.cost_nano_usd > 10_000, "{record:?}");
}

#[tokio::test]
async fn usage_is_asked_for_when_the_caller_does() {
    let dir = tempfile::tempdir().unwrap();
    let usage = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":7,\"total_tokens\":107}}\n\n";
    let upstream = Upstream::always(vec![
        sse_head(),
        chunk(&format!("{}{}{usage}{DONE}", event("x"), finish())),
        end(),
    ])
    .await;
    let running = Running::serving(dir.path(), &Setup::new(openai(&upstream.base(), SYSTEM))).await;
    let answer =
        running.chat(&[], json!({"stream": true, "stream_options": {"include_usage": true}})).await;
    assert!(answer.text().await.contains(usage));
    assert_eq!(upstream.received()[0].json()["stream_options"], json!({"include_usage": true}));
    let record = running.control.record().await;
    assert_eq!((record.prompt_tokens, record.completion_tokens), (100, 7));
}

#[tokio::test]
async fn a_cut_stream_ends_in_an_error_event_and_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let upstream = Upstream::always(vec![
        sse_head(),
        chunk(&event("half")),
        chunk("data: {\"cho"),
        Step::Close,
    ])
    .await;
    // Even an app with a fallback: half an answer is out already.
    let setup = Setup::new(openai(&upstream.base(), SYSTEM)).fallback(OnError::Fallback);
    let running = Running::serving(dir.path(), &setup).await;
    let text = running.chat(&[], json!({"stream": true})).await.text().await;
    let error = text.strip_prefix(&event("half")).and_then(|t| t.strip_prefix("data: ")).unwrap();
    let error: Value = serde_json::from_str(error.trim_end()).unwrap();
    assert_eq!(error["error"]["code"], "provider_cut");
    assert!(!text.contains("[DONE]"));
    let record = running.control.record().await;
    assert_eq!((record.status, record.answer.as_deref()), (AnswerStatus::Cut, Some("half")));
}

#[tokio::test]
async fn a_caller_who_hangs_up_ends_the_providers_work() {
    let dir = tempfile::tempdir().unwrap();
    let upstream = Upstream::start(|n, _| match n {
        0 => vec![sse_head(), chunk(&event("a")), Step::Stall],
        _ => vec![Step::Stall],
    })
    .await;
    let running = Running::serving(dir.path(), &Setup::new(openai(&upstream.base(), SYSTEM))).await;
    let mut answer = running.chat(&[], json!({"stream": true})).await;
    assert_eq!(answer.piece().await.unwrap(), event("a"));
    drop(answer);
    upstream.hung_up(1).await;
    assert_eq!(running.control.record().await.status, AnswerStatus::Cancelled);
    // The same before the first byte.
    let waiting = running.chat(&[], json!({}));
    tokio::select! {
        _ = waiting => panic!("nobody answers"),
        () = upstream.arrived(2) => {}
    }
    upstream.hung_up(2).await;
    let records = running.control.records(2).await;
    assert_eq!(records[1].status, AnswerStatus::Cancelled);
    assert_eq!(records[1].cost_nano_usd, 0);
}

#[tokio::test]
async fn failures_have_openais_shape_and_count_against_the_release() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = format!("http://{}/v1", nobody.local_addr().unwrap());
    drop(nobody);
    let rate = r#"{"error":{"message":"slow down","type":"requests","param":null,"code":"rate_limit_exceeded"}}"#;
    let long = r#"{"error":{"message":"too long","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#;
    let cases: Vec<(Option<Step>, u16, &str, &str)> = vec![
        (
            Some(respond(429, "retry-after: 9\r\n", rate)),
            429,
            "rate_limit_exceeded",
            "rate_limit_exceeded",
        ),
        (Some(respond(400, "", long)), 400, "provider_refused", "context_length_exceeded"),
        (Some(respond(401, "", rate)), 502, "provider_error", "provider_error"),
        (Some(respond(500, "", "oops")), 502, "provider_error", "provider_error"),
        (Some(respond(200, "", "oops")), 502, "provider_garbage", "provider_garbage"),
        (Some(Step::Close), 502, "provider_cut", "provider_cut"),
        (None, 502, "provider_unreachable", "provider_unreachable"),
    ];
    for (step, status, ours, code) in cases {
        let dir = tempfile::tempdir().unwrap();
        let upstream =
            Upstream::always(vec![step.clone().unwrap_or(Step::Close), Step::Close]).await;
        let base = if step.is_some() { upstream.base() } else { closed.clone() };
        let running = Running::serving(dir.path(), &Setup::new(openai(&base, SYSTEM))).await;
        for stream in [false, true] {
            let answer = running.chat(&[], json!({"stream": stream})).await;
            assert_eq!(answer.status.as_u16(), status, "{ours}");
            assert_eq!(answer.header("retry-after"), if status == 429 { "9" } else { "" });
            assert_eq!(answer.header("x-tidegate-release"), release_id("stable").short());
            let error = &answer.json().await["error"];
            assert_eq!((&error["code"], &error["tidegate"]["code"]), (&json!(code), &json!(ours)));
            assert!(error["message"].is_string() && error["type"].is_string(), "{error}");
            assert!(!error["tidegate"]["hint"].as_str().unwrap().is_empty());
        }
        for record in running.control.records(2).await {
            assert_eq!(record.status, AnswerStatus::ProviderError, "{ours}");
            // What an upstream says may quote a prompt.
            assert!(!record.error.unwrap().contains("slow down"));
        }
    }
}

#[tokio::test]
async fn patience_ends_with_the_app_or_the_caller() {
    let dir = tempfile::tempdir().unwrap();
    let upstream = Upstream::always(vec![Step::Stall]).await;
    let setup = Setup::new(openai(&upstream.base(), SYSTEM))
        .with(|s| s.app.timeout = Span::from_millis(50));
    let running = Running::serving(dir.path(), &setup).await;
    let app = running.chat(&[("x-tidegate-timeout-ms", "600000")], json!({})).await;
    assert_eq!(
        (app.status.as_u16(), app.json().await["error"]["code"].clone()),
        (504, json!("provider_timeout"))
    );
    let setup = setup.generation(2).with(|s| s.app.timeout = Span::from_secs(600));
    running.control.publish(&setup.snapshot());
    running.control.serving(2).await;
    assert_eq!(running.chat(&[("x-tidegate-timeout-ms", "50")], json!({})).await.status, 504);
    for record in running.control.records(2).await {
        assert_eq!(record.status, AnswerStatus::Timeout);
    }
    assert_eq!(running.chat(&[("x-tidegate-timeout-ms", "soon")], json!({})).await.status, 400);
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said_before_anything_is_called() {
    let dir = tempfile::tempdir().unwrap();
    let upstream = Upstream::always(vec![completion("x")]).await;
    let setup = Setup::new(openai(&upstream.base(), SYSTEM)).with(|s| {
        let other = "other".parse().unwrap();
        s.tokens.insert(
            token_key("elsewhere"),
            domain::snapshot::Grant { apps: [other].into(), ..common::grant("x", false) },
        );
        s.tokens.insert(
            token_key("old"),
            domain::snapshot::Grant {
                expires_at: Some(Timestamp(common::START)),
                ..common::grant("x", false)
            },
        );
    });
    let running = Running::serving_with(dir.path(), &setup, |c| c.body_limit = 2000).await;
    let good = r#"{"model":"app/support","messages":[],"tidegate":{"vars":{"name":"A"}}}"#;
    let bearer = |token: &'static str| format!("Bearer {token}");
    let (elsewhere, old, unknown) = (bearer("elsewhere"), bearer("old"), bearer("nobody"));
    let large = format!("{{\"model\":\"app/support\",\"x\":\"{}\"}}", "y".repeat(3000));
    let cases: Vec<(&str, &str, u16, &str)> = vec![
        (good, "", 401, "invalid_api_key"),
        (good, "Basic abc", 401, "invalid_api_key"),
        (good, &unknown, 401, "invalid_api_key"),
        (good, &old, 401, "invalid_api_key"),
        (good, &elsewhere, 403, "not_allowed"),
        ("{\"model\":", "Bearer tgk_test", 400, "bad_json"),
        (&large, "Bearer tgk_test", 413, "too_large"),
        (r#"{"model":"gpt-4"}"#, "Bearer tgk_test", 404, "model_not_found"),
        (r#"{"model":"app/nowhere"}"#, "Bearer tgk_test", 404, "model_not_found"),
        (r#"{"model":"app/support","messages":[]}"#, "Bearer tgk_test", 400, "missing_variables"),
    ];
    for (body, auth, status, code) in cases {
        let answer =
            running.send("POST", "/v1/chat/completions", &[("authorization", auth)], body).await;
        assert_eq!(answer.status.as_u16(), status, "{code}");
        assert!(answer.header("x-request-id").starts_with("req_"));
        let error = answer.json().await;
        assert_eq!(error["error"]["code"], code, "{error}");
        assert!(!error["error"]["tidegate"]["hint"].is_null(), "{error}");
    }
    assert!(upstream.received().is_empty());
    // Only the last one knew its app; it is nobody's fault but the caller's.
    let record = running.control.record().await;
    assert_eq!(record.status, AnswerStatus::BadRequest);
    assert!(record.error.unwrap().contains("`name`"));
    assert!(running.metrics().await.contains("tidegate_refused_total 9"));
    for (method, path, status) in [
        ("GET", "/v1/chat/completions", 405),
        ("POST", "/nowhere", 404),
        ("GET", "/v1/embeddings", 404),
    ] {
        assert_eq!(running.send(method, path, &[], "").await.status.as_u16(), status, "{path}");
    }
}

#[tokio::test]
async fn without_any_token_nobody_gets_in_and_is_told_why() {
    let dir = tempfile::tempdir().unwrap();
    let setup = Setup::new(openai("http://127.0.0.1:9/v1", SYSTEM)).with(|s| s.tokens.clear());
    let running = Running::serving(dir.path(), &setup).await;
    let answer = running.chat(&[], json!({})).await;
    assert_eq!(answer.status, 401);
    assert!(
        answer.json().await["error"]["tidegate"]["hint"].as_str().unwrap().contains("token create")
    );
}

#[tokio::test]
async fn models_are_the_apps_a_token_may_call() {
    let dir = tempfile::tempdir().unwrap();
    let running =
        Running::serving(dir.path(), &Setup::new(openai("http://127.0.0.1:9/v1", SYSTEM))).await;
    let model = json!({"id": "app/support", "object": "model", "created": common::START / 1000, "owned_by": "tidegate"});
    let list = running.send("GET", "/v1/models", &[], "").await.json().await;
    assert_eq!(list, json!({"object": "list", "data": [model]}));
    for path in ["/v1/models/app/support", "/v1/models/app%2Fsupport"] {
        assert_eq!(running.send("GET", path, &[], "").await.json().await, model);
    }
    assert_eq!(running.send("GET", "/v1/models/app/x", &[], "").await.status, 404);
    assert_eq!(running.send("GET", "/v1/models", &[("authorization", "")], "").await.status, 401);
}

#[tokio::test]
async fn recordings_answer_by_the_requests_variables() {
    let dir = tempfile::tempdir().unwrap();
    let file = json!({"model": "up-1", "key": "case-Ana", "response": "Recorded.", "prompt_tokens": 5, "completion_tokens": 2}).to_string();
    let digest = Digest::of(file.as_bytes());
    let provider = json!({"kind": "replay", "key": "case-{{ name }}", "recordings": [digest]});
    let setup = Setup::new(release(provider, SYSTEM)).with(|s| s.blobs = [digest].into());
    let control = common::Control::new();
    control.blob(digest, file.as_bytes());
    control.publish(&setup.snapshot());
    let running = Running::start(dir.path(), control).await;
    running.control.serving(1).await;
    let whole = running.chat(&[], json!({})).await;
    assert_eq!(whole.status, 200);
    let body = whole.json().await;
    assert_eq!(body["choices"][0]["message"]["content"], "Recorded.");
    assert!(body["id"].as_str().unwrap().starts_with("chatcmpl-"));
    let stream = running.chat(&[], json!({"stream": true})).await.text().await;
    assert!(
        stream.contains("\"delta\":{\"content\":\"Recorded.\"}") && stream.ends_with(DONE),
        "{stream}"
    );
    let missing = running.chat(&[], json!({"tidegate": {"vars": {"name": "Bo"}}})).await;
    assert_eq!(missing.status, 404);
    let error = missing.json().await;
    assert_eq!(error["error"]["code"], "recording_missing");
    assert!(error["error"]["message"].as_str().unwrap().contains("case-Bo"), "{error}");
    let records = running.control.records(3).await;
    assert_eq!(
        records.iter().map(|r| r.status).collect::<Vec<_>>(),
        [AnswerStatus::Ok, AnswerStatus::Ok, AnswerStatus::ProviderError]
    );
    assert_eq!(records[0].input, records[1].input, "equal inputs are one piece of evidence");
    assert_ne!(records[0].input, records[2].input);
}

#[tokio::test]
async fn a_releases_parameters_win_over_the_callers() {
    let dir = tempfile::tempdir().unwrap();
    let upstream = Upstream::always(vec![completion("x")]).await;
    let setup = Setup::new(openai(&upstream.base(), SYSTEM)).with(|s| {
        let stable = s.releases.get_mut(&release_id("stable")).unwrap();
        stable.contents.insert(
            domain::component::ComponentKind::Parameters,
            json!({"temperature": 0.0, "max_tokens": 50}),
        );
    });
    let running = Running::serving(dir.path(), &setup).await;
    running.chat(&[], json!({"temperature": 1.9, "seed": 4})).await.text().await;
    let sent = upstream.received()[0].json();
    assert_eq!(
        (&sent["temperature"], &sent["max_tokens"], &sent["seed"]),
        (&json!(0.0), &json!(50), &json!(4))
    );
}

#[tokio::test]
async fn the_candidate_answers_its_share_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let upstream = Upstream::always(vec![completion("x")]).await;
    let (old, new) = (openai(&upstream.base(), "old"), openai(&upstream.base(), "new"));
    let running = Running::serving(
        dir.path(),
        &Setup::new(old).candidate(new, Share::from_bp(5000), Share::NONE),
    )
    .await;
    let mut arms = Vec::new();
    for user in 0..40 {
        let subject = format!("user-{user}");
        let answer = running.chat(&[("x-tidegate-subject", &subject)], json!({})).await;
        assert_eq!(answer.header("x-tidegate-rollout"), "ro-9");
        let arm = answer.header("x-tidegate-arm").to_owned();
        let (release, variant) =
            if arm == "candidate" { ("candidate", "candidate") } else { ("stable", "control") };
        assert_eq!(answer.header("x-tidegate-release"), release_id(release).short());
        assert_eq!(answer.header("x-tidegate-variant"), variant);
        answer.text().await;
        let system = upstream.received().last().unwrap().json()["messages"][0]["content"].clone();
        assert_eq!(system, if arm == "candidate" { "new" } else { "old" });
        // The body's `user` is the same subject.
        let again = running.chat(&[], json!({"user": subject})).await;
        assert_eq!(again.header("x-tidegate-arm"), arm);
        arms.push(arm);
    }
    assert!(
        arms.iter().any(|a| a == "candidate") && arms.iter().any(|a| a == "control"),
        "{arms:?}"
    );
    let record = running.control.records(80).await.remove(0);
    assert_eq!(
        (record.step, record.share, record.rollout),
        (2, Share::from_bp(5000), Some(domain::ids::RolloutId(9)))
    );
    let metrics = running.metrics().await;
    assert!(
        metrics
            .contains("tidegate_requests_total{app=\"support\",arm=\"candidate\",status=\"ok\"}"),
        "{metrics}"
    );
    assert!(
        metrics.contains(
            "tidegate_request_duration_seconds_bucket{app=\"support\",arm=\"control\",le=\"+Inf\"}"
        ),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_candidate_that_asks_for_more_than_callers_send_is_to_blame() {
    let dir = tempfile::tempdir().unwrap();
    let upstream = Upstream::always(vec![completion("x")]).await;
    let mut new = openai(&upstream.base(), "{{ order }}");
    let prompt = new.contents.get_mut(&domain::component::ComponentKind::Prompt).unwrap();
    prompt["variables"]["order"] = json!({"required": true});
    let setup =
        Setup::new(openai(&upstream.base(), SYSTEM)).candidate(new, Share::ALL, Share::NONE);
    let running = Running::serving(dir.path(), &setup).await;
    let answer = running.chat(&[], json!({})).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-tidegate-arm")), (500, "candidate"));
    let record = running.control.record().await;
    assert_eq!((record.status, record.arm), (AnswerStatus::ProviderError, Arm::Candidate));
    assert!(record.error.unwrap().contains("`order`"));
}

#[tokio::test]
async fn a_release_that_cannot_work_here_fails_alone() {
    let dir = tempfile::tempdir().unwrap();
    let upstream = Upstream::always(vec![completion("x")]).await;
    let broken = release(
        json!({"kind": "openai", "base_url": upstream.base(), "key_env": "NOT_SET"}),
        SYSTEM,
    );
    let setup = Setup::new(openai(&upstream.base(), SYSTEM)).candidate(
        broken,
        Share::from_bp(5000),
        Share::NONE,
    );
    let running = Running::serving(dir.path(), &setup).await;
    for user in 0..30 {
        let answer = running.chat(&[("x-tidegate-subject", &format!("u{user}"))], json!({})).await;
        let wanted = if answer.header("x-tidegate-arm") == "candidate" { 500 } else { 200 };
        assert_eq!(answer.status.as_u16(), wanted);
        if wanted == 500 {
            assert!(
                answer.json().await["error"]["message"].as_str().unwrap().contains("`NOT_SET`")
            );
        }
    }
    let records = running.control.records(30).await;
    assert!(
        records
            .iter()
            .filter(|r| r.arm == Arm::Candidate)
            .all(|r| r.status == AnswerStatus::ProviderError)
    );
    assert!(records.iter().any(|r| r.arm == Arm::Candidate));
}

#[tokio::test]
async fn the_token_of_a_request_is_the_subject_of_last_resort() {
    let dir = tempfile::tempdir().unwrap();
    let upstream = Upstream::always(vec![completion("x")]).await;
    let running = Running::serving(dir.path(), &Setup::new(openai(&upstream.base(), SYSTEM))).await;
    running.chat(&[], json!({})).await.text().await;
    running
        .chat(
            &[("x-tidegate-subject", "a")],
            json!({"tidegate": {"vars": {"name": "x"}, "attrs": {"tenant": "acme"}}}),
        )
        .await
        .text()
        .await;
    let records = running.control.records(2).await;
    assert_ne!(records[0].subject, records[1].subject);
    assert_eq!(records[0].tenant, None);
    let tenant = records[1].tenant.clone().unwrap();
    assert!(tenant.len() == 32 && !tenant.contains("acme"));
    let text = serde_json::to_string(&running.control.all_batches()).unwrap();
    assert!(!text.contains(TOKEN) && !text.contains("acme"), "no one is named");
}

#[tokio::test]
async fn a_body_that_breaks_off_calls_nobody_and_harms_nobody() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let dir = tempfile::tempdir().unwrap();
    let upstream = Upstream::always(vec![completion("x")]).await;
    let running = Running::serving(dir.path(), &Setup::new(openai(&upstream.base(), SYSTEM))).await;
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n"
    );
    for sent in [
        format!("{head}content-length: 100\r\n\r\n{{\"model\":"),
        format!("{head}transfer-encoding: chunked\r\n\r\n5\r\n{{\"mod"),
        format!("{head}transfer-encoding: chunked\r\n\r\nzz\r\n"),
        "GARBAGE\r\n\r\n".to_owned(),
    ] {
        let mut stream = tokio::net::TcpStream::connect(running.addr).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        // It ends, whatever it says.
        let mut said = Vec::new();
        let _ended = stream.read_to_end(&mut said).await;
    }
    assert!(upstream.received().is_empty());
    assert_eq!(running.chat(&[], json!({})).await.status, 200);
}
