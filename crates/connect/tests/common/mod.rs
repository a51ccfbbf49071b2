//! An upstream that does exactly what a test says, byte by byte, over real
//! sockets: answers, cuts, stalls, nonsense.

#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::disallowed_types, reason = "a test's upstream may lock")]

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What an upstream does with one request.
#[derive(Clone)]
pub enum Step {
    /// Writes these bytes.
    Send(Vec<u8>),
    /// Closes the connection.
    Close,
    /// Does nothing more until the other side hangs up.
    Stall,
    /// Goes on only after the test opened the gate.
    Gate(watch::Receiver<bool>),
}

/// One request as it arrived.
#[derive(Debug, Clone)]
pub struct Received {
    pub head: String,
    pub body: Vec<u8>,
}

impl Received {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("a request's body is JSON")
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a request's body is text")
    }
}

/// Longest wait for something that must happen. Only a failing test waits so
/// long; none measures it.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// Waits for what must happen, and fails by name where it does not.
pub async fn patiently<T>(what: &str, waiting: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("{what} never came"))
}

type Script = dyn Fn(usize, &Received) -> Vec<Step> + Send + Sync;

/// A running upstream.
pub struct Upstream {
    pub addr: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    hung_up: watch::Receiver<usize>,
    arrived: watch::Receiver<usize>,
    connections: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Upstream {
    /// Answers the n-th request (from 0) as the script says.
    pub async fn start(
        script: impl Fn(usize, &Received) -> Vec<Step> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("bound");
        let received = Arc::new(Mutex::new(Vec::new()));
        let (hung, hung_up) = watch::channel(0);
        let (came, arrived) = watch::channel(0);
        let (script, log) = (Arc::new(script) as Arc<Script>, received.clone());
        let (hung, came) = (Arc::new(hung), Arc::new(came));
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = connections.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let (script, log, hung, came) =
                    (script.clone(), log.clone(), hung.clone(), came.clone());
                tokio::spawn(async move {
                    let _ended = connection(stream, &*script, &log, &hung, &came).await;
                });
            }
        });
        Self { addr, received, hung_up, arrived, connections, task }
    }

    /// Answers every request the same way.
    pub async fn always(steps: Vec<Step>) -> Self {
        Self::start(move |_, _| steps.clone()).await
    }

    pub fn base(&self) -> String {
        format!("http://{}/v1", self.addr)
    }

    pub fn received(&self) -> Vec<Received> {
        self.received.lock().expect("not poisoned").clone()
    }

    /// Connections that were ever opened.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Waits until so many stalled connections were hung up by the other side.
    pub async fn hung_up(&self, times: usize) {
        let mut hung_up = self.hung_up.clone();
        patiently("a hang-up", hung_up.wait_for(|n| *n >= times)).await.expect("it runs");
    }

    /// Waits until so many requests arrived.
    pub async fn arrived(&self, times: usize) {
        let mut arrived = self.arrived.clone();
        patiently("a request", arrived.wait_for(|n| *n >= times)).await.expect("it runs");
    }
}

async fn connection(
    mut stream: TcpStream,
    script: &Script,
    log: &Mutex<Vec<Received>>,
    hung: &watch::Sender<usize>,
    came: &watch::Sender<usize>,
) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::new();
    while let Some(request) = read_request(&mut stream, &mut buffer).await? {
        let n = {
            let mut log = log.lock().expect("not poisoned");
            log.push(request.clone());
            log.len() - 1
        };
        came.send_modify(|n| *n += 1);
        for step in script(n, &request) {
            match step {
                Step::Send(bytes) => stream.write_all(&bytes).await?,
                Step::Close => return Ok(()),
                Step::Gate(mut open) => {
                    let _opened = open.wait_for(|open| *open).await;
                }
                Step::Stall => {
                    let mut byte = [0; 64];
                    while stream.read(&mut byte).await.is_ok_and(|n| n > 0) {}
                    hung.send_modify(|n| *n += 1);
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

async fn read_request(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
) -> std::io::Result<Option<Received>> {
    loop {
        if let Some(end) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).to_string();
            let length = head
                .lines()
                .find_map(|l| {
                    l.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok()
                })
                .unwrap_or(0_usize);
            if buffer.len() >= end + 4 + length {
                let body = buffer[end + 4..end + 4 + length].to_vec();
                buffer.drain(..end + 4 + length);
                return Ok(Some(Received { head, body }));
            }
        }
        let mut more = [0; 4096];
        match stream.read(&mut more).await? {
            0 => return Ok(None),
            n => buffer.extend_from_slice(&more[..n]),
        }
    }
}

/// A whole response with a length.
pub fn respond(status: u16, headers: &str, body: &str) -> Step {
    let length = body.len();
    Step::Send(
        format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n{headers}\r\n{body}")
            .into_bytes(),
    )
}

/// A whole answer.
pub fn completion(text: &str) -> Step {
    respond(200, "", &completion_json(text))
}

pub fn completion_json(text: &str) -> String {
    serde_json::json!({
        "id": "chatcmpl-up", "object": "chat.completion", "created": 1, "model": "up-1",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14},
        "system_fingerprint": "fp_kept",
    })
    .to_string()
}

/// The head of a chunked event stream.
pub fn sse_head() -> Step {
    Step::Send(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
            .to_vec(),
    )
}

/// One HTTP chunk.
pub fn chunk(text: &str) -> Step {
    Step::Send(format!("{:x}\r\n{text}\r\n", text.len()).into_bytes())
}

/// The good end of a chunked body.
pub fn end() -> Step {
    Step::Send(b"0\r\n\r\n".to_vec())
}

/// One event with a piece of text.
pub fn event(text: &str) -> String {
    let chunk = serde_json::json!({
        "id": "chatcmpl-up", "object": "chat.completion.chunk", "created": 1, "model": "up-1",
        "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": null}],
    });
    format!("data: {chunk}\n\n")
}

/// The event that says why the answer ended.
pub fn finish() -> String {
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n".to_owned()
}

pub const DONE: &str = "data: [DONE]\n\n";
