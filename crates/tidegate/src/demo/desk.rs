//! The agents' desk: an app that calls the gateway, and people who read.
//!
//! Requests arrive in an open loop: a slow answer does not slow the next
//! request down, as with real users. A reader throws a summary away when it
//! does not name the order; that is all anybody here knows about good and bad.

use super::DemoError;
use super::content::{APP, REJECTED, Ticket};
use bytes::Bytes;
use connect::http::{Client, read_all};
use http::{Request, header};
use http_body_util::Full;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Requests a second.
pub const RATE: u32 = 60;
/// People at the desk: the sticky subjects.
pub const READERS: u64 = 5000;
/// Longest answer read, in bytes.
const MAX_ANSWER: usize = 1 << 20;

/// What the desk has seen of one release.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Summaries read.
    pub read: u64,
    /// Of these, thrown away.
    pub rejected: u64,
}

/// One summary that was thrown away.
#[derive(Debug, Clone)]
pub struct Harm {
    /// The request.
    pub request: String,
    /// The release that answered.
    pub release: String,
}

/// Everything the desk has seen.
#[derive(Debug, Default)]
pub struct Diary {
    /// By release.
    pub seen: BTreeMap<String, Seen>,
    /// Thrown away, oldest first.
    pub harms: Vec<Harm>,
    /// Requests without an answer.
    pub failures: u64,
    /// The newest of them, in words.
    pub last_failure: Option<String>,
    /// Releases of the newest answers.
    pub newest: Option<String>,
}

/// The desk at work; ends when dropped.
pub struct Desk {
    diary: Arc<Mutex<Diary>>,
    work: JoinHandle<()>,
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.work.abort();
    }
}

struct Caller {
    http: Client,
    gateway: String,
    token: String,
}

impl Desk {
    /// Opens the desk.
    pub fn open(gateway: &str, token: &str, tickets: Vec<Ticket>) -> Self {
        let diary = Arc::new(Mutex::new(Diary::default()));
        let caller = Arc::new(Caller {
            http: Client::new(),
            gateway: gateway.to_owned(),
            token: token.to_owned(),
        });
        let kept = Arc::clone(&diary);
        let work = tokio::spawn(async move {
            let mut every = tokio::time::interval(Duration::from_secs(1) / RATE);
            let mut dice = Dice::new();
            loop {
                every.tick().await;
                let reader = dice.roll(READERS);
                let pick = usize::try_from(dice.roll(tickets.len() as u64)).unwrap_or(0);
                let Some(ticket) = tickets.get(pick).cloned() else { continue };
                let (caller, kept) = (Arc::clone(&caller), Arc::clone(&kept));
                tokio::spawn(async move { read_one(&caller, reader, &ticket, &kept).await });
            }
        });
        Self { diary, work }
    }

    /// A look into the diary.
    pub fn look<T>(&self, look: impl FnOnce(&Diary) -> T) -> T {
        look(&self.diary.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

/// One reader, one ticket: ask, read, say what it was worth.
async fn read_one(caller: &Caller, reader: u64, ticket: &Ticket, diary: &Mutex<Diary>) {
    let outcome = ask(caller, reader, ticket).await;
    let mut note = None;
    {
        let mut diary = diary.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match outcome {
            Ok(answer) => {
                let rejected = !answer.text.contains(ticket.order_number());
                let seen = diary.seen.entry(answer.release.clone()).or_default();
                seen.read += 1;
                seen.rejected += u64::from(rejected);
                if rejected {
                    diary.harms.push(Harm {
                        request: answer.request.clone(),
                        release: answer.release.clone(),
                    });
                }
                diary.newest = Some(answer.release);
                note = Some((answer.request, rejected));
            }
            Err(why) => {
                diary.failures += 1;
                diary.last_failure = Some(why.to_string());
            }
        }
    }
    if let Some((request, rejected)) = note {
        let body = json!({"request_id": request, "name": REJECTED, "value": f64::from(u8::from(rejected))});
        if let Err(why) = send(caller, "/api/v1/feedback", None, &body).await {
            let mut diary = diary.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            diary.failures += 1;
            diary.last_failure = Some(why.to_string());
        }
    }
}

struct Answer {
    request: String,
    release: String,
    text: String,
}

async fn ask(caller: &Caller, reader: u64, ticket: &Ticket) -> Result<Answer, DemoError> {
    let body = json!({
        "model": format!("app/{APP}"),
        "messages": [{"role": "user", "content": "Please summarise this chat."}],
        "tidegate": {"vars": ticket.vars},
    });
    let subject = format!("reader-{reader:03}");
    let (head, body) = send(caller, "/v1/chat/completions", Some(&subject), &body).await?;
    let answer: Value = serde_json::from_slice(&body)
        .map_err(|e| DemoError::new(format!("the gateway's answer is no JSON: {e}")))?;
    let text = answer.pointer("/choices/0/message/content").and_then(Value::as_str);
    let named = |name: &str| {
        head.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned).unwrap_or_default()
    };
    Ok(Answer {
        request: named("x-request-id"),
        release: named("x-tidegate-release"),
        text: text.unwrap_or_default().to_owned(),
    })
}

async fn send(
    caller: &Caller,
    path: &str,
    subject: Option<&str>,
    body: &Value,
) -> Result<(http::HeaderMap, Bytes), DemoError> {
    let mut request = Request::post(format!("{}{path}", caller.gateway))
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::AUTHORIZATION, format!("Bearer {}", caller.token));
    if let Some(subject) = subject {
        request = request.header("x-tidegate-subject", subject);
    }
    let request = request
        .body(Full::new(Bytes::from(body.to_string())))
        .map_err(|e| DemoError::new(format!("a request cannot be written: {e}")))?;
    let response = caller.http.send(request).await.map_err(|e| DemoError::new(e.to_string()))?;
    let (head, body) = response.into_parts();
    let body = read_all(body, MAX_ANSWER).await.map_err(|e| DemoError::new(e.to_string()))?;
    if !head.status.is_success() {
        let text = String::from_utf8_lossy(&body);
        return Err(DemoError::new(format!("{path} answered {}: {}", head.status, text.trim())));
    }
    Ok((head.headers, body))
}

/// Numbers that look random and are the same in every demo (xorshift64).
pub struct Dice(u64);

impl Dice {
    /// From the beginning.
    pub fn new() -> Self {
        Self(0x2545_f491_4f6c_dd1d)
    }

    /// The next roll.
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides.max(1)
    }
}
