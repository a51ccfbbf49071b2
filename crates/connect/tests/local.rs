//! Recorded and rule-made answers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

use bytes::Bytes;
use connect::http::Client;
use connect::provider::{
    Call, FailureKind, Prepared, Recordings, Reply, ReplyBody, Stock, rules_call,
};
use connect::sse;
use domain::ids::Digest;
use domain::snapshot::{ModelContent, Provider};
use domain::units::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tidegate_connect as connect;
use tokio::time::Instant;

const TEXT: &str = "The parcel left on Monday, and it should arrive within three working days.";

fn replay(latency: bool) -> Prepared {
    let first = format!(
        "{}\n{}\n",
        json!({"model": "m", "key": "a", "response": "old"}),
        json!({"model": "other", "key": "b", "response": "x"})
    );
    let second = json!({"model": "m", "key": "a", "response": TEXT, "prompt_tokens": 40, "completion_tokens": 15, "latency_ms": 1200}).to_string();
    let files: Vec<(Digest, Arc<Recordings>)> = [first, second]
        .iter()
        .map(|text| {
            let digest = Digest::of(text.as_bytes());
            (digest, Arc::new(Recordings::parse(digest, text.as_bytes()).unwrap()))
        })
        .collect();
    let content = ModelContent {
        provider: Provider::Replay {
            key: String::new(),
            recordings: files.iter().map(|f| f.0).collect(),
            latency,
        },
        provider_model: "m".to_owned(),
        context_window: 1000,
        tokenizer: "o200k_base".to_owned(),
        price_input_per_million: 0.0,
        price_output_per_million: 0.0,
    };
    let find = |digest: &Digest| files.iter().find(|f| f.0 == *digest).map(|f| f.1.clone());
    Prepared::new(&content, &Stock { secret: &|_| None, recordings: &find }).unwrap()
}

fn call(key: &str) -> Call {
    Call {
        id: "chatcmpl-1".to_owned(),
        created: Timestamp(1_700_000_000_500),
        messages: Bytes::from_static(b"[]"),
        fields: Arc::new([]),
        parameters: Arc::new([]),
        choices: 1,
        stream: false,
        include_usage: false,
        local: Some(key.to_owned()),
        deadline: Instant::now() + Duration::from_secs(30),
        retries: 0,
    }
}

fn whole(reply: Reply) -> Value {
    let ReplyBody::Whole(whole) = reply.body else { panic!("whole") };
    serde_json::from_slice(&whole.body).unwrap()
}

/// The data of every event.
async fn events(reply: Reply) -> Vec<String> {
    let ReplyBody::Stream(mut stream) = reply.body else { panic!("a stream") };
    let mut bytes = Vec::new();
    while let Some(piece) = stream.next().await {
        bytes.extend_from_slice(&piece.unwrap());
    }
    assert!(stream.ended_well());
    sse::events(&bytes)
        .filter_map(|(_, data)| data)
        .map(|d| String::from_utf8(d).unwrap())
        .collect()
}

#[tokio::test]
async fn the_last_recording_answers_in_openais_shape() {
    let body = whole(replay(false).call(&Client::new(), call("a")).await.unwrap());
    assert_eq!(
        body,
        json!({
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1_700_000_000, "model": "m",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": TEXT, "refusal": null}, "logprobs": null, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 40, "completion_tokens": 15, "total_tokens": 55},
        })
    );
}

#[tokio::test]
async fn a_missing_recording_names_the_key_and_the_model() {
    for key in ["b", "nowhere"] {
        let failure = replay(false).call(&Client::new(), call(key)).await.expect_err("missing");
        assert_eq!(failure.kind, FailureKind::NoRecording);
        assert!(
            failure.message.contains(&format!("`{key}`")) && failure.message.contains("`m`"),
            "{failure}"
        );
    }
}

#[tokio::test]
async fn a_stream_has_role_pieces_end_usage_and_done() {
    for include_usage in [false, true] {
        let call = Call { stream: true, include_usage, choices: 2, ..call("a") };
        let events = events(replay(false).call(&Client::new(), call).await.unwrap()).await;
        let (done, chunks) = events.split_last().unwrap();
        assert_eq!(done, "[DONE]");
        let mut chunks: Vec<Value> =
            chunks.iter().map(|c| serde_json::from_str(c).unwrap()).collect();
        for chunk in &chunks {
            assert_eq!(
                (&chunk["id"], &chunk["object"], &chunk["model"]),
                (&json!("chatcmpl-1"), &json!("chat.completion.chunk"), &json!("m"))
            );
            assert_eq!(chunk.get("usage").is_some(), include_usage, "{chunk}");
        }
        if include_usage {
            let last = chunks.pop().unwrap();
            assert_eq!(last["choices"], json!([]));
            assert_eq!(
                last["usage"],
                json!({"prompt_tokens": 40, "completion_tokens": 30, "total_tokens": 70})
            );
        }
        for index in 0..2 {
            let mine: Vec<&Value> =
                chunks.iter().map(|c| &c["choices"][0]).filter(|c| c["index"] == index).collect();
            assert_eq!(mine.first().unwrap()["delta"]["role"], "assistant");
            let text: String = mine.iter().filter_map(|c| c["delta"]["content"].as_str()).collect();
            assert_eq!(text, TEXT);
            assert!(mine.len() > 3, "it comes in pieces");
            let ends: Vec<&Value> = mine.iter().map(|c| &c["finish_reason"]).collect();
            assert_eq!(ends.iter().filter(|e| **e == "stop").count(), 1);
            assert_eq!(**ends.last().unwrap(), "stop");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn recorded_latency_is_waited_for_and_the_deadline_bounds_it() {
    let (prepared, client) = (replay(true), Client::new());
    for stream in [false, true] {
        let begun = Instant::now();
        let reply = prepared.call(&client, Call { stream, ..call("a") }).await.unwrap();
        if stream {
            assert!(begun.elapsed() < Duration::from_millis(1200), "the first piece comes early");
            events(reply).await;
        }
        assert_eq!(begun.elapsed().as_millis().div_ceil(100), 12, "stream: {stream}");
        let hurried =
            Call { stream, deadline: Instant::now() + Duration::from_millis(50), ..call("a") };
        let outcome = prepared.call(&client, hurried).await;
        let kind = match outcome.map(|reply| reply.body) {
            Err(failure) => failure.kind,
            Ok(ReplyBody::Whole(_)) => panic!("too early"),
            Ok(ReplyBody::Stream(mut stream)) => loop {
                match stream.next().await {
                    Some(Ok(_)) => {}
                    Some(Err(failure)) => break failure.kind,
                    None => panic!("a silent end"),
                }
            },
        };
        assert_eq!(kind, FailureKind::Timeout);
    }
}

#[tokio::test]
async fn rules_answer_what_was_chosen_and_cost_nothing() {
    let body = whole(rules_call("tidegate/fallback", call("Please call us.")).await.unwrap());
    assert_eq!(body["choices"][0]["message"]["content"], "Please call us.");
    assert_eq!(body["usage"]["total_tokens"], 0);
    let none = Call { local: None, ..call("") };
    assert_eq!(rules_call("m", none).await.expect_err("nothing").kind, FailureKind::NoRule);
    let many = Call { choices: 129, ..call("x") };
    assert_eq!(rules_call("m", many).await.expect_err("too many").kind, FailureKind::Refused(400));
}
