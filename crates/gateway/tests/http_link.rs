//! The link over HTTP, against a control port made of sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

mod common;

use analysis::cells::Batch;
use common::upstream::{Step, Upstream, respond};
use common::{Setup, openai};
use connect::http::Client;
use domain::ids::{Digest, Generation};
use domain::snapshot::{LocalKill, SignedSnapshot};
use domain::units::Timestamp;
use tidegate_gateway::{HttpLink, Link as _, LinkError};

fn link(control: &Upstream) -> HttpLink {
    HttpLink::new(Client::new(), &format!("http://{}/", control.addr), "tgg_secret").unwrap()
}

fn batch() -> Batch {
    Batch {
        gateway: "gw-1".parse().unwrap(),
        epoch: u64::MAX,
        seq: 3,
        serving: Generation(5),
        cells: Vec::new(),
        records: Vec::new(),
        feedback: Vec::new(),
        dropped: 1,
    }
}

#[tokio::test]
async fn every_call_has_its_route_its_token_and_its_form() {
    let signed = SignedSnapshot::sign(
        &Setup::new(openai("http://127.0.0.1:9/v1", "x")).snapshot(),
        &common::key(),
    )
    .unwrap();
    let sent = serde_json::to_string(&signed).unwrap();
    let control = Upstream::start(move |n, _| {
        vec![match n {
            0 => respond(200, "", &sent),
            1 => Step::Send(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()),
            2 => respond(200, "", "blob bytes"),
            3 => respond(204, "", ""),
            _ => respond(200, "", "{\"generation\":8}"),
        }]
    })
    .await;
    let link = link(&control);
    assert_eq!(link.next_snapshot(Generation(4)).await, Ok(Some(signed)));
    assert_eq!(link.next_snapshot(Generation(5)).await, Ok(None));
    let digest = Digest::of(b"blob bytes");
    assert_eq!(link.blob(digest).await.unwrap(), "blob bytes");
    assert_eq!(link.ship(&batch()).await, Ok(()));
    let kill = LocalKill {
        id: "k1".to_owned(),
        gateway: "gw-1".parse().unwrap(),
        at: Timestamp(1),
        app: "support".parse().unwrap(),
        killed: true,
        by: "operator".to_owned(),
        reason: String::new(),
    };
    assert_eq!(link.journal(std::slice::from_ref(&kill)).await, Ok(Generation(8)));
    let requests = control.received();
    let first_lines: Vec<_> =
        requests.iter().map(|r| r.head.lines().next().unwrap().to_owned()).collect();
    assert_eq!(
        first_lines,
        [
            "GET /internal/v1/snapshot?after=4 HTTP/1.1".to_owned(),
            "GET /internal/v1/snapshot?after=5 HTTP/1.1".to_owned(),
            format!("GET /internal/v1/blobs/{digest} HTTP/1.1"),
            "POST /internal/v1/telemetry HTTP/1.1".to_owned(),
            "POST /internal/v1/kills HTTP/1.1".to_owned(),
        ]
    );
    assert!(
        requests
            .iter()
            .all(|r| r.head.to_ascii_lowercase().contains("authorization: bearer tgg_secret"))
    );
    assert_eq!(serde_json::from_slice::<Batch>(&requests[3].body).unwrap(), batch());
    assert_eq!(serde_json::from_slice::<Vec<LocalKill>>(&requests[4].body).unwrap(), [kill]);
}

#[tokio::test]
async fn what_is_final_is_told_from_what_is_worth_another_try() {
    for (status, last) in [
        (400, true),
        (413, true),
        (422, true),
        (401, false),
        (404, false),
        (429, false),
        (500, false),
        (503, false),
    ] {
        let control = Upstream::always(vec![respond(status, "", "{}")]).await;
        let outcome = link(&control).ship(&batch()).await;
        assert_eq!(matches!(outcome, Err(LinkError::Rejected(_))), last, "{status}");
        assert_eq!(matches!(outcome, Err(LinkError::Unreachable(_))), !last, "{status}");
    }
    for steps in [vec![Step::Close], vec![Step::Send(b"nonsense".to_vec()), Step::Close]] {
        let control = Upstream::always(steps).await;
        assert!(matches!(
            link(&control).next_snapshot(Generation(0)).await,
            Err(LinkError::Unreachable(_))
        ));
    }
    let control = Upstream::always(vec![respond(200, "", "{\"body\":1}")]).await;
    assert!(matches!(
        link(&control).next_snapshot(Generation(0)).await,
        Err(LinkError::Unreachable(_))
    ));
}

#[test]
fn an_address_or_token_that_cannot_be_sent_is_refused_at_once() {
    for (base, token) in
        [("control:8080", "t"), ("not an address", "t"), ("http://control", "line\nbreak")]
    {
        assert!(HttpLink::new(Client::new(), base, token).is_err(), "{base}");
    }
}
