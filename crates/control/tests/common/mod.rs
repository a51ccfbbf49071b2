//! An installation in a temporary directory, with a clock that only the test
//! moves: real git, real SQLite, no network.

#![allow(dead_code, reason = "each test file uses its own part")]

use analysis::cells::{Batch, Cells};
use domain::approval::Decision;
use domain::ids::{AppName, ChangeId, Digest, GatewayName, Generation, RequestId, RolloutId};
use domain::people::Role;
use domain::routing::{Arm, Facts, route};
use domain::snapshot::{AppSnapshot, Snapshot};
use domain::telemetry::{AnswerStatus, Feedback, RequestRecord};
use domain::units::{Clock, Span, Timestamp};
use opsrepo::Files;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use tempfile::TempDir;
use tidegate_control::views::{Edit, NewApproval, NewChange, NewToken, PersonView};
use tidegate_control::{Caller, Config, Control, InitOptions, init};

pub const APP: &str = "greeter";

/// A small ops repo of one app that answers from recordings.
pub fn files() -> Files {
    let text = |path: &str, content: &str| (path.to_owned(), content.as_bytes().to_vec());
    Files::from([
        text("tidegate.yaml", "apiVersion: tidegate/v1\n"),
        text(
            "apps/greeter/app.yaml",
            "apiVersion: tidegate/v1\nowner: greetings\nrisk: low\naudience: internal\nvariables:\n  name: {example: Ada}\n",
        ),
        text(
            "apps/greeter/release.yaml",
            "apiVersion: tidegate/v1\nversion: 1.0.0\nprompt: hello\nmodel: small\nparameters: {temperature: 0.2, max_tokens: 100}\n",
        ),
        text(
            "apps/greeter/prompts/hello/prompt.yaml",
            "apiVersion: tidegate/v1\nversion: 1.0.0\nchangelog: first\nmessages:\n  - {role: system, template: system.j2}\n",
        ),
        text("apps/greeter/prompts/hello/system.j2", "Greet {{ name }}.\n"),
        text("apps/greeter/fallback.yaml", "apiVersion: tidegate/v1\ndefault: Hello.\n"),
        text("apps/greeter/rollout.yaml", PLAN),
        text(
            "models/small.yaml",
            "apiVersion: tidegate/v1\nversion: 1.0.0\nprovider: {kind: replay, key: '{{ name }}', recordings: [apps/greeter/evals/recordings/small.jsonl]}\nprovider_model: small-2026-01\ncontext_window: 8000\ntokenizer: cl100k_base\nprices: {input_per_million: 1, output_per_million: 2}\n",
        ),
        text(
            "apps/greeter/evals/recordings/small.jsonl",
            "{\"model\":\"small-2026-01\",\"key\":\"Ada\",\"response\":\"Hello Ada\"}\n",
        ),
    ])
}

pub const PLAN: &str = "apiVersion: tidegate/v1
subject: user
check_every: 1s
planned: {duration: 1h, requests: 5000}
risk: {false_stop: 1%, false_promote: 5%}
steps:
  - shadow: {share: 50%, until: {requests: 20}}
  - weight: {share: 10%, hold: 5s, min_requests: 10}
  - weight: {share: 50%, until: evidence, at_most: 1h}
  - promote: {}
signals:
  - {name: error, kind: rate, worse: higher, notice: {by: 0.05}, action: rollback}
  - {name: rejected, kind: rate, worse: higher, notice: {by: 0.1}, action: rollback}
missing: {hold_for: 5m, then: pause}
after_rollback: {cool_down: 1m}
";

/// The installation.
pub struct House {
    pub control: Arc<Control>,
    pub now: Arc<AtomicI64>,
    pub dir: TempDir,
    seq: AtomicU64,
    ids: AtomicU64,
}

pub fn config(dir: &TempDir, now: &Arc<AtomicI64>) -> Config {
    let time = now.clone();
    Config {
        data: dir.path().join("data"),
        origin: "tidegate.test/log".to_owned(),
        public_url: "http://localhost:8080".to_owned(),
        gateway_url: None,
        environment: "production".parse().unwrap(),
        look_every: Span::from_secs(1),
        gateway_silence: Span::from_secs(10),
        clock: Clock::new(move || Timestamp(time.load(Ordering::SeqCst))),
        executable: "/bin/true".into(),
        prometheus: None,
        demo: false,
        env_keys: connect::classifier::Keys::none(),
        sign_on: Vec::new(),
    }
}

