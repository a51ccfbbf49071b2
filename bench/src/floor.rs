//! The floor: hyper's server and hyper-util's pooled client, forwarding. The
//! least a proxy on this stack can do for a request.

use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::sync::Arc;

type Pool = Client<HttpConnector, Incoming>;

/// Serves until killed. Prints the address first.
pub async fn run(upstream: &str) -> Result<(), String> {
    let authority: Arc<str> = upstream.trim_start_matches("http://").trim_end_matches('/').into();
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let pool: Pool = Client::builder(TokioExecutor::new()).build(connector);
    let listener = crate::upstream::listen().await?;
    loop {
        let (stream, _) = listener.accept().await.map_err(|e| format!("cannot accept: {e}"))?;
        stream.set_nodelay(true).map_err(|e| format!("cannot set TCP_NODELAY: {e}"))?;
        let (pool, authority) = (pool.clone(), Arc::clone(&authority));
        tokio::spawn(async move {
            let service = hyper::service::service_fn(move |request| {
                forward(pool.clone(), Arc::clone(&authority), request)
            });
            hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await
                .ok();
        });
    }
}

async fn forward(
    pool: Pool,
    authority: Arc<str>,
    mut request: Request<Incoming>,
) -> Result<Response<Incoming>, hyper_util::client::legacy::Error> {
    let path = request.uri().path_and_query().map_or("/", |p| p.as_str());
    if let Ok(uri) = format!("http://{authority}{path}").parse::<Uri>() {
        *request.uri_mut() = uri;
    }
    request.headers_mut().remove(http::header::HOST);
    pool.request(request).await
}
