//! Metrics servers that answer well, badly, late and not at all.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

mod common;

use common::{Step, Upstream, patiently, respond};
use domain::external::Read;
use domain::units::{Span, Timestamp};
use std::time::Duration;
use tidegate_connect::http::Client;
use tidegate_connect::prometheus::{Login, MAX_ANSWER_BYTES, Prometheus};

const NOW: Timestamp = Timestamp(1_760_000_000_500);
const FRESH: Span = Span::from_secs(60);

fn server(upstream: &Upstream, login: &Login) -> Prometheus {
    let address = format!("http://{}/prom/", upstream.addr);
    Prometheus::new(Client::new(), &address, login).unwrap()
}

async fn read_of(steps: Vec<Step>) -> Read {
    let upstream = Upstream::always(steps).await;
    let server = server(&upstream, &Login::Nobody);
    patiently("an answer", server.read("up", NOW, FRESH)).await
}

fn success(data: &str) -> String {
    format!(r#"{{"status":"success","data":{data}}}"#)
}

#[tokio::test]
async fn a_number_is_asked_for_with_the_login_and_the_time() {
    let body = success(
        r#"{"resultType":"vector","result":[{"metric":{},"value":[1760000000.5,"4.25"]}]}"#,
    );
    let upstream = Upstream::always(vec![respond(200, "", &body)]).await;
    let server = server(&upstream, &Login::Token("t0k".to_owned()));
    assert_eq!(server.read("avg(a{b=\"c\"})", NOW, FRESH).await, Read::Number(4.25));
    let asked = &upstream.received()[0];
    assert!(asked.head.starts_with("POST /prom/api/v1/query HTTP/1.1"), "{}", asked.head);
    assert!(asked.head.to_lowercase().contains("authorization: bearer t0k"), "{}", asked.head);
    assert_eq!(asked.text(), "query=avg%28a%7Bb%3D%22c%22%7D%29&time=1760000000.500");
}

#[tokio::test]
async fn every_way_not_to_answer_has_its_words() {
    let refused = r#"{"status":"error","errorType":"bad_data","error":"parse error: what?"}"#;
    for (steps, words) in [
        (vec![respond(400, "", refused)], "the server refused: parse error: what?"),
        (vec![respond(422, "", refused)], "the server refused: parse error: what?"),
        (vec![respond(502, "", "<html>bad gateway</html>")], "status 502"),
        (vec![respond(401, "", "Unauthorized")], "status 401"),
        (vec![respond(200, "", "<html>hello</html>")], "not one of the Prometheus HTTP API"),
        (vec![respond(200, "", r#"{"status":"success"}"#)], "no data"),
        (
            vec![
                Step::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{".to_vec()),
                Step::Close,
            ],
            "cut",
        ),
        (vec![Step::Close], "ended before a response"),
    ] {
        match read_of(steps).await {
            Read::Failed(said) => assert!(said.contains(words), "{said:?} without {words:?}"),
            other => panic!("{other:?} instead of {words:?}"),
        }
    }
    let closed = Prometheus::new(Client::new(), "http://127.0.0.1:0", &Login::Nobody).unwrap();
    assert!(matches!(closed.read("up", NOW, FRESH).await, Read::Failed(_)));
}

#[tokio::test]
async fn warnings_make_an_answer_partial_and_remarks_do_not() {
    let data = r#"{"resultType":"scalar","result":[1760000000.5,"1"]}"#;
    let warned = format!(r#"{{"status":"success","data":{data},"warnings":["a store is away"]}}"#);
    assert_eq!(
        read_of(vec![respond(200, "", &warned)]).await,
        Read::Partial("a store is away".to_owned())
    );
    let remarked = format!(r#"{{"status":"success","data":{data},"infos":["metric might be"]}}"#);
    assert_eq!(read_of(vec![respond(200, "", &remarked)]).await, Read::Number(1.0));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_not_waited_for() {
    let upstream = Upstream::always(vec![Step::Stall]).await;
    let server = server(&upstream, &Login::Nobody).patience(Duration::from_secs(3));
    match server.read("up", NOW, FRESH).await {
        Read::Failed(said) => assert_eq!(said, "no answer within 3s"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_endless_answer_is_cut_short() {
    let long = "x".repeat(MAX_ANSWER_BYTES + 1);
    match read_of(vec![respond(200, "", &long)]).await {
        Read::Failed(said) => assert!(said.contains("longer than"), "{said}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_range_is_of_one_series() {
    let range = |result: &str| success(&format!(r#"{{"resultType":"matrix","result":{result}}}"#));
    let one = range(r#"[{"metric":{},"values":[[1760000000,"1"],[1760000060,"NaN"]]}]"#);
    let two = range(r#"[{"metric":{},"values":[]},{"metric":{},"values":[]}]"#);
    let upstream =
        Upstream::start(move |n, _| vec![respond(200, "", [&one, &two, &range("[]")][n])]).await;
    let server = server(&upstream, &Login::Nobody);
    let start = Timestamp(1_760_000_000_000);
    let ask = || server.read_range("up", start, NOW, Span::from_secs(60));
    let points = ask().await.unwrap();
    assert_eq!((points.len(), points[0].at, points[0].value), (2, start, 1.0));
    assert!(points[1].value.is_nan());
    assert_eq!(ask().await, Err(Read::Several(2)));
    assert_eq!(ask().await, Err(Read::Empty));
    assert!(upstream.received()[0].text().ends_with("&step=60"));
}
