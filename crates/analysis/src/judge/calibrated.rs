//! The rate behind a judge whose errors were measured on labelled answers.
//!
//! A judge calls a share A of the answers bad. With sensitivity Se and
//! specificity Sp, A = θ·Se + (1 − θ)(1 − Sp), so the true share of bad answers
//! is θ = (A + Sp − 1)/(Se + Sp − 1) (Rogan & Gladen 1978). Se and Sp are
//! estimates too; by the delta method
//!
//! Var θ = [A(1−A)/n + θ²·Se(1−Se)/n₁ + (1−θ)²·Sp(1−Sp)/n₀]/(Se + Sp − 1)²
//!
//! with n₁ bad and n₀ good calibration labels. Plain, this is as bad as Wald's
//! interval (nothing missed in calibration would mean nothing is ever missed),
//! so the interval adds successes and failures to each proportion and shifts
//! its centre (Lang & Reiczigel 2014).

use super::{Arm, Corrected, student};
use domain::policy::Judge;

/// What is known of a judge.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Calibration {
    /// Share of the truly bad answers that it calls bad.
    pub sensitivity: f64,
    /// Share of the truly good answers that it calls good.
    pub specificity: f64,
    /// Labelled answers that were truly bad, and good.
    pub split: Split,
}

/// How many of the calibration labels were of bad answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// It is known.
    Known {
        /// Truly bad answers.
        bad: u64,
        /// Truly good answers.
        good: u64,
    },
    /// Only their sum is: then the wider of two intervals is given, for half
    /// and half and for a split like that of the arm itself.
    Sum(u64),
}

/// A proportion and the number of answers it was measured on.
#[derive(Clone, Copy)]
struct Proportion {
    p: f64,
    n: f64,
}

impl Proportion {
    /// Its variance.
    fn variance(self) -> f64 {
        self.p * (1.0 - self.p) / self.n
    }

    /// With `extra` more answers, half of them successes.
    fn softened(self, extra: f64) -> Self {
        let n = self.n + extra;
        Self { p: (self.n * self.p + extra / 2.0) / n, n }
    }
}

/// The three proportions a corrected rate is made of.
#[derive(Clone, Copy)]
struct Measured {
    apparent: Proportion,
    sensitivity: Proportion,
    specificity: Proportion,
}

impl Measured {
    /// How much better than a coin the judge is (Youden's index).
    fn index(&self) -> f64 {
        self.sensitivity.p + self.specificity.p - 1.0
    }

    fn rate(&self) -> f64 {
        (self.apparent.p + self.specificity.p - 1.0) / self.index()
    }

    fn softened(self, z: f64) -> Self {
        Self {
            apparent: self.apparent.softened(z * z),
            sensitivity: self.sensitivity.softened(2.0),
            specificity: self.specificity.softened(2.0),
        }
    }

    /// Lang and Reiczigel's interval around the softened rate.
    fn interval(self, z: f64) -> Option<(f64, f64)> {
        let soft = self.softened(z);
        if soft.index() <= 0.0 {
            return None;
        }
        let rate = soft.rate().clamp(0.0, 1.0);
        let (misses, alarms) = (soft.sensitivity.variance(), soft.specificity.variance());
        let shift = 2.0 * z * z * (rate * misses - (1.0 - rate) * alarms);
        let variance =
            soft.apparent.variance() + rate.powi(2) * misses + (1.0 - rate).powi(2) * alarms;
        let half = z * variance.sqrt() / soft.index();
        Some(((rate + shift - half).clamp(0.0, 1.0), (rate + shift + half).clamp(0.0, 1.0)))
    }
}

impl Calibration {
    /// From a policy; none if it does not say everything or the judge is no
    /// better than a coin.
    pub fn of(judge: &Judge) -> Option<Self> {
        let calibration = Self {
            sensitivity: judge.sensitivity?.0,
            specificity: judge.specificity?.0,
            split: Split::Sum(judge.labelled?),
        };
        calibration.is_sound().then_some(calibration)
    }

