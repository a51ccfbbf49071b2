//! A gateway on a port of its own, with a control that lives in the test.

#![allow(dead_code, reason = "each test binary uses its part")]

#[path = "../../../connect/tests/common/mod.rs"]
pub mod upstream;

use analysis::cells::Batch;
use bytes::Bytes;
use connect::http::Client;
use domain::component::ComponentKind;
use domain::ids::{AppName, Digest, Generation, ReleaseId};
use domain::keys::SecretKey;
use domain::rollout::Exposure;
use domain::snapshot::{
    AppSnapshot, FORMAT, Grant, LocalKill, OnError, RolloutExposure, ServedRelease, SignedSnapshot,
    Snapshot,
};
use domain::telemetry::RequestRecord;
use domain::units::{Clock, Share, Span, Timestamp};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tidegate_gateway::{BoxFuture, Config, Gateway, Link, LinkError, Secrets};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

pub const TOKEN: &str = "tgk_test";
pub const OPERATOR: &str = "tgk_operator";
pub const START: i64 = 1_790_000_000_000;

pub fn key() -> SecretKey {
    SecretKey::from_random([7; 32])
}

/// A control with everything a link asks of it.
pub struct Control {
    state: watch::Sender<State>,
}

#[derive(Default)]
struct State {
    down: bool,
    snapshot: Option<SignedSnapshot>,
    /// Grows with every hand-over, so that a refused snapshot is offered once.
    offer: u64,
    blobs: HashMap<Digest, Bytes>,
    batches: Vec<Batch>,
    kills: Vec<LocalKill>,
    kills_from: Option<Generation>,
    taken: u64,
    refuse: usize,
}

impl Control {
    pub fn new() -> Arc<Self> {
        Arc::new(Self { state: watch::Sender::new(State::default()) })
    }

    pub fn publish(&self, snapshot: &Snapshot) {
        self.offer(SignedSnapshot::sign(snapshot, &key()).expect("signs"));
    }

    /// Offers bytes as they are, once.
    pub fn offer(&self, signed: SignedSnapshot) {
        self.state.send_modify(|s| {
            s.snapshot = Some(signed);
            s.offer += 1;
        });
    }

    pub fn blob(&self, digest: Digest, bytes: &[u8]) {
        self.state.send_modify(|s| {
            s.blobs.insert(digest, Bytes::copy_from_slice(bytes));
        });
    }

    pub fn down(&self, down: bool) {
        self.state.send_modify(|s| s.down = down);
    }

    /// Takes the next batches and says that it did not.
    pub fn lose_answers(&self, n: usize) {
        self.state.send_modify(|s| s.refuse = n);
    }

    /// Kills are reflected from this generation on.
    pub fn acknowledge_kills_from(&self, generation: u64) {
        self.state.send_modify(|s| s.kills_from = Some(Generation(generation)));
    }

    pub fn kills(&self) -> Vec<LocalKill> {
        self.state.borrow().kills.clone()
    }

    /// Waits until what was shipped satisfies the test; duplicates removed.
    pub async fn shipped<T>(&self, enough: impl Fn(&[Batch]) -> Option<T>) -> T {
        upstream::patiently("what was to be shipped", self.until_shipped(enough)).await
    }

    async fn until_shipped<T>(&self, enough: impl Fn(&[Batch]) -> Option<T>) -> T {
        let mut seen = self.state.subscribe();
        loop {
            let found = enough(&unique(&seen.borrow_and_update().batches));
            match found {
                Some(found) => return found,
                None => seen.changed().await.expect("control lives"),
            }
        }
    }

    pub fn all_batches(&self) -> Vec<Batch> {
        self.state.borrow().batches.clone()
    }

    /// Waits for so many records, in order of arrival.
    pub async fn records(&self, n: usize) -> Vec<RequestRecord> {
        self.shipped(|batches| {
            let all: Vec<_> = batches.iter().flat_map(|b| b.records.clone()).collect();
            (all.len() >= n).then_some(all)
        })
        .await
    }

    pub async fn record(&self) -> RequestRecord {
        self.records(1).await.remove(0)
    }

    /// Waits until the gateway says that it serves this generation.
    pub async fn serving(&self, generation: u64) {
        self.shipped(|b| b.iter().any(|b| b.serving == Generation(generation)).then_some(())).await;
    }

    pub async fn killed(&self, n: usize) {
        let mut state = self.state.subscribe();
        let delivered = state.wait_for(|s| s.kills.len() >= n);
        upstream::patiently("a kill", delivered).await.expect("control lives");
    }
}

pub fn unique(batches: &[Batch]) -> Vec<Batch> {
    let mut seen = BTreeSet::new();
    batches.iter().filter(|b| seen.insert((b.epoch, b.seq))).cloned().collect()
}

fn down() -> LinkError {
    LinkError::Unreachable("down, says the test".to_owned())
}

