//! A provider of the benchmark's own: OpenAI-compatible, on loopback, with a
//! delay before each answer.

use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Largest request it reads, in bytes.
const MAX_REQUEST: usize = 1 << 20;

/// What is answered to a request's body.
pub(crate) type Reply = Arc<dyn Fn(&[u8]) -> String + Send + Sync>;

/// Serves until it is dropped.
pub(crate) async fn serve(listener: TcpListener, reply: Reply, delay: Duration) {
    while let Ok((stream, _)) = listener.accept().await {
        let reply = reply.clone();
        tokio::spawn(async move {
            // A caller that goes away is no trouble of the provider.
            answer(stream, reply, delay).await.ok();
        });
    }
}

async fn answer(mut stream: TcpStream, reply: Reply, delay: Duration) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut bytes = Vec::new();
    loop {
        let end = bytes.windows(4).position(|w| w == b"\r\n\r\n").map(|at| at + 4);
        let length = end.map(|end| content_length(bytes.get(..end).unwrap_or_default()));
        if let (Some(end), Some(length)) = (end, length)
            && bytes.len() >= end + length
        {
            let body = bytes.get(end..end + length).unwrap_or_default();
            let text = completion(&reply(body));
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                text.len()
            );
            stream.write_all(format!("{head}{text}").as_bytes()).await?;
            bytes.drain(..end + length);
            continue;
        }
        let mut piece = [0_u8; 8192];
        let read = stream.read(&mut piece).await?;
        if read == 0 || bytes.len() > MAX_REQUEST {
            return Ok(());
        }
        bytes.extend_from_slice(piece.get(..read).unwrap_or_default());
    }
}

fn completion(text: &str) -> String {
    let whole = json!({
        "id": "g", "object": "chat.completion", "model": "bench",
        "choices": [{"index": 0, "finish_reason": "stop",
            "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
    });
    whole.to_string()
}

fn content_length(head: &[u8]) -> usize {
    String::from_utf8_lossy(head)
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok())
        .unwrap_or(0)
}

/// Asks the provider so often over so many connections, as fast as it answers and
/// with nothing else to do: what the machine allows just now.
pub(crate) async fn bare(port: u16, calls: u64, at_once: usize) -> std::io::Result<()> {
    let left = Arc::new(AtomicU64::new(calls));
    let mut tasks: JoinSet<std::io::Result<()>> = JoinSet::new();
    for _ in 0..at_once {
        let left = left.clone();
        tasks.spawn(async move {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
            stream.set_nodelay(true)?;
            let request = b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}";
            let mut piece = [0_u8; 8192];
            let take = |n: u64| n.checked_sub(1);
            while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok() {
                stream.write_all(request).await?;
                // An answer is one write of the provider, and fits.
                if stream.read(&mut piece).await? == 0 {
                    return Err(std::io::ErrorKind::UnexpectedEof.into());
                }
            }
            Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.map_err(std::io::Error::other)??;
    }
    Ok(())
}
