//! The verdict on one trace, as it is written: one JSON object a line.

use super::say;
use analysis::backtest::{Action, Decision, START};
use domain::policy::RolloutPolicy;
use domain::units::Span;
use domain::verdict::Verdict;
use serde::{Serialize, Serializer};
use std::fmt;

/// One line of the output.
#[derive(Debug, Serialize)]
pub struct TraceVerdict {
    /// Name of the trace's file.
    pub trace: String,
    /// What was decided.
    pub decision: Action,
    /// Seconds from the start to the look at which it was decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Seconds>,
    /// The signal that stopped it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    /// Outcomes of the candidate seen by then.
    pub n_candidate: u64,
    /// Outcomes of the baseline seen by then.
    pub n_baseline: u64,
    /// Why, in a sentence.
    pub reason: String,
    /// What every signal said at that look.
    pub evidence: Vec<Verdict>,
}

impl TraceVerdict {
    /// The decision on this trace.
    pub fn new(trace: String, policy: &RolloutPolicy, decision: Decision) -> Self {
        let metric = decision.signal.and_then(|i| policy.signals.get(i));
        Self {
            trace,
            decision: decision.action,
            at: decision.at.map(|at| Seconds(at.since(START))),
            metric: metric.map(|signal| signal.name.clone()),
            n_candidate: decision.seen.candidate,
            n_baseline: decision.seen.baseline,
            reason: say::reason(policy, &decision),
            evidence: decision.verdicts,
        }
    }
}

/// A length of time as a number of seconds, whole where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seconds(pub Span);

impl Seconds {
    fn whole(self) -> Option<i64> {
        let ms = self.0.millis();
        (ms % 1000 == 0).then_some(ms / 1000)
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.whole() {
            Some(seconds) => seconds.fmt(f),
            None => self.0.secs().fmt(f),
        }
    }
}

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self.whole() {
            Some(seconds) => s.serialize_i64(seconds),
            None => s.serialize_f64(self.0.secs()),
        }
    }
}
