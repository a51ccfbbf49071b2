//! Notifications by the binary: the command line, a real receiver that checks
//! signatures with the reference library, and a server killed while it sends.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

mod common;

use common::{APP, Tide, wait_for};
use serde_json::Value;
use standardwebhooks::Webhook;
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

/// One post: headers and body.
type Post = (http::HeaderMap, Vec<u8>);

/// A program that keeps what it is sent, and answers with `status` at that time.
struct Receiver {
    url: String,
    status: Arc<Mutex<&'static str>>,
    posts: Arc<Mutex<Vec<Post>>>,
}

impl Receiver {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
        let (status, posts) = (Arc::new(Mutex::new("204 x")), Arc::new(Mutex::new(Vec::new())));
        let (answer, kept) = (Arc::clone(&status), Arc::clone(&posts));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = BufReader::new(stream.expect("a connection"));
                let (mut headers, mut line) = (http::HeaderMap::new(), String::new());
                while stream.read_line(&mut line).unwrap_or(0) > 2 {
                    if let Some((name, value)) = line.split_once(": ") {
                        let name: http::HeaderName = name.parse().expect("a name");
                        headers.insert(name, value.trim().parse().expect("a value"));
                    }
                    line.clear();
                }
                let length = headers.get("content-length").map_or("0", |v| v.to_str().unwrap());
                let mut body = vec![0; length.parse().expect("a length")];
                // A sender that was killed has sent half of it, or nothing.
                if headers.is_empty() || stream.read_exact(&mut body).is_err() {
                    continue;
                }
                kept.lock().unwrap().push((headers, body));
                let status = *answer.lock().unwrap();
                let head =
                    format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                stream.get_mut().write_all(head.as_bytes()).ok();
            }
        });
        Self { url, status, posts }
    }

    fn count(&self) -> usize {
        self.posts.lock().unwrap().len()
    }
}

#[test]
fn from_the_command_line_to_a_verified_message_and_through_a_kill() {
    let mut tide = Tide::start();
    tide.people(&[("omar", "operator")]);
    let receiver = Receiver::start();
    let add = |name: &str, more: &[&str]| {
        let mut args = vec!["notification", "add", "webhook", name, "--url", &receiver.url];
        args.extend(more);
        args.extend(["-o", "json"]);
        tide.run("admin", args)
    };
    tide.run("omar", ["notification", "add", "webhook", "x", "--url", &receiver.url]).code(4);
    let inside = add("inside", &[]).ok().json()["channel"]["id"].as_str().unwrap().to_owned();
    tide.run("admin", ["notification", "test", &inside]).code(1).prints("public internet");
    tide.run("admin", ["notification", "remove", &inside, "--yes"]).ok();
    let made = add("ci", &["--allow-private"]).ok().json();
    let (id, secret) = (made["channel"]["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
    tide.run("admin", ["notification", "test", id]).ok().prints("status 204");
    tide.run("admin", ["notification", "preview", "--event", "killed", "--kind", "slack"])
        .ok()
        .prints("threw the kill switch");
    let reference = Webhook::new(secret).unwrap();
    {
        let posts = receiver.posts.lock().unwrap();
        let [(headers, body)] = posts.as_slice() else { panic!("{posts:?}") };
        reference.verify(body, headers).expect("the reference library takes the signature");
        assert!(reference.verify(b"{}", headers).is_err(), "and no other body");
    }
    // The receiver fails; the server dies between two tries; then both are back.
    *receiver.status.lock().unwrap() = "503 x";
    tide.run("omar", ["kill", APP, "--reason", "it says wrong things", "--yes"]).ok();
    wait_for("a first try", || (receiver.count() >= 2).then_some(()));
    tide.kill();
    *receiver.status.lock().unwrap() = "204 x";
    tide.restart();
    let listed = || tide.run("omar", ["notification", "list", "-o", "json"]).ok().json();
    wait_for("a message that arrived", || {
        let page = tide.run("admin", ["notification", "messages", "-o", "json"]).ok().json();
        let rows = page.as_array().cloned().or_else(|| page["items"].as_array().cloned());
        rows.unwrap().iter().any(|row| row["state"] == "sent").then_some(())
    });
    let posts = receiver.posts.lock().unwrap();
    let killed: Vec<&Post> = posts.iter().skip(1).collect();
    assert!(killed.len() >= 2, "failed once, arrived once");
    let ids: BTreeSet<&str> =
        killed.iter().map(|(headers, _)| headers["webhook-id"].to_str().unwrap()).collect();
    assert_eq!(ids.len(), 1, "one message, one id");
    for (headers, body) in &killed {
        reference.verify(body, headers).expect("each try is signed anew");
        let body: Value = serde_json::from_slice(body).unwrap();
        assert_eq!(body["type"], "tidegate.killed");
    }
    drop(posts);
    let row = listed();
    let row = row.as_array().map_or(&row["items"][0], |rows| &rows[0]);
    assert_eq!(row["state"], "ok", "{row}");
    assert!(!row.to_string().contains(secret), "{row}");
}
