//! From answers to counts: one event per answer in, batches out.
//!
//! `Sink::send` (the path, one `try_send`) → `fold` (hash, price, redact, count)
//! → `ship` (every 250 ms or so, at least once, in order).
//!
//! What must stay true:
//! - the path never waits: a full queue drops the event, and the drop is counted
//!   and shipped;
//! - what identifies people leaves this process only as a keyed hash; texts only
//!   redacted. When the queue is half full texts are dropped first: counts are
//!   what decides rollouts;
//! - one batch is under way at a time. While it cannot be delivered everything
//!   later folds into the next one, whose size is bounded: cells merge, texts go
//!   first, then records.

mod event;
mod fold;
mod ship;

pub(crate) use event::{Event, cost};
pub(crate) use ship::{Shipper, ship};

use crate::config::Config;
use crate::metrics::{ByApp, Counters};
use domain::telemetry::Feedback;
use domain::units::Timestamp;
use fold::Fold;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{mpsc, oneshot};

/// Most bytes of texts waiting to be counted.
pub const MAX_QUEUED_BYTES: usize = 256 << 20;
/// Events folded in one go.
const CHUNK: usize = 64;

pub(crate) enum Message {
    Event(Box<Event>),
    Feedback(Timestamp, Feedback),
    /// Answered when everything before it is folded.
    Flush(oneshot::Sender<()>),
}

/// Where the path puts what happened. Never waits, never fails.
#[derive(Clone)]
pub(crate) struct Sink {
    queue: mpsc::Sender<Message>,
    queued: Arc<AtomicUsize>,
    counters: Arc<Counters>,
}

impl Sink {
    /// Hands over an event; drops it, counted, if there is no room.
    pub(crate) fn send(&self, event: Event) {
        let weight = event.weight();
        let queued = self.queued.fetch_add(weight, Ordering::Relaxed);
        let fits = queued.saturating_add(weight) <= MAX_QUEUED_BYTES;
        if !fits || self.queue.try_send(Message::Event(Box::new(event))).is_err() {
            self.queued.fetch_sub(weight, Ordering::Relaxed);
            self.counters.telemetry_dropped.add(1);
        }
    }

    /// Hands over feedback; false if there is no room.
    pub(crate) fn feedback(&self, at: Timestamp, feedback: Feedback) -> bool {
        self.queue.try_send(Message::Feedback(at, feedback)).is_ok()
    }

    /// Waits until everything handed over so far is folded.
    pub(crate) async fn flush(&self) {
        let (done, folded) = oneshot::channel();
        if self.queue.send(Message::Flush(done)).await.is_ok() {
            // Ended without an answer: then there is nothing left to fold.
            folded.await.unwrap_or_default();
        }
    }
}

/// What was counted and not yet shipped.
pub(crate) struct Telemetry {
    #[expect(
        clippy::disallowed_types,
        reason = "shared by the folding and the shipping task; no request reaches it"
    )]
    state: std::sync::Mutex<(Fold, ByApp)>,
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Telemetry")
    }
}

impl Telemetry {
    #[expect(
        clippy::disallowed_types,
        reason = "shared by the folding and the shipping task; no request reaches it"
    )]
    pub(crate) fn new() -> Self {
        Self { state: std::sync::Mutex::default() }
    }

    pub(crate) fn with_counts<T>(&self, read: impl FnOnce(&ByApp) -> T) -> T {
        self.with(|_, by_app| read(by_app))
    }

    /// A panic in another holder leaves whole numbers behind: every change is
    /// one event.
    fn with<T>(&self, work: impl FnOnce(&mut Fold, &mut ByApp) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (fold, by_app) = &mut *state;
        work(fold, by_app)
    }
}

/// The two ends of the queue.
pub(crate) fn queue(config: &Config, counters: &Arc<Counters>) -> (Sink, mpsc::Receiver<Message>) {
    let (queue, received) = mpsc::channel(config.event_queue.max(1));
    (Sink { queue, queued: Arc::default(), counters: counters.clone() }, received)
}

