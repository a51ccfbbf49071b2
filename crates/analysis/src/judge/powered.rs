//! The mean that people would have given, from a judge on all answers and
//! people on a random sample of them: prediction-powered inference.
//!
//! The mean of the labels is corrected by what the judge says of the sample and
//! of all others: θ(λ) = ȳ + λ·(f̄ of the others − f̄ of the sample). It is right
//! for every λ, whatever the judge is worth, because the sample is random
//! (Angelopoulos, Bates, Fannjiang, Jordan & Zrnic 2023). The λ that makes its
//! variance least is Cov(y, f)/((1 + n/N)·Var f) (PPI++: Angelopoulos, Duchi &
//! Zrnic 2023), kept within [0, 1]; a judge that is worth nothing gets λ = 0,
//! which is the plain mean of the labels.
//!
//! Labels of 0 and 1 get four more that nobody gave when the interval is made,
//! as Agresti & Coull (1998) do for a proportion: otherwise ten labels of 0
//! would say that there is nothing bad, and be sure of it. The interval is
//! Student's, as labels are few.

use super::sums::Moments;
use super::{Arm, Corrected, FEW_LABELS, student};

/// A mean from a judge and people.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// Its standard error.
    pub error: f64,
    /// Lower end of its confidence interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Human labels.
    pub labels: u64,
    /// How much the judge is listened to: 0 not at all, 1 wholly.
    pub lambda: f64,
    /// Labels more that people would have had to give for an estimate as sharp
    /// without the judge.
    pub saved: u64,
}

impl Estimate {
    /// Without the details.
    pub fn corrected(&self) -> Corrected {
        Corrected { value: self.value, low: self.low, high: self.high, labels: self.labels }
    }
}

/// The estimate at one λ and its variance.
#[derive(Clone, Copy)]
struct Point {
    value: f64,
    variance: f64,
    /// Degrees of freedom of the variance.
    freedom: f64,
}

/// The λ that makes the variance least.
fn lambda(m: &Moments) -> f64 {
    if m.n < FEW_LABELS as f64 || m.rest < 1.0 {
        return 0.0;
    }
    let all = m.n + m.rest;
    // The judge's variance over all answers it judged.
    let gap = m.rest_judge - m.judge;
    let around =
        (m.n - 1.0) * m.judge_var + (m.rest - 1.0) * m.rest_var + gap * gap * m.n * m.rest / all;
    let var = around / (all - 1.0);
    if var > 0.0 { (m.covariance / ((1.0 + m.n / m.rest) * var)).clamp(0.0, 1.0) } else { 0.0 }
}

fn point(m: &Moments, lambda: f64) -> Point {
    let residual = m.human_var - 2.0 * lambda * m.covariance + lambda * lambda * m.judge_var;
    // λ was fitted to the labels, which costs one of them.
    let freedom = if lambda > 0.0 { m.n - 2.0 } else { m.n - 1.0 };
    let sample = residual.max(0.0) / m.n * (m.n - 1.0) / freedom;
    let others = if m.rest > 0.0 { lambda * lambda * m.rest_var / m.rest } else { 0.0 };
    let shift = if m.rest > 0.0 { lambda * (m.rest_judge - m.judge) } else { 0.0 };
    Point { value: m.human + shift, variance: sample + others, freedom }
}

/// The point to give and the one to make an interval around, with their λ.
fn points(arm: &Arm) -> Option<(Point, Point, f64)> {
    let m = arm.moments();
    if m.n < 2.0 {
        return None;
    }
    let lambda = lambda(&m);
    let given = point(&m, lambda);
    let doubted =
        if arm.has_binary_labels() { point(&arm.with_doubt().moments(), lambda) } else { given };
    (doubted.variance > 0.0).then_some((given, doubted, lambda))
}

/// The arm's mean as people would have given it, with an interval of this
/// level. None for fewer than two labels, and for labels that are all alike on
/// a scale other than 0 and 1: they do not say how much they vary.
pub fn mean(arm: &Arm, level: f64) -> Option<Estimate> {
    let (given, doubted, lambda) = points(arm)?;
    let half = student(level, doubted.freedom)? * doubted.variance.sqrt();
    let (least, most) = bounds(arm);
    let value = given.value.clamp(least, most);
    Some(Estimate {
        value,
        error: given.variance.sqrt(),
        low: (doubted.value - half).max(least).min(value),
        high: (doubted.value + half).min(most).max(value),
        labels: arm.labels(),
        lambda,
        saved: saved(&arm.moments(), &given, lambda),
    })
}

/// How much higher the mean of `a` is than that of `b`. None where the mean of
/// either is none.
pub fn difference(a: &Arm, b: &Arm, level: f64) -> Option<Corrected> {
    let ((first, x, _), (second, y, _)) = (points(a)?, points(b)?);
    let variance = x.variance + y.variance;
    // Welch (1947) and Satterthwaite (1946).
    let freedom = variance * variance
        / (x.variance * x.variance / x.freedom + y.variance * y.variance / y.freedom);
    let half = student(level, freedom)? * variance.sqrt();
    let most = match (a.has_binary_labels(), b.has_binary_labels()) {
        (true, true) => 1.0,
        _ => f64::INFINITY,
    };
    let value = (first.value - second.value).clamp(-most, most);
    let centre = x.value - y.value;
    Some(Corrected {
        value,
        low: (centre - half).max(-most).min(value),
        high: (centre + half).min(most).max(value),
        labels: a.labels().saturating_add(b.labels()),
    })
}

/// Bounds of the mean, where they are known.
fn bounds(arm: &Arm) -> (f64, f64) {
    if arm.has_binary_labels() { (0.0, 1.0) } else { (f64::NEG_INFINITY, f64::INFINITY) }
}

/// The mean of k labels alone has variance Var(y)/k: as sharp as the estimate
/// at k = Var(y)/variance.
fn saved(m: &Moments, given: &Point, lambda: f64) -> u64 {
    if lambda > 0.0 && given.variance > 0.0 {
        (m.human_var / given.variance - m.n).max(0.0).floor() as u64
    } else {
        0
    }
}
