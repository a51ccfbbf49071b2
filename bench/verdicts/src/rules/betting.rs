//! Label betting, the reference: an e-process over a grid of alternatives,
//! stopped at 1/risk (Ville 1939). Needs no plan.

use super::Test;
use crate::ranks::Ranks;
use analysis::Outcome;
use domain::policy::{Signal, SignalKind};

/// Ratios of rates that are bet on.
const RATIOS: [f64; 7] = [1.25, 1.5, 2.0, 3.0, 4.0, 6.0, 10.0];
/// Tilts per unit of score that are bet on.
const TILTS: [f64; 6] = [0.05, 0.1, 0.2, 0.4, 0.7, 1.0];

struct Bets {
    logs: Vec<f64>,
    threshold: f64,
    stopped: bool,
}

impl Bets {
    fn new(n: usize, risk: f64) -> Self {
        Self { logs: vec![0.0; n], threshold: (n as f64 / risk).ln(), stopped: false }
    }

    fn settle(&mut self) {
        let top = self.logs.iter().copied().fold(f64::MIN, f64::max);
        let sum: f64 = self.logs.iter().map(|l| (l - top).exp()).sum();
        self.stopped |= top + sum.ln() >= self.threshold;
    }
}

struct OnRate {
    bets: Bets,
}

struct OnScore {
    bets: Bets,
    ranks: Ranks,
    tail_only: bool,
}

/// Builds the test.
pub fn make(signal: &Signal, risk: f64, _planned: f64) -> Box<dyn Test> {
    if signal.kind == SignalKind::Rate {
        return Box::new(OnRate { bets: Bets::new(RATIOS.len(), risk) });
    }
    let tail_only = signal.statistic.is_some_and(|s| s.quantile().is_some());
    Box::new(OnScore { bets: Bets::new(TILTS.len(), risk), ranks: Ranks::default(), tail_only })
}

impl Test for OnRate {
    fn add(&mut self, outcome: &Outcome, value: f64) {
        if value < 0.5 {
            return;
        }
        let (pi, candidate) = (outcome.share, crate::law::is_candidate(outcome.side));
        for (log, r) in self.bets.logs.iter_mut().zip(RATIOS) {
            *log += if candidate { r.ln() } else { 0.0 } - (1.0 - pi + pi * r).ln();
        }
        self.bets.settle();
    }

    fn stops(&mut self) -> bool {
        self.bets.stopped
    }
}

impl Test for OnScore {
    fn add(&mut self, outcome: &Outcome, value: f64) {
        let z = self.ranks.score(value, self.tail_only);
        if z == 0.0 {
            return;
        }
        let (pi, candidate) = (outcome.share, crate::law::is_candidate(outcome.side));
        for (log, tilt) in self.bets.logs.iter_mut().zip(TILTS) {
            let gain = if candidate { tilt * z } else { 0.0 };
            *log += gain - (1.0 - pi + pi * (tilt * z).exp()).ln();
        }
        self.bets.settle();
    }

    fn stops(&mut self) -> bool {
        self.bets.stopped
    }
}