/// Folds what arrives, for ever. The work is done on blocking threads: counting
/// tokens and redacting texts must not take turns with answering requests.
pub(crate) async fn fold(
    config: Config,
    telemetry: Arc<Telemetry>,
    queued: Sink,
    mut received: mpsc::Receiver<Message>,
) {
    let queued_bytes = queued.queued.clone();
    // Only the weight is needed from here on: the queue must be able to close.
    drop(queued);
    let config = Arc::new(config);
    loop {
        let mut chunk = Vec::with_capacity(CHUNK);
        if received.recv_many(&mut chunk, CHUNK).await == 0 {
            return;
        }
        let crowded = received.len() > config.event_queue / 2;
        let (config, telemetry, queued_bytes) =
            (config.clone(), telemetry.clone(), queued_bytes.clone());
        let work = move || {
            for message in chunk {
                take(&config, &telemetry, &queued_bytes, message, crowded);
            }
        };
        if tokio::task::spawn_blocking(work).await.is_err() {
            tracing::error!("a chunk of telemetry was lost");
        }
    }
}

fn take(
    config: &Config,
    telemetry: &Telemetry,
    queued: &AtomicUsize,
    message: Message,
    crowded: bool,
) {
    match message {
        Message::Event(event) => {
            queued.fetch_sub(event.weight(), Ordering::Relaxed);
            let record = event.record(config, !crowded);
            telemetry.with(|fold, by_app| {
                by_app.add(&record);
                fold.add(record);
            });
        }
        Message::Feedback(at, feedback) => {
            let feedback = event::private(config, feedback);
            telemetry.with(|fold, _| fold.feedback(at, feedback));
        }
        // Whoever waited may have gone.
        Message::Flush(done) => done.send(()).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::ChatRequest;
    use connect::tap::Summary;
    use domain::ids::{Digest, Generation, ReleaseId, RequestId};
    use domain::routing::{Arm, Decision};
    use domain::telemetry::AnswerStatus;
    use domain::units::{Clock, Share};
    use std::time::Duration;

    fn config(queue: usize) -> Config {
        let key = domain::keys::SecretKey::from_random([1; 32]).public();
        let clock = Clock::new(|| Timestamp(0));
        let mut config = Config::new("gw".parse().unwrap(), "unused".into(), key, [0; 32], clock);
        config.event_queue = queue;
        config
    }

    fn event(text: usize) -> Event {
        let body = bytes::Bytes::from_static(br#"{"model":"app/x"}"#);
        Event {
            id: RequestId::from_random([1; 15]),
            at: Timestamp(0),
            app: "x".parse().unwrap(),
            generation: Generation(1),
            decision: Decision {
                arm: Arm::Stable,
                release: ReleaseId(Digest::of(b"r")),
                bucket: 0,
                rollout: None,
                step: 0,
                share: Share::NONE,
                drawn: None,
                shadow: None,
                killed: false,
            },
            subject: String::new(),
            tenant: None,
            request: Arc::new(ChatRequest::parse(&body).unwrap()),
            answer_schema: None,
            preview: None,
            prompt: bytes::Bytes::from(vec![b'x'; text]),
            served: None,
            status: AnswerStatus::Ok,
            error: None,
            fallback: "none",
            latency: Duration::ZERO,
            ttft: Duration::ZERO,
            retries: 0,
            summary: Summary::default(),
        }
    }

    #[tokio::test]
    async fn a_full_queue_drops_and_counts_and_never_waits() {
        let counters = Arc::new(Counters::default());
        let (sink, received) = queue(&config(3), &counters);
        for _ in 0..10 {
            sink.send(event(0));
        }
        assert_eq!(counters.telemetry_dropped.get(), 7);
        let feedback = serde_json::json!({"request_id": RequestId::from_random([1; 15]), "name": "n", "value": 1});
        assert!(
            !sink.feedback(Timestamp(0), serde_json::from_value(feedback).unwrap()),
            "told, not lost"
        );
        // What got in is folded, and there is room again.
        let telemetry = Arc::new(Telemetry::new());
        let folding = tokio::spawn(fold(config(3), telemetry.clone(), sink.clone(), received));
        sink.flush().await;
        sink.send(event(0));
        sink.flush().await;
        assert_eq!(counters.telemetry_dropped.get(), 7);
        assert_eq!(telemetry.with(|fold, _| fold.records()), 4);
        folding.abort();
    }

    #[tokio::test]
    async fn texts_in_the_queue_are_bounded_in_bytes() {
        let counters = Arc::new(Counters::default());
        let (sink, _received) = queue(&config(100), &counters);
        let half = MAX_QUEUED_BYTES / 2;
        for _ in 0..4 {
            sink.send(event(half));
        }
        assert_eq!(counters.telemetry_dropped.get(), 2);
    }
}
