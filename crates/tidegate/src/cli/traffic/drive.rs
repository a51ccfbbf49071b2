//! The driver: starts requests on the clock, labels what comes back.

use super::line::{Label, Line};
use super::tally::{Outcome, Report};
use bytes::Bytes;
use connect::http::{Client, read_all};
use domain::ids::{AppName, Digest};
use domain::units::Span;
use http::{HeaderMap, Method, Request, header};
use http_body_util::Full;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Longest answer read, in bytes.
const MAX_ANSWER: usize = 16 << 20;
/// Later than this is late.
const LATE: Duration = Duration::from_millis(50);

/// What to send.
pub struct Plan {
    pub app: AppName,
    pub gateway: String,
    pub token: Option<String>,
    pub lines: Vec<Line>,
    pub rate: f64,
    pub most: Option<u64>,
    pub duration: Option<Span>,
    pub random_subjects: bool,
    pub seed: u64,
    pub shuffle: bool,
    pub concurrency: usize,
    pub harm: Vec<String>,
    pub shadow_model: Option<String>,
}

/// Sends everything and counts what came back.
pub async fn drive(plan: Arc<Plan>, mut stop: watch::Receiver<bool>) -> Report {
    let client = Client::new();
    let slots = Arc::new(Semaphore::new(plan.concurrency));
    let mut under_way: JoinSet<Result<Outcome, String>> = JoinSet::new();
    let mut report = Report::default();
    let begin = Instant::now();
    let end = plan.duration.map(|d| begin + Duration::from(d));
    for n in 0..plan.most.unwrap_or(u64::MAX) {
        let due = begin + Duration::from_secs_f64(n as f64 / plan.rate);
        if end.is_some_and(|end| due >= end) || !wait(due, &mut stop).await {
            break;
        }
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { break };
        report.late += u64::from(due.elapsed() > LATE);
        report.sent += 1;
        let (plan, client) = (Arc::clone(&plan), client.clone());
        under_way.spawn(async move {
            let outcome = one(&plan, &client, n).await;
            drop(slot);
            outcome
        });
        while let Some(done) = under_way.try_join_next() {
            count(&mut report, done);
        }
    }
    while let Some(done) = under_way.join_next().await {
        count(&mut report, done);
    }
    report
}

/// Waits until a request is due; false if the driver is to stop.
async fn wait(due: Instant, stop: &mut watch::Receiver<bool>) -> bool {
    tokio::select! {
        biased;
        _ = stop.wait_for(|stop| *stop) => false,
        () = tokio::time::sleep_until(due) => true,
    }
}

fn count(report: &mut Report, done: Result<Result<Outcome, String>, tokio::task::JoinError>) {
    match done {
        Ok(Ok(outcome)) => report.add(outcome),
        Ok(Err(why)) => report.lost(why),
        Err(error) => report.lost(error.to_string()),
    }
}

/// 64 bits that follow from the seed and two numbers.
fn bits(seed: u64, what: &str, n: u64) -> u64 {
    let digest = Digest::of(format!("{seed} {what} {n}").as_bytes());
    digest.as_bytes().iter().take(8).fold(0, |acc, b| acc << 8 | u64::from(*b))
}

/// The line of the n-th request: round and round, or another order each pass.
fn pick(plan: &Plan, n: u64) -> Option<&Line> {
    let len = u64::try_from(plan.lines.len()).ok().filter(|len| *len > 0)?;
    let place = n % len;
    let place = if plan.shuffle { shuffled(plan.seed, n / len, place, len) } else { place };
    plan.lines.get(usize::try_from(place).ok()?)
}

/// Where `place` lands in the pass's own order. A Feistel network over the
/// smallest power of four that holds `len`, walked until it lands inside: a
/// permutation without a table.
fn shuffled(seed: u64, pass: u64, place: u64, len: u64) -> u64 {
    let half = (u64::BITS - len.saturating_sub(1).leading_zeros()).div_ceil(2).max(1);
    let mask = (1_u64 << half) - 1;
    let mut x = place;
    loop {
        let (mut left, mut right) = (x >> half, x & mask);
        for round in 0..4 {
            let mixed = bits(seed ^ pass.rotate_left(32), "order", right << 3 | round) & mask;
            (left, right) = (right, left ^ mixed);
        }
        x = left << half | right;
        if x < len {
            return x;
        }
    }
}

fn subject(plan: &Plan, line: &Line, n: u64) -> String {
    match &line.subject {
        Some(subject) if !plan.random_subjects => subject.clone(),
        _ => format!("replay-{:016x}", bits(plan.seed, "subject", n)),
    }
}

