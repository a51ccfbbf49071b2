//! How a verdict on one trace came about: every look at which something changed
//! that matters, a line for each signal.

use super::super::failure::Failure;
use super::super::output::{Format, Out, table};
use super::verdict::{Seconds, TraceVerdict};
use analysis::backtest::{Look, START};
use domain::policy::{RolloutPolicy, Signal};
use domain::rollout::show;
use domain::verdict::{Outcome, Reason, Verdict};
use serde::Serialize;

/// Looks that are worth showing.
#[derive(Debug, Default)]
pub struct Log {
    /// Those kept, in order.
    looks: Vec<Look>,
    /// The latest one, if it was not kept.
    latest: Option<Look>,
    /// What was shown of each signal.
    shown: Vec<Shown>,
}

/// What was last shown of a signal.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Shown {
    outcome: Outcome,
    reason: Reason,
    measured: (bool, bool),
    evidence: f64,
}

impl Shown {
    fn of(verdict: &Verdict) -> Self {
        Self {
            outcome: verdict.outcome,
            reason: verdict.reason,
            measured: (verdict.candidate.n > 0, verdict.control.n > 0),
            evidence: verdict.evidence.unwrap_or(1.0),
        }
    }

    /// True if a reader would want to know.
    fn differs(&self, now: &Self) -> bool {
        (self.outcome, self.reason, self.measured) != (now.outcome, now.reason, now.measured)
            || now.evidence <= self.evidence / 2.0
    }
}

impl Log {
    /// Takes note of one look.
    pub fn look(&mut self, look: &Look) {
        let now: Vec<Shown> = look.verdicts.iter().map(Shown::of).collect();
        let news = self.shown.len() != now.len()
            || self.shown.iter().zip(&now).any(|(before, now)| before.differs(now));
        if news {
            self.shown = now;
            self.looks.push(look.clone());
            self.latest = None;
        } else {
            self.latest = Some(look.clone());
        }
    }

    /// Prints it, the last look and the verdict at the end.
    pub fn print(
        mut self,
        out: &Out,
        policy: &RolloutPolicy,
        verdict: &TraceVerdict,
    ) -> Result<(), Failure> {
        self.looks.extend(self.latest.take());
        if out.format != Format::Table {
            self.looks.iter().try_for_each(|look| out.json_line(&Shape::of(look)))?;
            return out.json_line(verdict);
        }
        let titles = [
            "AFTER",
            "SIGNAL",
            "SAYS",
            "CANDIDATE",
            "BASELINE",
            "EVIDENCE",
            "BOUNDARY",
            "DIFFERENCE",
            "NEEDED",
        ]
        .map(str::to_owned);
        let rows: Vec<Vec<String>> = self
            .looks
            .iter()
            .flat_map(|look| {
                let signals = policy.signals.iter().zip(&look.verdicts);
                signals.map(|(signal, verdict)| row(out, look, signal, verdict))
            })
            .collect();
        out.write(&table(&titles, &rows, out.tty))?;
        out.write(&format!("{}\n", verdict.reason))
    }
}

/// One look as JSON.
#[derive(Serialize)]
struct Shape<'a> {
    at: Seconds,
    n_candidate: u64,
    n_baseline: u64,
    signals: &'a [Verdict],
}

impl<'a> Shape<'a> {
    fn of(look: &'a Look) -> Self {
        Self {
            at: Seconds(look.at.since(START)),
            n_candidate: look.seen.candidate,
            n_baseline: look.seen.baseline,
            signals: &look.verdicts,
        }
    }
}

fn row(out: &Out, look: &Look, signal: &Signal, verdict: &Verdict) -> Vec<String> {
    let at = look.at.since(START);
    let number = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), probability);
    let interval = verdict.interval.map_or_else(
        || "–".to_owned(),
        |(low, high)| format!("{} to {}", show::value(signal, low), show::value(signal, high)),
    );
    vec![
        if out.tty { show::span(at) } else { Seconds(at).to_string() },
        signal.name.clone(),
        says(verdict).to_owned(),
        show::arm(signal, &verdict.candidate),
        show::arm(signal, &verdict.control),
        number(verdict.evidence),
        number(verdict.boundary),
        interval,
        verdict.needed.map_or_else(|| "–".to_owned(), |n| n.to_string()),
    ]
}

fn says(verdict: &Verdict) -> &'static str {
    match (verdict.outcome, verdict.reason) {
        (Outcome::Fail, Reason::OverLimit) => "over limit",
        (Outcome::Fail, Reason::Breaker) => "broken",
        (Outcome::Fail, Reason::BudgetBurns) => "burns",
        (Outcome::Fail, _) => "worse",
        (Outcome::Pass, _) => "pass",
        (Outcome::NoData, _) => "no data",
        (Outcome::Inconclusive, _) => "inconclusive",
        (Outcome::Hold, Reason::TooFew) => "too few",
        (Outcome::Hold, _) => "hold",
    }
}

/// Two digits of a probability, however small.
fn probability(p: f64) -> String {
    if p >= 0.001 || p == 0.0 { format!("{p:.4}") } else { format!("{p:.1e}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use analysis::backtest::Seen;
    use domain::policy::SignalAction;
    use domain::units::Timestamp;
    use domain::verdict::ArmNumbers;

    fn look(minute: i64, evidence: f64, outcome: Outcome, n: u64) -> Look {
        let arm = ArmNumbers { n, value: None, bad: None };
        let verdict = Verdict {
            signal: "error".to_owned(),
            outcome,
            reason: Reason::Undecided,
            action: SignalAction::Rollback,
            control: arm,
            candidate: arm,
            limit: None,
            interval: None,
            evidence: Some(evidence),
            boundary: None,
            needed: None,
            corrected: None,
            labels: None,
        };
        let seen = Seen { candidate: n, baseline: n };
        Look { at: Timestamp(minute * 60_000), seen, verdicts: vec![verdict] }
    }

    #[test]
    fn only_looks_that_bring_news_are_kept() {
        let mut log = Log::default();
        for (minute, evidence, outcome, n) in [
            (1, 1.0, Outcome::NoData, 0), // the first
            (2, 1.0, Outcome::NoData, 0),
            (3, 1.0, Outcome::NoData, 3), // data
            (4, 0.6, Outcome::NoData, 4),
            (5, 0.5, Outcome::NoData, 5), // half the evidence
            (6, 0.3, Outcome::NoData, 6),
            (7, 0.9, Outcome::NoData, 7),
            (8, 0.3, Outcome::Fail, 8), // another verdict
            (9, 0.2, Outcome::Fail, 9),
        ] {
            log.look(&look(minute, evidence, outcome, n));
        }
        let kept: Vec<i64> = log.looks.iter().map(|look| look.at.0 / 60_000).collect();
        assert_eq!((kept, log.latest.map(|look| look.at.0 / 60_000)), (vec![1, 3, 5, 8], Some(9)));
    }

    #[test]
    fn small_probabilities_keep_their_digits() {
        assert_eq!(probability(0.05), "0.0500");
        assert_eq!(probability(0.000_012_34), "1.2e-5");
        assert_eq!(probability(0.0), "0.0000");
    }
}
