//! Which numbers of a cell a signal is about.

use crate::betting::Sums;
use crate::cells::{Cell, FeedbackCell};
use crate::sketch::Sketch;
use domain::policy::{Signal, SignalKind, Statistic};

/// Where a signal's numbers come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source<'a> {
    Error,
    Fallback,
    SchemaFailure,
    Latency,
    FirstByte,
    Cost,
    OutputTokens,
    Feedback(&'a str),
}

/// Zero-or-one outcomes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub n: u64,
    pub ones: u64,
}

impl Counts {
    pub(crate) fn merge(&mut self, other: Self) {
        self.n = self.n.saturating_add(other.n);
        self.ones = self.ones.saturating_add(other.ones);
    }
}

/// Positive outcomes; `worst` are those that are worse than any number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Values {
    pub sketch: Sketch,
    pub worst: u64,
}

impl Values {
    pub(crate) fn n(&self) -> u64 {
        self.sketch.count().saturating_add(self.worst)
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.sketch.merge(&other.sketch);
        self.worst = self.worst.saturating_add(other.worst);
    }

    /// The quantile with the worst outcomes at the top; infinite among them.
    pub(crate) fn quantile(&self, q: f64) -> Option<f64> {
        let (n, finite) = (self.n(), self.sketch.count());
        let wanted = (q * n as f64).ceil().max(1.0);
        if n == 0 {
            None
        } else if wanted > finite as f64 {
            Some(f64::INFINITY)
        } else {
            self.sketch.quantile(wanted / finite as f64)
        }
    }
}

impl<'a> Source<'a> {
    pub(crate) fn of(signal: &'a Signal) -> Self {
        match signal.name.as_str() {
            "error" => Self::Error,
            "fallback" => Self::Fallback,
            "schema_failure" => Self::SchemaFailure,
            "latency_ms" => Self::Latency,
            "ttft_ms" => Self::FirstByte,
            "cost" => Self::Cost,
            "output_tokens" => Self::OutputTokens,
            name => Self::Feedback(name),
        }
    }

    /// True if the numbers of this source can be of this kind.
    pub(crate) fn can_be(self, kind: SignalKind) -> bool {
        match self {
            Self::Error | Self::Fallback | Self::SchemaFailure => kind == SignalKind::Rate,
            Self::Latency | Self::FirstByte | Self::Cost | Self::OutputTokens => {
                matches!(kind, SignalKind::Latency | SignalKind::Amount)
            }
            Self::Feedback(_) => true,
        }
    }

    /// True if every compared request is measured by itself.
    pub(crate) fn is_complete(self) -> bool {
        !matches!(self, Self::Feedback(_))
    }

    fn feedback(self, cell: &Cell) -> Option<&FeedbackCell> {
        match self {
            Self::Feedback(name) => cell.feedback.get(name),
            _ => None,
        }
    }

    pub(crate) fn counts(self, cell: &Cell) -> Counts {
        match self {
            Self::Error => Counts { n: cell.n, ones: cell.errors() },
            Self::Fallback => Counts { n: cell.n, ones: cell.fallbacks },
            Self::SchemaFailure => Counts { n: cell.schema_checked, ones: cell.schema_failures },
            _ => self.feedback(cell).map_or(Counts::default(), |f| Counts {
                n: f.zeros.saturating_add(f.ones),
                ones: f.ones,
            }),
        }
    }

    /// Adds a cell's values.
    pub(crate) fn add_values(self, cell: &Cell, all: &mut Values) {
        let (sketch, worst) = match self {
            Self::Latency => (Some(&cell.latency_ms), cell.errors()),
            Self::FirstByte => (Some(&cell.ttft_ms), cell.errors()),
            Self::Cost => (Some(&cell.cost_usd), 0),
            Self::OutputTokens => (Some(&cell.output_tokens), 0),
            _ => (self.feedback(cell).map(|f| &f.values), 0),
        };
        if let Some(sketch) = sketch {
            all.sketch.merge(sketch);
        }
        all.worst = all.worst.saturating_add(worst);
    }

    /// Outcomes, their sum and their squares; sums that no longer fit are NaN.
    pub(crate) fn sums(self, cell: &Cell) -> Sums {
        self.feedback(cell).map_or(Sums::default(), |f| Sums {
            n: f.n as f64,
            sum: f.sum(),
            sum_sq: f.sum_sq().unwrap_or(f64::NAN),
        })
    }

    /// Outcomes measured for a signal of this kind.
    pub(crate) fn measured(self, kind: SignalKind, cell: &Cell) -> u64 {
        match kind {
            SignalKind::Rate => self.counts(cell).n,
            SignalKind::Score => self.feedback(cell).map_or(0, |f| f.n),
            SignalKind::Latency | SignalKind::Amount => {
                let mut values = Values::default();
                self.add_values(cell, &mut values);
                values.n()
            }
        }
    }

    /// Numbers that cannot be of this kind.
    pub(crate) fn unusable(self, kind: SignalKind, range: Option<(f64, f64)>, cell: &Cell) -> u64 {
        let Some(feedback) = self.feedback(cell) else { return 0 };
        let odd = match kind {
            SignalKind::Rate => {
                feedback.n.saturating_sub(feedback.zeros.saturating_add(feedback.ones))
            }
            SignalKind::Score => outside(feedback, range),
            SignalKind::Latency | SignalKind::Amount => 0,
        };
        feedback.unusable.saturating_add(odd)
    }
}

/// Scores outside their range, as far as the sketch can tell: to 1 %, and not
/// below zero.
fn outside(feedback: &FeedbackCell, range: Option<(f64, f64)>) -> u64 {
    let Some((low, high)) = range else { return 0 };
    let slack = |limit: f64| limit.abs() * crate::sketch::RELATIVE_ERROR;
    feedback
        .values
        .iter()
        .filter(|(bucket, _)| {
            let value = bucket.value();
            (high >= 0.0 && value > high + slack(high)) || (low > 0.0 && value < low - slack(low))
        })
        .fold(0, |sum, (_, times)| sum.saturating_add(times))
}

/// Which quantile is compared: the statistic's, or the median for means, which
/// a few huge values cannot move.
pub(crate) fn compared_quantile(signal: &Signal) -> f64 {
    match signal.kind {
        SignalKind::Latency => signal.statistic.and_then(Statistic::quantile).unwrap_or(0.5),
        _ => 0.5,
    }
}