    /// Labelled answers it was measured on.
    pub fn labels(&self) -> u64 {
        match self.split {
            Split::Known { bad, good } => bad.saturating_add(good),
            Split::Sum(labels) => labels,
        }
    }

    fn is_sound(&self) -> bool {
        let shares =
            [self.sensitivity, self.specificity].iter().all(|share| (0.0..=1.0).contains(share));
        let labels = match self.split {
            Split::Known { bad, good } => bad > 0 && good > 0,
            Split::Sum(labels) => labels > 1,
        };
        shares && labels && self.sensitivity + self.specificity > 1.0
    }

    /// The splits that may be, as shares of bad answers' and good ones' counts.
    fn splits(&self, rate: f64) -> Vec<(f64, f64)> {
        match self.split {
            Split::Known { bad, good } => vec![(bad as f64, good as f64)],
            Split::Sum(labels) => {
                let labels = labels as f64;
                let bad = (labels * rate).clamp(1.0, labels - 1.0);
                vec![(labels / 2.0, labels / 2.0), (bad, labels - bad)]
            }
        }
    }

    fn measured(&self, apparent: Proportion, (bad, good): (f64, f64)) -> Measured {
        Measured {
            apparent,
            sensitivity: Proportion { p: self.sensitivity, n: bad },
            specificity: Proportion { p: self.specificity, n: good },
        }
    }

    /// The share of bad answers behind what the judge said, where 1 is bad.
    /// None without judged answers or for a judge that may be a coin.
    pub fn rate(&self, arm: &Arm, level: f64) -> Option<Corrected> {
        let apparent = apparent(arm).filter(|_| self.is_sound())?;
        let z = student(level, f64::INFINITY)?;
        let value = self.measured(apparent, (1.0, 1.0)).rate().clamp(0.0, 1.0);
        let mut widest = Corrected { value, low: value, high: value, labels: self.labels() };
        for split in self.splits(value) {
            let (low, high) = self.measured(apparent, split).interval(z)?;
            widest.low = widest.low.min(low);
            widest.high = widest.high.max(high);
        }
        Some(widest)
    }

    /// How much larger the share of bad answers of `a` is than that of `b`.
    ///
    /// The difference is (A − B)/(Se + Sp − 1): the calibration scales it, so
    /// its errors count once, in proportion to the difference itself.
    pub fn difference(&self, a: &Arm, b: &Arm, level: f64) -> Option<Corrected> {
        let (first, second) = (apparent(a)?, apparent(b)?);
        let z = student(level, f64::INFINITY).filter(|_| self.is_sound())?;
        let index = self.sensitivity + self.specificity - 1.0;
        let value = ((first.p - second.p) / index).clamp(-1.0, 1.0);
        let rate = self.measured(first, (1.0, 1.0)).rate().clamp(0.0, 1.0);
        let mut widest = Corrected { value, low: value, high: value, labels: self.labels() };
        for split in self.splits(rate) {
            let (x, y) = (self.measured(first, split), self.measured(second, split));
            let (x, y) = (x.softened(z), y.softened(z));
            if x.index() <= 0.0 {
                return None;
            }
            let centre = (x.apparent.p - y.apparent.p) / x.index();
            let judges = x.sensitivity.variance() + x.specificity.variance();
            let variance = x.apparent.variance() + y.apparent.variance() + centre.powi(2) * judges;
            let half = z * variance.sqrt() / x.index();
            widest.low = widest.low.min((centre - half).max(-1.0));
            widest.high = widest.high.max((centre + half).min(1.0));
        }
        Some(widest)
    }
}

/// What the judge said of all answers.
fn apparent(arm: &Arm) -> Option<Proportion> {
    let p = arm.judged_mean().filter(|_| arm.is_binary())?;
    Some(Proportion { p, n: arm.judged() as f64 })
}
