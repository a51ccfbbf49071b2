//! Label betting, the reference: an e-process over a grid of alternatives,
//! stopped at 1/risk (Ville 1939). Needs no plan. A sticky unit is one coin, so
//! only its first bad event counts, or its first score.

use super::{Terms, Test};
use crate::ranks::Ranks;
use analysis::Outcome;
use domain::policy::{Signal, SignalKind};
use std::collections::HashSet;

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
    /// Control's outcomes and bad outcomes so far, a little of both beforehand.
    n: f64,
    bad: f64,
    units: HashSet<u64>,
}

struct OnScore {
    bets: Bets,
    ranks: Ranks,
    upper_only: bool,
    units: HashSet<u64>,
}

/// Builds the test.
pub fn make(signal: &Signal, terms: &Terms) -> Box<dyn Test> {
    if signal.kind == SignalKind::Rate {
        return Box::new(OnRate {
            bets: Bets::new(RATIOS.len(), terms.risk),
            n: 20.0,
            bad: 0.4,
            units: HashSet::new(),
        });
    }
    let upper_only = signal.statistic.is_some_and(|s| s.quantile().is_some());
    let bets = Bets::new(TILTS.len(), terms.risk);
    Box::new(OnScore { bets, ranks: Ranks::default(), upper_only, units: HashSet::new() })
}

impl Test for OnRate {
    fn add(&mut self, outcome: &Outcome, value: f64) {
        let (pi, candidate) = (outcome.share, crate::law::is_candidate(outcome.side));
        let (bad, p) = (value >= 0.5, self.bad / self.n);
        if outcome.unit.is_some_and(|unit| !bad || !self.units.insert(unit)) {
            return;
        }
        for (log, r) in self.bets.logs.iter_mut().zip(RATIOS) {
            // How many times likelier this outcome is from the candidate.
            let odds = if bad { r } else { (1.0 - (r * p).min(0.95)) / (1.0 - p) };
            *log += if candidate { odds.ln() } else { 0.0 } - (1.0 - pi + pi * odds).ln();
        }
        if bad || candidate {
            self.bets.settle();
        }
        if !candidate {
            self.n += 1.0;
            self.bad += value;
        }
    }

    fn stops(&mut self) -> bool {
        self.bets.stopped
    }
}

impl Test for OnScore {
    fn add(&mut self, outcome: &Outcome, value: f64) {
        let z = self.ranks.score(value, self.upper_only);
        if z == 0.0 || outcome.unit.is_some_and(|unit| !self.units.insert(unit)) {
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
