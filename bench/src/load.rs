//! A closed loop: so many connections, each sending its next request when the
//! last one is answered. Targets are visited in turn, round by round, so that
//! what else the machine does falls on all of them alike.

use crate::report::{Measured, Report};
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use std::time::Instant;
use tokio::net::TcpStream;

/// What to visit and how.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The upstream itself, the floor and the gateway, in any order.
    targets: Vec<Target>,
    /// Connections at a time.
    connections: usize,
    /// Requests a round and target.
    requests: usize,
    /// Rounds; one more before them warms up.
    rounds: usize,
    /// Print JSON instead of a table.
    #[serde(default)]
    json: bool,
}

/// One address under load.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// `direct`, `floor` or `gateway`.
    pub name: String,
    /// `http://127.0.0.1:4000`.
    pub url: String,
    /// Its process, for CPU time.
    pub pid: u32,
    /// Sent with each request.
    #[serde(default)]
    pub token: String,
    /// The request.
    pub body: String,
}

/// Runs the plan and prints the report.
pub async fn run(plan: &str) -> Result<(), String> {
    let plan: Plan =
        serde_json::from_str(plan).map_err(|e| format!("the plan does not read: {e}"))?;
    if plan.connections == 0 || plan.requests == 0 || plan.rounds == 0 {
        return Err("`connections`, `requests` and `rounds` must be more than nothing".to_owned());
    }
    let mut measured: Vec<Measured> = plan.targets.iter().map(|t| Measured::new(&t.name)).collect();
    for round in 0..=plan.rounds {
        for (target, into) in plan.targets.iter().zip(&mut measured) {
            let cpu = || {
                crate::cpu::micros(target.pid)
                    .ok_or_else(|| format!("process {} of `{}` is gone", target.pid, target.name))
            };
            let before = cpu()?;
            let latencies = visit(target, plan.connections, plan.requests).await?;
            // The process may still be shipping telemetry of this round; that
            // work belongs to it, so it gets a moment before the account is read.
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            if round > 0 {
                into.add(latencies, cpu()? - before);
            }
        }
    }
    let report = Report::of(&measured)?;
    if plan.json {
        report.print_json()
    } else {
        report.print();
        Ok(())
    }
}

/// One round at one target: every latency in microseconds.
async fn visit(target: &Target, connections: usize, requests: usize) -> Result<Vec<f64>, String> {
    let mut tasks = Vec::new();
    for i in 0..connections {
        let share = requests / connections + usize::from(i < requests % connections);
        tasks.push(tokio::spawn(connection(target.clone(), share)));
    }
    let mut all = Vec::with_capacity(requests);
    for task in tasks {
        all.extend(task.await.map_err(|e| format!("a connection broke down: {e}"))??);
    }
    Ok(all)
}

async fn connection(target: Target, requests: usize) -> Result<Vec<f64>, String> {
    let authority = target.url.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let failed = |what: &str| format!("`{}` at {authority}: {what}", target.name);
    let stream = TcpStream::connect(&authority).await.map_err(|e| failed(&e.to_string()))?;
    stream.set_nodelay(true).map_err(|e| failed(&e.to_string()))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|e| failed(&e.to_string()))?;
    tokio::spawn(connection);
    let body = Bytes::from(target.body.clone());
    let mut latencies = Vec::with_capacity(requests);
    for _ in 0..requests {
        let began = Instant::now();
        let status =
            once(&mut sender, &target, &authority, body.clone()).await.map_err(|e| failed(&e))?;
        latencies.push(began.elapsed().as_secs_f64() * 1e6);
        if status != 200 {
            return Err(failed(&format!("answered with status {status}")));
        }
    }
    Ok(latencies)
}

async fn once(
    sender: &mut SendRequest<Full<Bytes>>,
    target: &Target,
    authority: &str,
    body: Bytes,
) -> Result<u16, String> {
    sender.ready().await.map_err(|e| e.to_string())?;
    let request = Request::builder()
        .method(Method::POST)
        .uri("/v1/chat/completions")
        .header(http::header::HOST, authority)
        .header(http::header::CONTENT_TYPE, "application/json")
        .header(http::header::AUTHORIZATION, format!("Bearer {}", target.token))
        .body(Full::new(body))
        .map_err(|e| e.to_string())?;
    let response = sender.send_request(request).await.map_err(|e| e.to_string())?;
    let status = response.status().as_u16();
    response.into_body().collect().await.map_err(|e| e.to_string())?;
    Ok(status)
}
