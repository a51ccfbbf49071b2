//! Charts of a rollout, ready to draw: the looks of it put into at most so many
//! buckets. The browser computes no statistics.

use crate::Control;
use crate::caller::Caller;
use crate::problem::Problem;
use domain::ids::RolloutId;
use domain::policy::{Signal, SignalKind, Statistic, Worse};
use domain::rollout::Report;
use domain::sentence::Sentence;
use domain::units::{Span, Timestamp};
use domain::verdict::{Outcome, Verdict};
use serde::Serialize;
use std::collections::BTreeMap;
use store::{Kind, Query};

/// Most points of a line; also how many there are if nothing is said.
pub const MAX_POINTS: u32 = 240;

/// Buckets between two looks from which on there is a gap in the line. No bucket
/// is shorter than looks are to be apart.
const LATE: i64 = 3;

/// `GET /api/v1/rollouts/{id}/series`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SeriesView {
    /// The rollout.
    pub rollout: RolloutId,
    /// The beginning of the first bucket.
    pub from: Timestamp,
    /// The end of the last one.
    pub to: Timestamp,
    /// How long a bucket is, in milliseconds.
    pub bucket_ms: i64,
    /// One line each, in the order of the policy.
    pub signals: Vec<SignalSeries>,
}

/// One signal.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SignalSeries {
    /// Its name in the policy.
    pub key: String,
    /// The same for people.
    pub label: String,
    /// `share`, `ms`, `usd`, `tokens`, `score`.
    pub unit: &'static str,
    /// Which direction is good: `lower` or `higher`.
    pub better: &'static str,
    /// In order of time, at most one for each bucket that was looked at; one
    /// without numbers where nobody looked for a while.
    pub points: Vec<Point>,
    /// The absolute limit, if there is one.
    pub limit: Option<f64>,
    /// Failing checks in a row at the newest look.
    pub breaches: u32,
    /// How many in a row make the action follow; 0 if it is not counted so.
    pub breaches_needed: u32,
    /// What follows then.
    pub action: domain::policy::SignalAction,
    /// Outcomes of the candidate at the newest look.
    pub n: u64,
    /// Outcomes of it that are wanted before a verdict.
    pub need: u64,
    /// The newest look in a sentence.
    pub text: String,
    /// The same with its code and numbers.
    pub sentence: Option<Sentence>,
    /// Its outcome.
    pub state: Option<Outcome>,
}

/// A bucket: its last look. Null where nobody looked, or nothing was seen.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Point {
    /// When it was looked; the middle of the gap where nobody did.
    pub at: Timestamp,
    /// Today's version.
    pub control: Option<f64>,
    /// The new one.
    pub candidate: Option<f64>,
    /// Where the new one plausibly lies: today's value plus the interval of the
    /// difference. Lower end.
    pub lo: Option<f64>,
    /// Upper end.
    pub hi: Option<f64>,
}

impl Control {
    /// The charts of a rollout.
    ///
    /// # Errors
    /// `no_such_rollout`.
    pub async fn series(
        &self,
        _caller: &Caller,
        id: RolloutId,
        points: Option<u32>,
    ) -> Result<SeriesView, Problem> {
        let record = self.rollout_record(id).await?.doc;
        let state = &record.state;
        let ended = state.decided_at.filter(|_| state.phase.is_final());
        let newest = record.report.as_ref().map(|report| report.at);
        let from = state.started_at;
        let to = newest.max(ended).unwrap_or_else(|| self.clock.now());
        let mut buckets =
            Buckets::new(from, to, state.policy.check_every, points.unwrap_or(MAX_POINTS));
        let mut query = Query::of(Kind::Tick).parent(id).newest_first().limit(store::MAX_PAGE);
        // A page at a time: of a week's looks only one for each bucket is kept.
        loop {
            let page = self.store.list::<Report>(query.clone()).await?;
            for tick in page.items {
                buckets.put(tick.doc);
            }
            match page.next {
                Some(next) if !buckets.is_full() => query = query.after(Some(next)),
                _ => break,
            }
        }
        let newest = record.report.as_ref();
        let signals =
            state.policy.signals.iter().map(|signal| buckets.line(signal, newest)).collect();
        Ok(SeriesView {
            rollout: id,
            from,
            to: buckets.end(),
            bucket_ms: buckets.width.millis(),
            signals,
        })
    }
}

struct Buckets {
    from: Timestamp,
    width: Span,
    count: i64,
    /// The newest look of each.
    looks: BTreeMap<i64, Report>,
}

impl Buckets {
    fn new(from: Timestamp, to: Timestamp, check_every: Span, points: u32) -> Self {
        let points = i64::from(points.clamp(1, MAX_POINTS));
        let time = to.since(from).millis().max(0).saturating_add(1);
        // No bucket is shorter than two looks are apart, or every other one
        // would be empty.
        let width = (time / points + i64::from(time % points > 0)).max(check_every.millis()).max(1);
        let count = time / width + i64::from(time % width > 0);
        Self { from, width: Span::from_millis(width), count, looks: BTreeMap::new() }
    }

    fn end(&self) -> Timestamp {
        Timestamp(self.from.0.saturating_add(self.width.millis().saturating_mul(self.count)))
    }

    /// Looks come newest first.
    fn put(&mut self, report: Report) {
        let place = report.at.0.saturating_sub(self.from.0).div_euclid(self.width.millis());
        if (0..self.count).contains(&place) {
            self.looks.entry(place).or_insert(report);
        }
    }

