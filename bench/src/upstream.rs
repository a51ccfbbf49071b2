//! A model provider that costs nothing: every request gets the same answer as
//! soon as its body has arrived.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use tokio::net::TcpListener;

/// An answer of the usual size.
const ANSWER: &str = r#"{"id":"chatcmpl-bench","object":"chat.completion","created":1700000000,"model":"bench-1","choices":[{"index":0,"message":{"role":"assistant","content":"Amara, order M29772: the kettle arrived with a cracked base and leaks. Done: the customer sent a photo of the crack. Next: a replacement base is being sent."},"finish_reason":"stop"}],"usage":{"prompt_tokens":182,"completion_tokens":38,"total_tokens":220}}"#;

/// Serves until killed. Prints the address first.
pub async fn run() -> Result<(), String> {
    let listener = crate::upstream::listen().await?;
    loop {
        let (stream, _) = listener.accept().await.map_err(|e| format!("cannot accept: {e}"))?;
        stream.set_nodelay(true).map_err(|e| format!("cannot set TCP_NODELAY: {e}"))?;
        tokio::spawn(async move {
            let service = hyper::service::service_fn(answer);
            // A caller that hangs up is the end of a round, not a failure.
            hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await
                .ok();
        });
    }
}

/// A socket on a free port, its address printed for whoever started us.
pub async fn listen() -> Result<TcpListener, String> {
    let listener =
        TcpListener::bind("127.0.0.1:0").await.map_err(|e| format!("cannot listen: {e}"))?;
    let address = listener.local_addr().map_err(|e| format!("has no address: {e}"))?;
    println!("http://{address}");
    Ok(listener)
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let whole = request.into_body().collect().await.is_ok();
    let mut response = Response::new(Full::new(Bytes::from_static(ANSWER.as_bytes())));
    if !whole {
        *response.status_mut() = http::StatusCode::BAD_REQUEST;
    }
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    Ok(response)
}