async fn one(plan: &Plan, client: &Client, n: u64) -> Result<Outcome, String> {
    let line = pick(plan, n).ok_or("no requests")?;
    let body = json!({
        "model": format!("app/{}", plan.app),
        "messages": line.messages,
        "tidegate": {"vars": line.vars, "intent": line.intent, "attrs": line.attrs},
    });
    let begin = Instant::now();
    let request = post(plan, "/v1/chat/completions", &body, Some(&subject(plan, line, n)))?;
    let (status, headers, bytes) = exchange(client, request).await?;
    let ms = begin.elapsed().as_secs_f64() * 1000.0;
    let answer: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    let mut outcome = Outcome {
        arm: text(&headers, "x-tidegate-arm").unwrap_or_else(|| "none".to_owned()),
        request: text(&headers, "x-request-id"),
        model: answer.get("model").and_then(Value::as_str).map(str::to_owned),
        error: (!status.is_success()).then(|| explain(status, &answer)),
        fallback: text(&headers, "x-tidegate-fallback").is_some_and(|f| f != "none"),
        ms,
        ..Outcome::default()
    };
    if outcome.error.is_none() {
        label(plan, client, line, &headers, &mut outcome).await;
    }
    Ok(outcome)
}

/// Posts what people said about the answer that came.
async fn label(
    plan: &Plan,
    client: &Client,
    line: &Line,
    headers: &HeaderMap,
    outcome: &mut Outcome,
) {
    let (Some(request), Some(model)) = (outcome.request.clone(), outcome.model.clone()) else {
        return;
    };
    for (name, label) in &line.feedback {
        if let Some(value) = label.of(&model).filter(|_| !outcome.fallback) {
            let accepted = feedback(plan, client, &request, name, value, false).await;
            outcome.harm |= value >= 1.0 && harmful(plan, name, label);
            outcome.labels.push((name.clone(), value, accepted));
        }
    }
    // Control alone knows which requests were mirrored; a label for one that
    // was not is dropped there.
    let mirrored = headers.contains_key("x-tidegate-rollout") && outcome.arm != "candidate";
    let Some(model) = plan.shadow_model.as_ref().filter(|_| mirrored) else { return };
    for (name, label) in &line.feedback {
        if let (Label::ByModel(_), Some(value)) = (label, label.of(model)) {
            let accepted = feedback(plan, client, &request, name, value, true).await;
            outcome.shadow_labels += u64::from(accepted);
        }
    }
}

fn harmful(plan: &Plan, name: &str, label: &Label) -> bool {
    if plan.harm.is_empty() {
        matches!(label, Label::ByModel(_))
    } else {
        plan.harm.iter().any(|h| h == name)
    }
}

async fn feedback(
    plan: &Plan,
    client: &Client,
    request: &str,
    name: &str,
    value: f64,
    shadow: bool,
) -> bool {
    let body = json!({"request_id": request, "name": name, "value": value, "shadow": shadow});
    let Ok(request) = post(plan, "/api/v1/feedback", &body, None) else { return false };
    exchange(client, request).await.is_ok_and(|(status, _, _)| status.is_success())
}

fn post(
    plan: &Plan,
    path: &str,
    body: &Value,
    subject: Option<&str>,
) -> Result<Request<Full<Bytes>>, String> {
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(format!("{}{path}", plan.gateway.trim_end_matches('/')))
        .header(header::CONTENT_TYPE, "application/json");
    if let Some(token) = &plan.token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    if let Some(subject) = subject {
        request = request.header("x-tidegate-subject", subject);
    }
    request.body(Full::new(Bytes::from(body.to_string()))).map_err(|e| e.to_string())
}

async fn exchange(
    client: &Client,
    request: Request<Full<Bytes>>,
) -> Result<(http::StatusCode, HeaderMap, Bytes), String> {
    let response = client.send(request).await.map_err(|e| e.to_string())?;
    let (head, body) = response.into_parts();
    let bytes = read_all(body, MAX_ANSWER).await.map_err(|e| e.to_string())?;
    Ok((head.status, head.headers, bytes))
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned)
}

/// The status and the gateway's code; never the answer.
fn explain(status: http::StatusCode, answer: &Value) -> String {
    let code = answer.pointer("/error/tidegate/code").or_else(|| answer.pointer("/error/code"));
    match code.and_then(Value::as_str) {
        Some(code) => format!("{} {code}", status.as_u16()),
        None => status.as_u16().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_pass_sends_every_line_once(seed in any::<u64>(), pass in 0_u64..5, len in 1_u64..300) {
            let mut seen: Vec<u64> = (0..len).map(|place| shuffled(seed, pass, place, len)).collect();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..len).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_seed_decides_who_asks() {
        assert_eq!(bits(7, "subject", 3), bits(7, "subject", 3));
        assert_ne!(bits(7, "subject", 3), bits(8, "subject", 3));
        assert_ne!(bits(7, "subject", 3), bits(7, "subject", 4));
    }
}
