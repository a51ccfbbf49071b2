//! A provider on this machine: answers by the number of the call.

use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Status, headers, body.
pub(super) type Answer = (u16, Vec<(&'static str, &'static str)>, String);

pub(super) struct Provider {
    address: SocketAddr,
    calls: Arc<AtomicUsize>,
}

/// A chat completion of 20 tokens.
pub(super) fn completion(text: &str) -> Answer {
    let body = json!({
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": 12, "completion_tokens": 8},
    });
    (200, Vec::new(), body.to_string())
}

impl Provider {
    pub(super) async fn start(
        answer: impl Fn(usize, &str) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let calls = Arc::new(AtomicUsize::new(0));
        let (answer, counted) = (Arc::new(answer), calls.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, calls) = (answer.clone(), counted.clone());
                tokio::spawn(async move { serve(stream, &*answer, &calls).await });
            }
        });
        Self { address, calls }
    }

    /// One that takes every request and never says a word.
    pub(super) async fn hung() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                open.push(stream);
            }
        });
        Self { address, calls: Arc::default() }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    pub(super) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

type Say = dyn Fn(usize, &str) -> Answer + Send + Sync;

async fn serve(mut stream: TcpStream, answer: &Say, calls: &AtomicUsize) {
    let mut read = Vec::new();
    loop {
        let mut part = [0; 4096];
        let Ok(n) = stream.read(&mut part).await else { return };
        read.extend_from_slice(&part[..n]);
        if n == 0 {
            return;
        }
        let Some(head) = read.windows(4).position(|w| w == b"\r\n\r\n") else { continue };
        let text = String::from_utf8_lossy(&read[..head]).to_lowercase();
        let length = text.lines().find_map(|l| l.strip_prefix("content-length:"));
        let length: usize = length.map_or(0, |l| l.trim().parse().unwrap());
        if read.len() >= head + 4 + length {
            read.drain(..head + 4);
            break;
        }
    }
    let asked = String::from_utf8_lossy(&read);
    let (status, headers, body) = answer(calls.fetch_add(1, Ordering::SeqCst), &asked);
    let headers: String = headers.iter().map(|(n, v)| format!("{n}: {v}\r\n")).collect();
    let text = format!(
        "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n{body}",
        body.len()
    );
    stream.write_all(text.as_bytes()).await.ok();
}