impl Link for Control {
    /// Offers what the test says, whatever the gateway has: a real control
    /// would hold an older one back.
    fn next_snapshot(
        &self,
        _have: Generation,
    ) -> BoxFuture<'_, Result<Option<SignedSnapshot>, LinkError>> {
        Box::pin(async move {
            let mut seen = self.state.subscribe();
            loop {
                let (is_down, news) = {
                    let state = seen.borrow_and_update();
                    (
                        state.down,
                        (state.offer > state.taken).then(|| (state.offer, state.snapshot.clone())),
                    )
                };
                if is_down {
                    return Err(down());
                }
                if let Some((offer, snapshot)) = news {
                    self.state.send_if_modified(|s| {
                        s.taken = offer;
                        false
                    });
                    return Ok(snapshot);
                }
                seen.changed().await.map_err(|_| down())?;
            }
        })
    }

    fn blob(&self, digest: Digest) -> BoxFuture<'_, Result<Bytes, LinkError>> {
        Box::pin(async move {
            let state = self.state.borrow();
            if state.down {
                return Err(down());
            }
            state
                .blobs
                .get(&digest)
                .cloned()
                .ok_or(LinkError::Unreachable("no such blob".to_owned()))
        })
    }

    fn ship<'a>(&'a self, batch: &'a Batch) -> BoxFuture<'a, Result<(), LinkError>> {
        Box::pin(async move {
            let mut outcome = Ok(());
            self.state.send_modify(|s| {
                if s.down {
                    outcome = Err(down());
                    return;
                }
                s.batches.push(batch.clone());
                if s.refuse > 0 {
                    s.refuse -= 1;
                    outcome = Err(down());
                }
            });
            outcome
        })
    }

    fn journal<'a>(
        &'a self,
        entries: &'a [LocalKill],
    ) -> BoxFuture<'a, Result<Generation, LinkError>> {
        Box::pin(async move {
            let mut from = None;
            self.state.send_modify(|s| {
                if !s.down && s.kills_from.is_some() {
                    s.kills.extend(entries.iter().cloned());
                    from = s.kills_from;
                }
            });
            from.ok_or_else(down)
        })
    }
}

/// What a test says about its app.
pub struct Setup {
    pub generation: u64,
    pub app: AppSnapshot,
    pub releases: BTreeMap<ReleaseId, ServedRelease>,
    pub blobs: BTreeSet<Digest>,
    pub tokens: BTreeMap<String, Grant>,
}

pub fn app_name() -> AppName {
    "support".parse().expect("a name")
}

pub fn release_id(name: &str) -> ReleaseId {
    ReleaseId(Digest::of(name.as_bytes()))
}

pub fn grant(name: &str, operate: bool) -> Grant {
    Grant { name: name.to_owned(), apps: BTreeSet::new(), operate, expires_at: None, preview: None }
}

pub fn token_key(token: &str) -> String {
    Digest::of(token.as_bytes()).hex()
}

/// A release that calls `base`, with a prompt of one system message.
pub fn openai(base: &str, system: &str) -> ServedRelease {
    release(json!({"kind": "openai", "base_url": base}), system)
}

pub fn release(provider: Value, system: &str) -> ServedRelease {
    let prompt = json!({
        "messages": [
            {"kind": "template", "role": "system", "file": "system.j2", "template": system},
            {"kind": "conversation"},
        ],
        "variables": {"topic": {"required": false, "default": "parcels"}, "name": {"required": true}},
    });
    let model = json!({
        "provider": provider, "provider_model": "up-1", "context_window": 8000, "tokenizer": "o200k_base",
        "price_input_per_million": 1.0, "price_output_per_million": 2.0,
    });
    ServedRelease {
        app: app_name(),
        components: BTreeMap::new(),
        contents: BTreeMap::from([(ComponentKind::Prompt, prompt), (ComponentKind::Model, model)]),
    }
}

impl Setup {
    pub fn new(stable: ServedRelease) -> Self {
        Self {
            generation: 1,
            app: AppSnapshot {
                production: release_id("stable"),
                salt: "salt".to_owned(),
                subject: domain::policy::SubjectKey::User,
                rollout: None,
                experiment: None,
                killed: None,
                fallback: None,
                on_error: OnError::Error,
                timeout: Span::from_secs(60),
                retries: 0,
            },
            releases: BTreeMap::from([(release_id("stable"), stable)]),
            blobs: BTreeSet::new(),
            tokens: BTreeMap::from([
                (token_key(TOKEN), grant("ci", false)),
                (token_key(OPERATOR), grant("operator", true)),
            ]),
        }
    }

    #[must_use]
    pub fn generation(mut self, generation: u64) -> Self {
        self.generation = generation;
        self
    }

