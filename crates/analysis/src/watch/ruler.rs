//! What one reading means to a limit: the value people see, and an outcome in
//! [0, 1] to bet on whose mean is at most [`Ruler::bound`] while the candidate
//! respects its limit.
//!
//! | kind | outcome | bound |
//! | --- | --- | --- |
//! | rate | 1 for bad | the limit, as a rate of bad ones |
//! | score | place in its range, the worst end is 1 | the limit's place |
//! | quantile q of a latency | 1 for beyond the limit, failed ones too | 1 − q |
//! | mean of a latency or an amount | value / limit, at most 20, over 20 | 1/20 |
//!
//! A mean has no upper end to bet against, so values are cut at twenty times
//! the limit. Cutting only lowers a mean: a candidate whose mean respects the
//! limit still does, and one absurd bill is twenty bills, not a million. What
//! is lost is an excess that hides in values beyond that. The other way round
//! (a mean must not fall below a limit) nothing can be sure, because one huge
//! value yet unseen could make up for all; such a limit needs `sustained`.

use domain::policy::{Signal, SignalKind, Statistic, Worse};

/// Values beyond so many times the limit of a mean count as this.
const CUT: f64 = 20.0;

/// One measured value, or what is worse than any.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reading {
    /// What was measured; NaN, infinities and what cannot be of the signal's
    /// kind are counted as unusable.
    Number(f64),
    /// The answer failed: worse than any number.
    Worst,
}

/// What a reading is, measured by the signal's rules.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Measured {
    /// The value, in units of [`Ruler::unit`]; none for a failed answer.
    pub(super) value: Option<f64>,
    /// Bad, or beyond the limit.
    pub(super) bad: bool,
    /// To bet on; nothing if it tells nothing about the limit.
    pub(super) outcome: Option<f64>,
}

/// How the readings of one signal are measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Ruler {
    shape: Shape,
    limit: Option<f64>,
    worse: Worse,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Shape {
    Rate,
    Score { low: f64, high: f64 },
    Quantile { q: f64 },
    Mean,
}

impl Ruler {
    pub(super) fn new(signal: &Signal) -> Self {
        let shape = match signal.kind {
            SignalKind::Rate => Shape::Rate,
            SignalKind::Score => {
                let (low, high) = signal.range.unwrap_or((0.0, 1.0));
                Shape::Score { low, high }
            }
            SignalKind::Amount => Shape::Mean,
            SignalKind::Latency => {
                let quantile = signal.statistic.and_then(Statistic::quantile);
                quantile.map_or(Shape::Mean, |q| Shape::Quantile { q })
            }
        };
        Self { shape, limit: signal.limit.map(|limit| limit.0), worse: signal.worse }
    }

    /// Values of latencies and amounts are kept as multiples of this: the
    /// limit, so that other units give the same verdicts.
    pub(super) fn unit(&self) -> f64 {
        match (self.shape, self.limit) {
            (Shape::Quantile { .. } | Shape::Mean, Some(limit)) if limit > 0.0 => limit,
            _ => 1.0,
        }
    }

    /// The quantile that is shown and compared with the limit; a mean if none.
    pub(super) fn quantile(&self) -> Option<f64> {
        match self.shape {
            Shape::Quantile { q } => Some(q),
            _ => None,
        }
    }

    pub(super) fn is_rate(&self) -> bool {
        matches!(self.shape, Shape::Rate)
    }

    pub(super) fn worse(&self) -> Worse {
        self.worse
    }

    /// The limit in units of [`Self::unit`].
    pub(super) fn limit(&self) -> Option<f64> {
        self.limit.map(|limit| limit / self.unit())
    }

    /// The highest mean that outcomes may have; nothing if no outcome can tell.
    pub(super) fn bound(&self) -> Option<f64> {
        let limit = self.limit?;
        let bound = match (self.shape, self.worse) {
            (Shape::Rate, Worse::Higher) => limit,
            (Shape::Rate, Worse::Lower) => 1.0 - limit,
            (Shape::Score { low, high }, Worse::Higher) => (limit - low) / (high - low),
            (Shape::Score { low, high }, Worse::Lower) => (high - limit) / (high - low),
            (Shape::Quantile { q }, Worse::Higher) => 1.0 - q,
            (Shape::Quantile { q }, Worse::Lower) => q,
            (Shape::Mean, Worse::Higher) if limit > 0.0 => 1.0 / CUT,
            (Shape::Mean, _) => return None,
        };
        bound.is_finite().then_some(bound)
    }

    /// Nothing for a reading that cannot be of this kind.
    pub(super) fn measure(&self, reading: Reading) -> Option<Measured> {
        let value = match reading {
            Reading::Number(value) if value.is_finite() => value,
            Reading::Number(_) => return None,
            Reading::Worst => return Some(self.worst()),
        };
        match self.shape {
            Shape::Rate => {
                let bad = match self.worse {
                    Worse::Higher => value == 1.0,
                    Worse::Lower => value == 0.0,
                };
                (value == 0.0 || value == 1.0).then(|| Measured {
                    value: Some(value),
                    bad,
                    outcome: Some(f64::from(u8::from(bad))),
                })
            }
            Shape::Score { low, high } => {
                let outcome = match self.worse {
                    Worse::Higher => (value - low) / (high - low),
                    Worse::Lower => (high - value) / (high - low),
                };
                (low..=high).contains(&value).then_some(Measured {
                    value: Some(value),
                    bad: self.is_beyond(value),
                    outcome: Some(outcome),
                })
            }
            Shape::Quantile { .. } | Shape::Mean => {
                let value = value / self.unit();
                (value >= 0.0 && value.is_finite()).then(|| self.measure_positive(value))
            }
        }
    }

    fn measure_positive(&self, value: f64) -> Measured {
        let bad = self.is_beyond(value);
        let outcome = match self.shape {
            Shape::Mean => value.min(CUT) / CUT,
            _ => f64::from(u8::from(bad)),
        };
        Measured { value: Some(value), bad, outcome: Some(outcome) }
    }

    /// A mean leaves failed answers out: any number put in for them would be
    /// made up. Elsewhere they are the worst there can be.
    fn worst(&self) -> Measured {
        match self.shape {
            Shape::Rate => Measured {
                value: Some(if self.worse == Worse::Higher { 1.0 } else { 0.0 }),
                bad: true,
                outcome: Some(1.0),
            },
            Shape::Score { low, high } => Measured {
                value: Some(if self.worse == Worse::Higher { high } else { low }),
                bad: true,
                outcome: Some(1.0),
            },
            Shape::Quantile { .. } => Measured { value: None, bad: true, outcome: Some(1.0) },
            Shape::Mean => Measured { value: None, bad: true, outcome: None },
        }
    }

    /// True if a single value lies beyond the limit.
    fn is_beyond(&self, value: f64) -> bool {
        self.limit().is_some_and(|limit| match self.worse {
            Worse::Higher => value > limit,
            Worse::Lower => value < limit,
        })
    }
}
