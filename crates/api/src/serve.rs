//! The listener of the control port.
//!
//! Not the framework's own: that one waits for a request's head for ever, and
//! whoever opens enough connections and says nothing would keep people from
//! throwing the kill switch.

use crate::patience::Patient;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tower::Service as _;

/// How long a client may take for the head of a request; also how long an idle
/// connection is kept.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long to wait after a connection could not be accepted: most likely the
/// process has no file handles left, and asking again at once frees none.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Listens until `shutdown` turns true, then finishes the requests under way.
///
/// # Errors
/// None at present: a connection that cannot be accepted is logged and the next
/// one awaited.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    mut shutdown: watch::Receiver<bool>,
) -> io::Result<()> {
    let under_way = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            // A sender that is gone means the same as the word to stop.
            _ = shutdown.wait_for(|stop| *stop) => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, from)) => connection(stream, from, router.clone(), &under_way),
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    under_way.shutdown().await;
    Ok(())
}

fn connection(stream: TcpStream, from: SocketAddr, router: Router, under_way: &GracefulShutdown) {
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(from));
        // A router is always ready.
        router.clone().call(request)
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    let connection =
        under_way.watch(builder.serve_connection(TokioIo::new(Patient::new(stream)), service));
    tokio::spawn(async move {
        // Callers hang up; that is their business.
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection ended");
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    async fn started() -> (SocketAddr, watch::Sender<bool>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopping) = watch::channel(false);
        let router = Router::new().route("/", axum::routing::get(|| async { "hello" }));
        tokio::spawn(serve(listener, router, stopping));
        (address, stop)
    }

    #[tokio::test]
    async fn a_request_is_answered_and_the_word_to_stop_ends_an_idle_connection() {
        let (address, stop) = started().await;
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"hello") {
            assert_ne!(client.read_buf(&mut answer).await.unwrap(), 0);
        }
        stop.send_replace(true);
        assert_eq!(client.read_buf(&mut answer).await.unwrap(), 0);
    }

    /// The clock stands still and jumps whenever everybody waits.
    #[tokio::test(start_paused = true)]
    async fn a_client_that_never_finishes_its_head_is_let_go() {
        let (address, _stop) = started().await;
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nhost:").await.unwrap();
        let mut answer = Vec::new();
        let ended = client.read_to_end(&mut answer);
        tokio::time::timeout(Duration::from_secs(86_400), ended).await.unwrap().unwrap();
    }
}