    /// Everybody gets the candidate, or is mirrored to it.
    #[must_use]
    pub fn candidate(mut self, candidate: ServedRelease, weight: Share, shadow: Share) -> Self {
        self.releases.insert(release_id("candidate"), candidate);
        self.app.rollout = Some(RolloutExposure {
            rollout: domain::ids::RolloutId(9),
            step: 2,
            candidate: release_id("candidate"),
            exposure: Exposure { weight, shadow },
        });
        self
    }

    #[must_use]
    pub fn fallback(mut self, on_error: OnError) -> Self {
        self.app.fallback = Some(json!({
            "rules": [{"when": {"variable": "message", "contains": "refund"}, "answer": "Refunds take five days, {{ name }}."}],
            "hand_over": "A colleague will write to you.",
        }));
        self.app.on_error = on_error;
        self
    }

    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            format: FORMAT,
            environment: "production".parse().expect("a name"),
            generation: Generation(self.generation),
            issued_at: Timestamp(START),
            apps: BTreeMap::from([(app_name(), self.app.clone())]),
            releases: self.releases.clone(),
            tokens: self.tokens.clone(),
            blobs: self.blobs.clone(),
        }
    }
}

/// A running gateway.
pub struct Running {
    pub addr: SocketAddr,
    pub control: Arc<Control>,
    pub client: Client,
    pub clock: Arc<AtomicI64>,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<()>>,
}

pub fn config(dir: &Path, clock: &Arc<AtomicI64>) -> Config {
    let clock = clock.clone();
    let mut config = Config::new(
        "gw-1".parse().expect("a name"),
        PathBuf::from(dir),
        key().public(),
        [3; 32],
        Clock::new(move || Timestamp(clock.load(Ordering::SeqCst))),
    );
    config.ship_every = Duration::from_millis(10);
    config.secrets = Secrets::none();
    config
}

impl Running {
    pub async fn start(dir: &Path, control: Arc<Control>) -> Self {
        Self::start_with(dir, control, |_| {}).await
    }

    pub async fn start_with(
        dir: &Path,
        control: Arc<Control>,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let clock = Arc::new(AtomicI64::new(START));
        let mut config = config(dir, &clock);
        change(&mut config);
        let gateway = Gateway::start(config, control.clone()).await.expect("starts");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("bound");
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(gateway.serve(listener, async move {
            let _told = stopped.await;
        }));
        Self {
            addr,
            control,
            client: Client::new(),
            clock,
            stop: Some(stop),
            serving: Some(serving),
        }
    }

    /// A gateway that serves this already.
    pub async fn serving(dir: &Path, setup: &Setup) -> Self {
        Self::serving_with(dir, setup, |_| {}).await
    }

    pub async fn serving_with(dir: &Path, setup: &Setup, change: impl FnOnce(&mut Config)) -> Self {
        let control = Control::new();
        control.publish(&setup.snapshot());
        let running = Self::start_with(dir, control, change).await;
        running.control.serving(setup.generation).await;
        running
    }

    pub async fn stop(mut self) {
        if let Some(stop) = self.stop.take() {
            let _told = stop.send(());
        }
        if let Some(serving) = self.serving.take() {
            serving.await.expect("ends well");
        }
    }

    pub async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut request =
            Request::builder().method(method).uri(format!("http://{}{path}", self.addr));
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization")) {
            request = request.header("authorization", format!("Bearer {TOKEN}"));
        }
        for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
            request = request.header(*name, *value);
        }
        let request =
            request.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).expect("a request");
        let (head, body) = self.client.send(request).await.expect("an answer").into_parts();
        Answer { status: head.status, headers: head.headers, body }
    }

    /// Asks with `{"name": "Ana"}` as variables.
    pub async fn chat(&self, headers: &[(&str, &str)], extra: Value) -> Answer {
        let mut body = json!({
            "model": "app/support",
            "messages": [{"role": "user", "content": "Where is my refund?"}],
            "tidegate": {"vars": {"name": "Ana"}},
        });
        if let (Some(body), Some(extra)) = (body.as_object_mut(), extra.as_object()) {
            body.extend(extra.clone());
        }
        self.send("POST", "/v1/chat/completions", headers, &body.to_string()).await
    }

    pub async fn metrics(&self) -> String {
        self.send("GET", "/metrics", &[], "").await.text().await
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(serving) = &self.serving {
            serving.abort();
        }
    }
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Incoming,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().expect("text"))
    }

    pub async fn text(self) -> String {
        let bytes = self.body.collect().await.expect("a whole body").to_bytes();
        String::from_utf8(bytes.to_vec()).expect("text")
    }

    pub async fn json(self) -> Value {
        serde_json::from_str(&self.text().await).expect("JSON")
    }

    /// The next bytes of a stream.
    pub async fn piece(&mut self) -> Option<String> {
        let frame = self.body.frame().await?.expect("a frame");
        Some(String::from_utf8(frame.into_data().expect("data").to_vec()).expect("text"))
    }
}
