//! Numbers for Prometheus. The path adds to atomics; what needs a map is
//! counted by the telemetry task from the same events control receives.

use crate::state::Serving;
use domain::routing::Arm;
use domain::telemetry::{AnswerStatus, RequestRecord};
use domain::units::Timestamp;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Upper bounds of the latency histogram, in milliseconds.
const BOUNDS_MS: [u64; 13] =
    [5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000];

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What the path and the background tasks count.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Requests of any kind.
    pub(crate) requests: Counter,
    /// Requests refused before an app was known: token, form, size.
    pub(crate) refused: Counter,
    /// Mirrored requests that found no free place.
    pub(crate) shadow_shed: Counter,
    /// Events that found the queue full.
    pub(crate) telemetry_dropped: Counter,
    /// Batches delivered.
    pub(crate) batches_shipped: Counter,
    /// Snapshots refused: forged, older, unreadable.
    pub(crate) snapshots_rejected: Counter,
    /// The last exchange with control worked.
    pub(crate) control_up: Flag,
}

/// A yes or no that changes.
#[derive(Debug, Default)]
pub(crate) struct Flag(AtomicBool);

impl Flag {
    pub(crate) fn set(&self, value: bool) {
        self.0.store(value, Ordering::Relaxed);
    }
    pub(crate) fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counts by app, kept by the telemetry task.
#[derive(Debug, Default)]
pub(crate) struct ByApp {
    answers: BTreeMap<(String, Arm, AnswerStatus), u64>,
    latency: BTreeMap<(String, Arm), Histogram>,
}

#[derive(Debug, Default)]
struct Histogram {
    /// Per bound, and one for everything above.
    counts: [u64; BOUNDS_MS.len() + 1],
    sum_us: u64,
}

impl ByApp {
    pub(crate) fn add(&mut self, record: &RequestRecord) {
        let app = record.app.as_str().to_owned();
        let answers = self.answers.entry((app.clone(), record.arm, record.status)).or_default();
        *answers = answers.saturating_add(1);
        let histogram = self.latency.entry((app, record.arm)).or_default();
        let ms = record.latency_us.div_ceil(1000);
        let place = BOUNDS_MS.iter().position(|bound| ms <= *bound).unwrap_or(BOUNDS_MS.len());
        if let Some(count) = histogram.counts.get_mut(place) {
            *count = count.saturating_add(1);
        }
        histogram.sum_us = histogram.sum_us.saturating_add(record.latency_us);
    }
}

fn status(status: AnswerStatus) -> &'static str {
    match status {
        AnswerStatus::Ok => "ok",
        AnswerStatus::ProviderError => "provider_error",
        AnswerStatus::Timeout => "timeout",
        AnswerStatus::Cut => "cut",
        AnswerStatus::BadRequest => "bad_request",
        AnswerStatus::Killed => "killed",
        AnswerStatus::Cancelled => "cancelled",
    }
}

/// The text Prometheus reads (exposition format 0.0.4).
pub(crate) fn render(
    counters: &Counters,
    by_app: &ByApp,
    serving: &Serving,
    now: Timestamp,
) -> String {
    let mut out = Text::default();
    out.head("tidegate_requests_total", "counter", "Answers, by app, arm and how they ended.");
    for ((app, arm, state), n) in &by_app.answers {
        let labels = format!("app=\"{app}\",arm=\"{}\",status=\"{}\"", arm.key(), status(*state));
        out.line("tidegate_requests_total", &labels, n);
    }
    out.head("tidegate_request_duration_seconds", "histogram", "From arrival to the last byte.");
    for ((app, arm), histogram) in &by_app.latency {
        histogram.write(&mut out, &format!("app=\"{app}\",arm=\"{}\"", arm.key()));
    }
    let counted = [
        ("tidegate_http_requests_total", "Requests of any kind.", &counters.requests),
        ("tidegate_refused_total", "Requests refused before an app was known.", &counters.refused),
        (
            "tidegate_shadow_shed_total",
            "Mirrored requests that found no free place.",
            &counters.shadow_shed,
        ),
        (
            "tidegate_telemetry_dropped_total",
            "Answers that could not be counted.",
            &counters.telemetry_dropped,
        ),
        (
            "tidegate_batches_shipped_total",
            "Batches of counts delivered to control.",
            &counters.batches_shipped,
        ),
        ("tidegate_snapshots_rejected_total", "Snapshots refused.", &counters.snapshots_rejected),
    ];
    for (name, help, counter) in counted {
        out.head(name, "counter", help);
        out.line(name, "", &counter.get());
    }
    out.gauge(
        "tidegate_control_up",
        "1 if the last exchange with control worked.",
        f64::from(u8::from(counters.control_up.get())),
    );
    out.gauge("tidegate_snapshot_generation", "Generation served.", serving.generation().0 as f64);
    let age = serving.compiled.as_ref().map_or(0.0, |c| now.since(c.issued_at).secs());
    out.gauge("tidegate_snapshot_age_seconds", "Time since the served snapshot was compiled.", age);
    out.gauge(
        "tidegate_local_kills",
        "Kills thrown here that control has not taken up.",
        serving.kills.len() as f64,
    );
    out.0
}

impl Histogram {
    fn write(&self, out: &mut Text, labels: &str) {
        let name = "tidegate_request_duration_seconds";
        let mut below = 0_u64;
        for (i, count) in self.counts.iter().enumerate() {
            below = below.saturating_add(*count);
            let bound =
                BOUNDS_MS.get(i).map_or("+Inf".to_owned(), |ms| (*ms as f64 / 1000.0).to_string());
            out.line(&format!("{name}_bucket"), &format!("{labels},le=\"{bound}\""), &below);
        }
        out.line(&format!("{name}_sum"), labels, &(self.sum_us as f64 / 1e6));
        out.line(&format!("{name}_count"), labels, &below);
    }
}

#[derive(Default)]
struct Text(String);

impl Text {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        self.push(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    fn line(&mut self, name: &str, labels: &str, value: &dyn std::fmt::Display) {
        if labels.is_empty() {
            self.push(format_args!("{name} {value}\n"));
        } else {
            self.push(format_args!("{name}{{{labels}}} {value}\n"));
        }
    }

    fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.head(name, "gauge", help);
        self.line(name, "", &value);
    }

    fn push(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        self.0.write_fmt(text).unwrap_or_default();
    }
}
