//! An upstream over HTTP, in health and in every kind of sickness.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

mod common;

use bytes::Bytes;
use common::{
    DONE, Step, Upstream, chunk, completion, completion_json, end, event, finish, respond, sse_head,
};
use connect::http::Client;
use connect::provider::{
    Call, Failure, FailureKind, MAX_ANSWER_BYTES, Prepared, Reply, ReplyBody, Stock,
};
use connect::tap::Usage;
use domain::snapshot::{ModelContent, Provider};
use domain::units::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use tidegate_connect as connect;
use tokio::sync::watch;
use tokio::time::Instant;

fn model(base_url: &str) -> ModelContent {
    ModelContent {
        provider: Provider::Openai {
            base_url: base_url.to_owned(),
            key_env: Some("UP_KEY".to_owned()),
        },
        provider_model: "up-1".to_owned(),
        context_window: 1000,
        tokenizer: "o200k_base".to_owned(),
        price_input_per_million: 0.0,
        price_output_per_million: 0.0,
    }
}

fn prepared(base_url: &str) -> Prepared {
    let stock = Stock {
        secret: &|name| (name == "UP_KEY").then(|| "sk-up".to_owned()),
        recordings: &|_| None,
    };
    Prepared::new(&model(base_url), &stock).unwrap()
}

fn call(stream: bool) -> Call {
    Call {
        id: "chatcmpl-x".to_owned(),
        created: Timestamp(0),
        messages: Bytes::from_static(br#"[{"role":"user","content":"hi"}]"#),
        fields: Arc::new([]),
        parameters: Arc::new([]),
        choices: 1,
        stream,
        include_usage: false,
        local: None,
        // Far away: tests that want it near say so.
        deadline: Instant::now() + Duration::from_secs(600),
        retries: 0,
    }
}

async fn ask(upstream: &Upstream, call: Call) -> Result<Reply, Failure> {
    prepared(&upstream.base()).call(&Client::new(), call).await
}

/// All pieces of a stream, and the failure at its end.
async fn read(reply: Reply) -> (String, Option<Failure>, connect::tap::Summary) {
    let ReplyBody::Stream(mut stream) = reply.body else { panic!("a stream") };
    let mut text = String::new();
    let mut failure = None;
    while let Some(piece) = stream.next().await {
        match piece {
            Ok(bytes) => text.push_str(std::str::from_utf8(&bytes).unwrap()),
            Err(error) => failure = Some(error),
        }
    }
    (text, failure, stream.take_summary())
}

fn kind(outcome: Result<Reply, Failure>) -> FailureKind {
    outcome.expect_err("fails").kind
}

#[tokio::test]
async fn a_whole_answer_passes_byte_for_byte_and_so_does_the_request() {
    let upstream = Upstream::always(vec![completion("hello")]).await;
    let mut call = call(false);
    let raw =
        |name: &str, json: &'static str| (name.to_owned(), Bytes::from_static(json.as_bytes()));
    call.fields = Arc::new([
        raw("temperature", "0.10"),
        raw("new", "{ \"a\" :1}"),
        raw("seed", "1"),
        raw("model", "\"mine\""),
    ]);
    call.parameters = Arc::new([raw("temperature", "0.7"), raw("top_p", "0.5")]);
    let reply = ask(&upstream, call).await.unwrap();
    let ReplyBody::Whole(whole) = reply.body else { panic!("whole") };
    assert_eq!(whole.body, completion_json("hello"));
    assert_eq!(whole.summary.text, "hello");
    assert_eq!(whole.summary.usage, Some(Usage { prompt_tokens: 11, completion_tokens: 3 }));
    assert_eq!(whole.summary.served_model.as_deref(), Some("up-1"));
    let sent = &upstream.received()[0];
    assert_eq!(
        sent.text(),
        r#"{"model":"up-1","messages":[{"role":"user","content":"hi"}],"new":{ "a" :1},"seed":1,"temperature":0.7,"top_p":0.5}"#
    );
    assert!(sent.head.starts_with("POST /v1/chat/completions "), "{}", sent.head);
    assert!(
        sent.head.to_ascii_lowercase().contains("authorization: bearer sk-up"),
        "{}",
        sent.head
    );
}

#[tokio::test]
async fn a_stream_passes_byte_for_byte_however_it_is_torn() {
    let text = format!(
        ": hello\n\n{}{}{}data: {{\"choices\":[],\"usage\":{{\"prompt_tokens\":5,\"completion_tokens\":2}}}}\r\n\r\n{DONE}",
        event("Grü"),
        event("ße"),
        finish()
    );
    for size in [1, 7, 64, 4096] {
        let mut steps = vec![sse_head()];
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(size.min(rest.len()));
            let mut http = format!("{:x}\r\n", piece.len()).into_bytes();
            http.extend_from_slice(piece);
            http.extend_from_slice(b"\r\n");
            steps.push(Step::Send(http));
            rest = after;
        }
        steps.push(end());
        let upstream = Upstream::always(steps).await;
        let (got, failure, summary) = read(ask(&upstream, call(true)).await.unwrap()).await;
        assert!(failure.is_none(), "{size}: {failure:?}");
        assert_eq!(got, text, "frames of {size}");
        assert_eq!(summary.text, "Grüße");
        assert_eq!(summary.usage, Some(Usage { prompt_tokens: 5, completion_tokens: 2 }));
        assert_eq!(upstream.received()[0].json()["stream"], true);
    }
}