    fn is_full(&self) -> bool {
        self.looks.contains_key(&0)
    }

    /// A point without numbers between two looks that are further apart than
    /// looks that come a little late: nobody looked, and no line is drawn there.
    fn gap(&self, before: Timestamp, after: Timestamp) -> Option<Point> {
        let apart = after.since(before).millis();
        let missed = apart > self.width.millis().saturating_mul(LATE);
        missed.then(|| Point::of(Timestamp(before.0.saturating_add(apart / 2)), None))
    }

    fn line(&self, signal: &Signal, newest: Option<&Report>) -> SignalSeries {
        let of = |report: &Report| {
            report.signals.iter().find(|s| s.verdict.signal == signal.name).cloned()
        };
        let mut points = Vec::with_capacity(self.looks.len());
        let mut before: Option<Timestamp> = None;
        for report in self.looks.values() {
            points.extend(before.and_then(|before| self.gap(before, report.at)));
            points.push(Point::of(report.at, of(report).as_ref().map(|s| &s.verdict)));
            before = Some(report.at);
        }
        let last = newest.and_then(of);
        let verdict = last.as_ref().map(|s| &s.verdict);
        let n = verdict.map_or(0, |v| v.candidate.n);
        SignalSeries {
            key: signal.name.clone(),
            label: label(signal),
            unit: unit(signal),
            better: if signal.worse == Worse::Higher { "lower" } else { "higher" },
            points,
            limit: signal.limit.map(|limit| limit.0),
            breaches: last.as_ref().map_or(0, |s| s.over),
            breaches_needed: last.as_ref().map_or(0, |s| s.over_needed),
            action: signal.action,
            n,
            need: verdict
                .and_then(|v| v.needed)
                .map_or(signal.min_samples, |more| n.saturating_add(more)),
            text: last.as_ref().map(|s| s.text.text.clone()).unwrap_or_default(),
            sentence: last.as_ref().map(|s| s.text.clone()),
            state: verdict.map(|v| v.outcome),
        }
    }
}

impl Point {
    fn of(at: Timestamp, verdict: Option<&Verdict>) -> Self {
        let usable = |value: Option<f64>| value.filter(|v| v.is_finite());
        let control = usable(verdict.and_then(|v| v.control.value));
        let interval = verdict.and_then(|v| v.interval);
        let end = |bound: Option<f64>| usable(Some(control? + bound?));
        Self {
            at,
            control,
            candidate: usable(verdict.and_then(|v| v.candidate.value)),
            lo: end(interval.map(|i| i.0)),
            hi: end(interval.map(|i| i.1)),
        }
    }
}

/// The signal in words for people who know no statistics.
fn label(signal: &Signal) -> String {
    let plain = match signal.name.as_str() {
        "error" => "Errors",
        "latency_ms" => "Response time",
        "ttft_ms" => "Time to the first word",
        "cost" => "Cost per request",
        "output_tokens" => "Length of answers",
        "fallback" => "Prepared answers instead of AI",
        "schema_failure" => "Answers of the wrong form",
        other => return spoken(other),
    };
    match signal.statistic {
        Some(Statistic::P95 | Statistic::P99) => format!("{plain} (slow ones)"),
        _ => plain.to_owned(),
    }
}

/// `hallucination_risk` is said "Hallucination risk".
fn spoken(name: &str) -> String {
    let words = name.replace(['_', '-', '.'], " ");
    let mut letters = words.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

fn unit(signal: &Signal) -> &'static str {
    match (signal.name.as_str(), signal.kind) {
        ("cost", _) => "usd",
        ("output_tokens", _) => "tokens",
        (_, SignalKind::Rate) => "share",
        (_, SignalKind::Latency) => "ms",
        (_, SignalKind::Score | SignalKind::Amount) => "score",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    fn buckets(minutes: i64, points: u32) -> Buckets {
        let from = Timestamp(1_000 * MINUTE);
        Buckets::new(from, Timestamp(from.0 + minutes * MINUTE), Span::from_secs(60), points)
    }

    #[test]
    fn buckets_are_few_and_no_shorter_than_a_look() {
        for (minutes, points) in [(0, 240), (1, 240), (10, 240), (239, 240), (10_080, 240), (99, 7)]
        {
            let made = buckets(minutes, points);
            assert!(
                made.count <= i64::from(points) && made.count >= 1,
                "{minutes}: {}",
                made.count
            );
            assert!(made.width.millis() >= MINUTE, "{minutes}");
            assert!(
                made.end().0 > made.from.0 + minutes * MINUTE,
                "the newest look is in the last"
            );
        }
        assert_eq!(buckets(10_080, 100_000).count, 240, "never more than the most");
        assert_eq!(buckets(5, 0).count, 1);
    }

    #[test]
    fn a_late_look_is_no_gap_and_a_silence_is() {
        let made = buckets(240, 240);
        let at = |minutes: i64| Timestamp(made.from.0 + minutes * MINUTE);
        assert_eq!(made.gap(at(1), at(3)), None);
        let gap = made.gap(at(10), at(50)).unwrap();
        assert_eq!((gap.at, gap.control, gap.candidate), (at(30), None, None));
    }

    #[test]
    fn labels_are_words() {
        assert_eq!(spoken("hallucination_risk"), "Hallucination risk");
        assert_eq!(spoken(""), "");
    }
}
