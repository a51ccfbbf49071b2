//! Live events over real connections: told after an action, replayed after a
//! cut, resynchronised after a gap, ended with the right to listen.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

mod common;

use common::{APP, Tide, send};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;

/// One event as it came.
#[derive(Debug, Default)]
struct Event {
    id: Option<String>,
    name: String,
    data: Value,
}

/// An open stream.
struct Stream {
    head: String,
    lines: BufReader<TcpStream>,
    /// The last id that came: what a browser sends when it comes back.
    last: Option<String>,
}

impl Stream {
    fn open(tide: &Tide, headers: &str, topics: &str) -> Self {
        let host = tide.control.trim_start_matches("http://");
        let mut stream = TcpStream::connect(host).unwrap();
        // Only a failing test waits so long.
        stream.set_read_timeout(Some(std::time::Duration::from_secs(100))).unwrap();
        write!(
            stream,
            "GET /api/v1/events?topics={topics} HTTP/1.1\r\nhost: {host}\r\n{headers}\r\n"
        )
        .unwrap();
        let mut lines = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(lines.read_line(&mut head).unwrap(), 0, "{head}");
        }
        Self { head, lines, last: None }
    }

    fn of(tide: &Tide, who: &str, topics: &str) -> Self {
        Self::open(tide, &format!("authorization: Bearer {}\r\n", tide.token(who)), topics)
    }

    fn again(&self, tide: &Tide, who: &str, topics: &str) -> Self {
        let (token, last) = (tide.token(who), self.last.as_ref().unwrap());
        let headers = format!("authorization: Bearer {token}\r\nlast-event-id: {last}\r\n");
        Self::open(tide, &headers, topics)
    }

    /// The next event; none when the stream has ended. Sizes of chunks are lines
    /// without a colon, which are passed over.
    fn next(&mut self) -> Option<Event> {
        let mut event = Event::default();
        loop {
            let mut line = String::new();
            if self.lines.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            match line.trim_end().split_once(": ") {
                Some(("id", id)) => event.id = Some(id.to_owned()),
                Some(("event", name)) => event.name = name.to_owned(),
                Some(("data", data)) => {
                    event.data = serde_json::from_str(data).unwrap();
                    if event.id.is_some() {
                        self.last.clone_from(&event.id);
                    }
                    return Some(event);
                }
                _ => {}
            }
        }
    }

    /// Reads on to the first event of this topic.
    fn until(&mut self, topic: &str) -> Event {
        loop {
            let event = self.next().expect("the stream goes on");
            if event.data["topic"] == topic {
                return event;
            }
        }
    }
}

fn kill(tide: &Tide) {
    tide.run("omar", ["kill", APP, "--yes", "--reason", "because it is a test"]).ok();
}

fn tide() -> Tide {
    let tide = Tide::start();
    tide.people(&[("omar", "operator"), ("ana", "editor")]);
    tide
}

#[test]
fn an_action_is_told_and_told_again_after_a_cut() {
    let tide = tide();
    let topics = format!("apps,app:{APP},incidents,audit");
    let mut stream = Stream::of(&tide, "ana", &topics);
    let head = stream.head.to_lowercase();
    assert!(head.starts_with("http/1.1 200"), "{head}");
    for header in ["text/event-stream", "x-accel-buffering: no", "cache-control: no-store"] {
        assert!(head.contains(header), "{header} is not in {head}");
    }
    assert!(!head.contains("content-encoding"));
    let ready = stream.next().unwrap();
    assert_eq!(ready.name, "ready");
    let mut idle = Stream::of(&tide, "ana", "experiments");
    assert_eq!(idle.next().unwrap().name, "ready");

    kill(&tide);
    let told = stream.until("incidents");
    assert_eq!(told.name, "changed");
    assert!(told.data["at"].is_number(), "{}", told.data);

    // Cut, and something happens meanwhile. What was read is not told again.
    let (cut, topics) = (stream, format!("app:{APP},incidents,releases"));
    tide.run("omar", ["unkill", APP, "--yes", "--reason", "because it is a test"]).ok();
    let mut back = cut.again(&tide, "ana", &topics);
    let told = back.until(&format!("app:{APP}"));
    assert!(told.data["version"].as_u64().unwrap() >= 3, "{}", told.data);
    drop(cut);

    // Who comes back before the first event is told what it missed too.
    let mut back = idle.again(&tide, "ana", "incidents");
    assert_eq!(back.next().unwrap().data["topic"], "incidents");
}

#[test]
fn a_place_nobody_remembers_means_look_again() {
    let mut tide = tide();
    let mut stream = Stream::of(&tide, "ana", "incidents");
    stream.next().unwrap();
    for last in ["1", "nonsense", "99999999999999999999"] {
        let headers =
            format!("authorization: Bearer {}\r\nlast-event-id: {last}\r\n", tide.token("ana"));
        let mut old = Stream::open(&tide, &headers, "incidents");
        let event = old.next().unwrap();
        assert_eq!(event.name, "resync", "{last}");
        // From there on it is a stream like any other.
        kill(&tide);
        assert_eq!(old.until("incidents").name, "changed");
        tide.run("omar", ["unkill", APP, "--yes", "--reason", "because it is a test"]).ok();
    }
    assert_eq!(tide.stop(), Some(0), "open streams do not hold up the end");
    tide.restart();
    let mut back = stream.again(&tide, "ana", "incidents");
    assert_eq!(back.next().unwrap().name, "resync", "an id from before the restart");
}

#[test]
fn a_stream_ends_with_the_right_to_listen() {
    let tide = tide();
    let body = json!({"token": tide.token("ana")}).to_string();
    let (status, headers, session) = send("POST", &tide.control, "/api/v1/session", &[], &body);
    assert_eq!(status, 200, "{session}");
    let cookie = headers["set-cookie"].split(';').next().unwrap().to_owned();
    let mut by_cookie = Stream::open(&tide, &format!("cookie: {cookie}\r\n"), "apps");
    assert_eq!(by_cookie.next().unwrap().name, "ready");
    let mut by_token = Stream::of(&tide, "ana", "apps");
    assert_eq!(by_token.next().unwrap().name, "ready");

    let csrf = session["csrf"].as_str().unwrap().to_owned();
    let out = [("cookie", cookie), ("x-tidegate-csrf", csrf)];
    assert_eq!(send("DELETE", &tide.control, "/api/v1/session", &out, "").0, 204);
    assert_eq!(by_cookie.next().unwrap().name, "signed_out");
    assert!(by_cookie.next().is_none(), "and it is over");

    let id = tide.run("ana", ["token", "list", "-o", "json"]).ok().json()[0]["id"].clone();
    tide.run("admin", ["token", "revoke", id.as_str().unwrap(), "--yes"]).ok();
    assert_eq!(by_token.next().unwrap().name, "signed_out");
}

#[test]
fn topics_nobody_knows_and_other_peoples_drafts_are_refused() {
    let tide = tide();
    let auth = [("authorization", format!("Bearer {}", tide.token("ana")))];
    for (topics, code) in [
        ("nothing", "no_such_topic"),
        ("", "no_such_topic"),
        ("draft:omar/support-summary", "no_such_topic"),
        ("session:0000", "no_such_topic"),
    ] {
        let path = format!("/api/v1/events?topics={topics}");
        let (status, _, body) = send("GET", &tide.control, &path, &auth, "");
        assert_eq!((status, &body["code"]), (422, &json!(code)), "{topics}");
    }
    assert_eq!(send("GET", &tide.control, "/api/v1/events", &auth, "").0, 422);
}
