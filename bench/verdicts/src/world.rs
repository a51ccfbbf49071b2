//! A world: traffic, levels and laws from which rollouts are drawn.

use crate::law::Law;

/// A part of the traffic with its own level and share.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tenant {
    /// Part of the requests.
    pub part: f64,
    /// Logarithm of what multiplies its measurements, in both arms.
    pub level: f64,
    /// Multiplies the share of the step.
    pub share: f64,
}

/// Requests that stick together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Units {
    /// How many there are.
    pub count: u64,
    /// Standard deviation of their levels (logarithm).
    pub spread: f64,
}

/// Noise that both arms share, minute by minute.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Noise {
    /// Correlation of one minute with the next.
    pub memory: f64,
    /// Standard deviation of the level (logarithm).
    pub spread: f64,
}

/// Both arms answer each input.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pairs {
    /// Correlation of both answers to one input (of the normal quantiles).
    pub correlation: f64,
    /// Whether the outcomes say so.
    pub told: bool,
}

/// Everything a rollout is drawn from.
#[derive(Debug, Clone, PartialEq)]
pub struct World {
    /// Requests (inputs, for pairs) per second.
    pub rate: f64,
    /// Length of the recording in seconds.
    pub duration: f64,
    /// Shares of the candidate from a fraction of the duration on; ascending.
    pub steps: Vec<(f64, f64)>,
    /// The signals' laws, by index.
    pub laws: Vec<Law>,
    /// For each signal: mean delay of its measurement in seconds; none: at once.
    pub delays: Vec<Option<f64>>,
    /// Whether the candidate differs at all.
    pub bad: bool,
    /// From which fraction of the duration on.
    pub onset: f64,
    /// Correlation between signals of one answer (of the normal quantiles).
    pub correlation: f64,
    /// Amplitude of a daily sine in the level (logarithm).
    pub season: f64,
    /// Tenants; none: all alike.
    pub tenants: Vec<Tenant>,
    /// Shared noise.
    pub noise: Option<Noise>,
    /// Sticky units.
    pub units: Option<Units>,
    /// Shadow pairs.
    pub pairs: Option<Pairs>,
}

impl World {
    /// A calm world: one signal, one share, no trouble.
    pub fn calm(rate: f64, duration: f64, share: f64, law: Law) -> Self {
        Self {
            rate,
            duration,
            steps: vec![(0.0, share)],
            laws: vec![law],
            delays: vec![None],
            bad: true,
            onset: 0.0,
            correlation: 0.0,
            season: 0.0,
            tenants: Vec::new(),
            noise: None,
            units: None,
            pairs: None,
        }
    }

    /// Share of the step at a fraction of the duration.
    pub fn share(&self, fraction: f64) -> f64 {
        self.steps.iter().rev().find(|(from, _)| *from <= fraction).map_or(0.0, |(_, w)| *w)
    }

    /// Tenants, or the one that stands for all.
    pub fn parts(&self) -> Vec<Tenant> {
        if self.tenants.is_empty() {
            vec![Tenant { part: 1.0, level: 0.0, share: 1.0 }]
        } else {
            self.tenants.clone()
        }
    }

    /// Candidate requests expected from a fraction of the duration to the end.
    pub fn candidates(&self, from: f64) -> f64 {
        let all = self.rate * self.duration;
        if self.pairs.is_some() {
            return all * (1.0 - from);
        }
        let of_tenants: f64 = self.parts().iter().map(|t| t.part * t.share).sum();
        let ends = self.steps.iter().skip(1).map(|(at, _)| *at).chain([1.0]);
        let part: f64 = self
            .steps
            .iter()
            .zip(ends)
            .map(|((start, share), end)| (end - start.max(from)).max(0.0) * share)
            .sum();
        all * part * of_tenants
    }
}