impl House {
    pub async fn new() -> Self {
        Self::with(files()).await
    }

    pub async fn with(files: Files) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let now = Arc::new(AtomicI64::new(1_760_000_000_000));
        let options = InitOptions { admin: person("root", &[Role::Admin, Role::Operator]), files };
        init(config(&dir, &now), options).await.unwrap();
        let control = Control::open(config(&dir, &now)).await.unwrap();
        let house = Self { control, now, dir, seq: AtomicU64::new(0), ids: AtomicU64::new(0) };
        let root = house.caller("root", &[Role::Admin, Role::Operator]);
        for (name, roles) in [
            ("ana", &[Role::Editor][..]),
            ("priya", &[Role::Approver]),
            ("omar", &[Role::Operator]),
            ("irina", &[Role::Auditor]),
        ] {
            house.control.put_person(&root, person(name, roles)).await.unwrap();
        }
        house
    }

    /// The process was killed and started again.
    pub async fn restart(&mut self) {
        self.control = Control::open(config(&self.dir, &self.now)).await.unwrap();
    }

    pub fn caller(&self, name: &str, roles: &[Role]) -> Caller {
        let view = person(name, roles);
        Caller {
            person: domain::people::Person {
                name: view.name,
                display: view.display,
                email: view.email,
                roles: view.roles,
            },
            source: None,
            session: None,
            token: None,
        }
    }

    pub fn ana(&self) -> Caller {
        self.caller("ana", &[Role::Editor])
    }

    pub fn priya(&self) -> Caller {
        self.caller("priya", &[Role::Approver])
    }

    pub fn omar(&self) -> Caller {
        self.caller("omar", &[Role::Operator])
    }

    pub async fn pass(&self, ms: i64) {
        self.now.fetch_add(ms, Ordering::SeqCst);
        self.control.look().await;
    }

    /// Ana proposes this prompt text; the gates run.
    pub async fn propose(&self, text: &str) -> ChangeId {
        let new = NewChange {
            app: app(),
            title: Some("Greet better".to_owned()),
            why: "people asked for a nicer greeting".to_owned(),
            edits: vec![Edit {
                path: "apps/greeter/prompts/hello/system.j2".to_owned(),
                content: Some(text.to_owned()),
            }],
            branch: None,
            bump: Some("minor".to_owned()),
        };
        let change = self.control.create_change(&self.ana(), new).await.unwrap();
        self.control.look().await;
        change.id
    }

    /// Priya says yes; the merge happens.
    pub async fn approve(&self, id: ChangeId) -> RolloutId {
        let view = self.control.change(&self.priya(), id).await.unwrap();
        let yes = NewApproval {
            decision: Decision::Approve,
            comment: "fine".to_owned(),
            content: view.content,
        };
        self.control.decide(&self.priya(), id, None, yes).await.unwrap();
        self.control.look().await;
        let change = self.control.change(&self.priya(), id).await.unwrap();
        change.rollout.unwrap_or_else(|| panic!("no rollout: {:?}", change.summary))
    }

    /// The snapshot as a gateway would open it.
    pub async fn snapshot(&self) -> (Generation, Snapshot) {
        let published = self
            .control
            .snapshot_after(Generation(0), std::time::Duration::from_secs(1))
            .await
            .unwrap();
        (published.generation, serde_json::from_str(&published.signed.body).unwrap())
    }

    /// Serves `n` requests the way a gateway would, and ships what it counted.
    /// `rejected(arm, i)` is what the user of request `i` posts.
    pub async fn traffic(&self, n: u64, rejected: impl Fn(Arm, u64) -> bool) {
        self.traffic_through(1, n, rejected).await;
    }

    /// The same requests through so many gateways, the last of them first.
    pub async fn traffic_through(
        &self,
        gateways: u64,
        n: u64,
        rejected: impl Fn(Arm, u64) -> bool,
    ) {
        let (generation, snapshot) = self.snapshot().await;
        // The same people get the candidate in every house.
        let app = AppSnapshot { salt: "salt".to_owned(), ..snapshot.apps[&app()].clone() };
        let first = self.ids.fetch_add(n, Ordering::SeqCst);
        for gateway in (0..gateways).rev() {
            let mine = (first..first + n).filter(|i| i % gateways == gateway);
            self.serve(generation, &app, &format!("gw-{}", gateway + 1), mine, &rejected).await;
        }
    }

    async fn serve(
        &self,
        generation: Generation,
        app: &AppSnapshot,
        gateway: &str,
        mine: impl Iterator<Item = u64>,
        rejected: &impl Fn(Arm, u64) -> bool,
    ) {
        let gateway: GatewayName = gateway.parse().unwrap();
        let now = Timestamp(self.now.load(Ordering::SeqCst));
        let (mut cells, mut records, mut feedback) = (Cells::default(), Vec::new(), Vec::new());
        for i in mine {
            let subject = format!("user-{i}");
            let decision = route(app, Facts { subject: &subject, segment: None });
            let at = Timestamp(now.0 - (i * 37 % 500) as i64);
            let mut bytes = [0; 15];
            bytes[..8].copy_from_slice(&i.to_be_bytes());
            let record = RequestRecord {
                id: RequestId::from_random(bytes),
                at,
                gateway: gateway.clone(),
                app: self::app(),
                release: decision.release,
                arm: decision.arm,
                rollout: decision.rollout,
                step: decision.step,
                share: decision.share,
                drawn: decision.drawn.clone(),
                generation,
                bucket: decision.bucket,
                subject,
                tenant: None,
                input: Digest::of(&i.to_be_bytes()),
                status: AnswerStatus::Ok,
                error: None,
                fallback: "none".to_owned(),
                streamed: false,
                latency_us: 1000,
                ttft_us: 500,
                retries: 0,
                prompt_tokens: 10,
                completion_tokens: 10,
                cost_nano_usd: 1000,
                schema_failed: None,
                served_model: None,
                prompt: None,
                answer: None,
                preview: None,
            };
            let mut both = vec![record.clone()];
            if let Some(release) = decision.shadow {
                both.push(RequestRecord { release, arm: Arm::Shadow, ..record });
            }
            for record in both {
                cells.add(&record);
                feedback.push((
                    at,
                    Feedback {
                        request_id: Some(record.id.clone()),
                        subject: None,
                        app: None,
                        name: "rejected".to_owned(),
                        value: f64::from(u8::from(rejected(record.arm, i))),
                        comment: None,
                        shadow: record.arm == Arm::Shadow,
                    },
                ));
                records.push(record);
            }
        }
        self.ship(gateway, generation, cells.take(), records, feedback).await;
    }

    /// The gateway says what it serves.
    pub async fn heartbeat(&self) {
        let (generation, _) = self.snapshot().await;
        self.ship(gateway(), generation, Vec::new(), Vec::new(), Vec::new()).await;
    }

    pub async fn ship(
        &self,
        gateway: GatewayName,
        serving: Generation,
        cells: Vec<(analysis::cells::CellKey, analysis::cells::Cell)>,
        records: Vec<RequestRecord>,
        feedback: Vec<(Timestamp, Feedback)>,
    ) {
        let batch = Batch {
            gateway,
            epoch: 1,
            seq: self.seq.fetch_add(1, Ordering::SeqCst) + 1,
            serving,
            cells,
            records,
            feedback,
            dropped: 0,
        };
        self.control.ingest(batch).await.unwrap();
    }
}

pub fn app() -> AppName {
    APP.parse().unwrap()
}

fn gateway() -> GatewayName {
    "gw-1".parse().unwrap()
}

pub fn person(name: &str, roles: &[Role]) -> PersonView {
    PersonView {
        name: name.parse().unwrap(),
        display: name.to_owned(),
        email: format!("{name}@example.com"),
        roles: roles.iter().copied().collect(),
    }
}

pub fn token_for(name: &str) -> NewToken {
    NewToken {
        person: Some(name.parse().unwrap()),
        apps: Default::default(),
        gateway: false,
        note: String::new(),
        lifetime: None,
    }
}