#[tokio::test]
async fn a_refusal_keeps_its_status_its_error_and_its_retry_after() {
    for status in [400, 401, 404, 429, 500, 503] {
        let body = r#"{"error":{"message":"no","type":"t","code":"c"}}"#;
        let upstream = Upstream::always(vec![respond(status, "retry-after: 17\r\n", body)]).await;
        for stream in [false, true] {
            let failure = ask(&upstream, call(stream)).await.expect_err("refused");
            assert_eq!(failure.kind, FailureKind::Refused(status));
            assert_eq!(failure.retry_after.as_deref(), Some("17"));
            let error: serde_json::Value =
                serde_json::from_slice(&failure.upstream.unwrap().0).unwrap();
            assert_eq!(error["code"], "c");
        }
    }
}

#[tokio::test]
async fn no_connection_is_told_with_the_host() {
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let failure = prepared(&format!("http://127.0.0.1:{port}/v1"))
        .call(&Client::new(), call(false))
        .await
        .expect_err("closed");
    assert_eq!(failure.kind, FailureKind::Unreachable);
    assert!(failure.message.contains(&port.to_string()), "{}", failure.message);
}

#[tokio::test]
async fn every_cut_before_the_first_event_is_one_before_the_first_byte() {
    let whole = Step::Send(
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{\"cho"
            .to_vec(),
    );
    let cases: [(bool, Vec<Step>); 6] = [
        (false, vec![Step::Close]),
        (false, vec![Step::Send(b"HTTP/1.1 20".to_vec()), Step::Close]),
        (false, vec![whole, Step::Close]),
        (true, vec![Step::Close]),
        (true, vec![sse_head(), Step::Close]),
        (true, vec![sse_head(), chunk(": ping\n\ndata: {\"cho"), Step::Close]),
    ];
    for (n, (stream, steps)) in cases.into_iter().enumerate() {
        let upstream = Upstream::always(steps).await;
        assert_eq!(kind(ask(&upstream, call(stream)).await), FailureKind::CutBefore, "case {n}");
    }
}

#[tokio::test]
async fn a_cut_after_the_first_event_is_told_and_the_torn_event_is_not_passed_on() {
    let cases = [
        vec![sse_head(), chunk(&event("a")), chunk("data: {\"choi"), Step::Close],
        // Ends in good form, but nobody said that the answer is whole.
        vec![sse_head(), chunk(&event("a")), end()],
        vec![
            sse_head(),
            chunk(&event("a")),
            chunk("data: {\"choices\":[{\"index\":0,\"fini"),
            end(),
        ],
    ];
    for (n, steps) in cases.into_iter().enumerate() {
        let upstream = Upstream::always(steps).await;
        let mut call = call(true);
        call.retries = 3;
        let (got, failure, summary) = read(ask(&upstream, call).await.unwrap()).await;
        assert_eq!(got, event("a"), "case {n}");
        assert_eq!(failure.expect("told").kind, FailureKind::Cut, "case {n}");
        assert_eq!(summary.text, "a");
        assert_eq!(
            upstream.received().len(),
            1,
            "case {n}: nothing is retried after the first byte"
        );
    }
}

#[tokio::test]
async fn a_stream_without_done_ends_well_where_the_answer_is_whole() {
    let torn_done = format!("{}{}data: [DONE]", event("a"), finish());
    let no_newline = format!("{}{}", event("a"), finish().trim_end());
    let cases = [
        (format!("{}{}", event("a"), finish()), format!("{}{}{DONE}", event("a"), finish())),
        (torn_done, format!("{}{}{DONE}", event("a"), finish())),
        (no_newline, format!("{}{}{DONE}", event("a"), finish())),
    ];
    for (sent, wanted) in cases {
        let upstream = Upstream::always(vec![sse_head(), chunk(&sent), end()]).await;
        let (got, failure, _) = read(ask(&upstream, call(true)).await.unwrap()).await;
        assert!(failure.is_none(), "{failure:?}");
        assert_eq!(got, wanted);
    }
}

#[tokio::test]
async fn garbage_is_named_and_never_passed_on() {
    let html = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>";
    let cases: [(bool, Vec<Step>); 6] = [
        (false, vec![Step::Send(html.as_bytes().to_vec())]),
        (false, vec![respond(200, "", "{\"object\":\"list\"}")]),
        (false, vec![respond(200, "", "{\"choices\":[")]),
        (true, vec![Step::Send(html.as_bytes().to_vec())]),
        (true, vec![completion("whole")]),
        (true, vec![sse_head(), chunk("data: <html>\n\n"), end()]),
    ];
    for (n, (stream, steps)) in cases.into_iter().enumerate() {
        let upstream = Upstream::always(steps).await;
        assert_eq!(kind(ask(&upstream, call(stream)).await), FailureKind::Garbage, "case {n}");
    }
    let upstream = Upstream::always(vec![
        sse_head(),
        chunk(&format!("{}data: oops\n\n{DONE}", event("a"))),
        end(),
    ])
    .await;
    let (got, failure, _) = read(ask(&upstream, call(true)).await.unwrap()).await;
    assert_eq!((got, failure.map(|f| f.kind)), (event("a"), Some(FailureKind::Garbage)));
}

#[tokio::test]
async fn not_http_at_all_is_a_cut() {
    let upstream = Upstream::always(vec![Step::Send(b"SSH-2.0-x\r\n".to_vec()), Step::Close]).await;
    assert_eq!(kind(ask(&upstream, call(false)).await), FailureKind::CutBefore);
}

#[tokio::test]
async fn an_error_inside_a_stream_is_a_failure_with_the_upstreams_words() {
    let error = "data: {\"error\":{\"message\":\"overloaded\"}}\n\n";
    let first = Upstream::always(vec![sse_head(), chunk(error), end()]).await;
    let failure = ask(&first, call(true)).await.expect_err("before the first byte");
    assert_eq!(failure.kind, FailureKind::Refused(500));
    let later = Upstream::always(vec![sse_head(), chunk(&event("a")), chunk(error), end()]).await;
    let (got, failure, _) = read(ask(&later, call(true)).await.unwrap()).await;
    let failure = failure.expect("told");
    assert_eq!((got, failure.kind), (event("a"), FailureKind::Cut));
    assert_eq!(failure.upstream.unwrap().0, r#"{"message":"overloaded"}"#);
}

#[tokio::test]
async fn what_is_too_large_is_refused() {
    let upstream = Upstream::start(|_, _| {
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            MAX_ANSWER_BYTES + 2
        );
        vec![Step::Send(head.into_bytes()), Step::Send(vec![b' '; MAX_ANSWER_BYTES + 2])]
    })
    .await;
    assert_eq!(kind(ask(&upstream, call(false)).await), FailureKind::TooLarge);
    let endless = "x".repeat(connect::sse::MAX_EVENT_BYTES + 10);
    let upstream =
        Upstream::always(vec![sse_head(), chunk(&format!("data: {endless}")), Step::Stall]).await;
    assert_eq!(kind(ask(&upstream, call(true)).await), FailureKind::TooLarge);
}

#[tokio::test]
async fn the_deadline_bounds_silence_before_and_after_the_first_byte() {
    let soon = |stream| Call {
        deadline: Instant::now() + Duration::from_millis(80),
        retries: 5,
        ..call(stream)
    };
    for steps in [vec![Step::Stall], vec![sse_head(), chunk(": ping\n\n"), Step::Stall]] {
        let upstream = Upstream::always(steps).await;
        assert_eq!(kind(ask(&upstream, soon(true)).await), FailureKind::Timeout);
    }
    let upstream = Upstream::always(vec![sse_head(), chunk(&event("a")), Step::Stall]).await;
    // The first event must be there before the deadline, which is generous here.
    let call = Call { deadline: Instant::now() + Duration::from_secs(3), ..call(true) };
    let (got, failure, _) = read(ask(&upstream, call).await.unwrap()).await;
    assert_eq!((got, failure.map(|f| f.kind)), (event("a"), Some(FailureKind::Timeout)));
}

#[tokio::test]
async fn retries_happen_before_the_first_byte_and_within_their_number() {
    let flaky = |fail: usize, how: Step| {
        move |n: usize, _: &common::Received| {
            if n < fail { vec![how.clone(), Step::Close] } else { vec![completion("ok")] }
        }
    };
    for how in [respond(503, "", "{}"), respond(429, "retry-after: 0\r\n", "{}"), Step::Close] {
        let upstream = Upstream::start(flaky(2, how)).await;
        let reply = ask(&upstream, Call { retries: 2, ..call(false) }).await.unwrap();
        assert_eq!((reply.retries, upstream.received().len()), (2, 3));
    }
    let upstream = Upstream::start(flaky(9, respond(500, "", "{}"))).await;
    let failure = ask(&upstream, Call { retries: 1, ..call(false) }).await.expect_err("used up");
    assert_eq!((failure.retries, upstream.received().len()), (1, 2));
}

#[tokio::test]
async fn what_will_not_get_better_is_not_retried() {
    for how in [
        respond(400, "", "{}"),
        respond(401, "", "{}"),
        respond(429, "retry-after: 60\r\n", "{}"),
        respond(200, "", "[]"),
    ] {
        let upstream = Upstream::always(vec![how]).await;
        let failure = ask(&upstream, Call { retries: 5, ..call(false) }).await.expect_err("fails");
        assert_eq!((failure.retries, upstream.received().len()), (0, 1), "{failure}");
    }
}

#[tokio::test]
async fn a_failing_provider_is_not_beaten() {
    let upstream = Upstream::always(vec![respond(503, "", "{}")]).await;
    let prepared = prepared(&upstream.base());
    let client = Client::new();
    // 30 calls may ask for 30 retries; the provider's budget has 20 saved up
    // and earns one per five calls.
    let calls = (0..30).map(|_| prepared.call(&client, Call { retries: 1, ..call(false) }));
    let failed = futures_util::future::join_all(calls).await;
    let retries: u32 = failed.into_iter().map(|f| f.expect_err("503").retries).sum();
    assert!((20..=26).contains(&retries), "{retries}");
}

#[tokio::test]
async fn a_dropped_stream_hangs_up_on_the_provider() {
    let upstream = Upstream::always(vec![sse_head(), chunk(&event("a")), Step::Stall]).await;
    let reply = ask(&upstream, call(true)).await.unwrap();
    drop(reply);
    upstream.hung_up(1).await;
}

#[tokio::test]
async fn a_stream_is_passed_on_while_it_comes() {
    let (open, gate) = watch::channel(false);
    let upstream = Upstream::always(vec![
        sse_head(),
        chunk(&event("a")),
        Step::Gate(gate),
        chunk(&format!("{}{DONE}", finish())),
        end(),
    ])
    .await;
    let ReplyBody::Stream(mut stream) = ask(&upstream, call(true)).await.unwrap().body else {
        panic!("a stream")
    };
    // The provider sends no more before this has arrived.
    assert_eq!(stream.next().await.unwrap().unwrap(), event("a"));
    assert!(!stream.ended_well());
    open.send_replace(true);
    let mut rest = String::new();
    while let Some(piece) = stream.next().await {
        rest.push_str(std::str::from_utf8(&piece.unwrap()).unwrap());
    }
    assert_eq!(rest, format!("{}{DONE}", finish()));
    assert!(stream.next().await.is_none(), "an end stays an end");
}

#[tokio::test]
async fn connections_are_used_again() {
    let upstream = Upstream::always(vec![completion("a")]).await;
    let (prepared, client) = (prepared(&upstream.base()), Client::new());
    for _ in 0..3 {
        prepared.call(&client, call(false)).await.unwrap();
    }
    assert_eq!((upstream.received().len(), upstream.connections()), (3, 1));
}

#[test]
fn a_provider_that_cannot_work_is_refused_when_prepared() {
    let none = Stock { secret: &|_| None, recordings: &|_| None };
    for bad in
        ["ftp://x/v1", "api.openai.com/v1", "http://user:pw@host/v1", "http://host/v1?key=1", ""]
    {
        let error = Prepared::new(&model(bad), &none).expect_err(bad);
        assert!(error.to_string().contains("base_url"), "{bad}: {error}");
    }
    let error = Prepared::new(&model("http://127.0.0.1:1/v1"), &none).expect_err("no key");
    assert!(error.to_string().contains("`UP_KEY`"), "{error}");
}
