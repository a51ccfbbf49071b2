//! Exact label spending, the reference: who served the bad events, with the law
//! of the candidate's count kept among paths that have not stopped (Poisson
//! binomial), and risk spent over information time (Lan & DeMets 1983). What is
//! not a rate goes to the re-salted reference.

use super::{Terms, Test, resalted};
use analysis::Outcome;
use domain::policy::{Signal, SignalKind};
use std::collections::{HashMap, HashSet};

/// Risk that may have been spent when this part of the plan has been seen.
pub fn allowed(risk: f64, part: f64) -> f64 {
    risk * (1.0 + part.min(1.0) / 0.02).ln() / 51.0_f64.ln()
}

struct Exact {
    terms: Terms,
    seen: f64,
    /// Law of the count of candidate labels; index 0 stands for `base`.
    law: Vec<f64>,
    base: usize,
    count: usize,
    spent: f64,
    stopped: bool,
    /// Units that had a bad event.
    units: HashSet<u64>,
    /// Pairs of which one answer is known: was it bad?
    halves: HashMap<u64, bool>,
}

/// Builds the test.
pub fn make(signal: &Signal, terms: &Terms) -> Box<dyn Test> {
    if signal.kind != SignalKind::Rate {
        return resalted::make(signal, terms);
    }
    Box::new(Exact {
        terms: *terms,
        seen: 0.0,
        law: vec![1.0],
        base: 0,
        count: 0,
        spent: 0.0,
        stopped: false,
        units: HashSet::new(),
        halves: HashMap::new(),
    })
}

/// Mass of the law below which its lower end is cut off: far below any risk,
/// and cutting there can only make the test more careful.
const DUST: f64 = 1e-15;

impl Exact {
    fn event(&mut self, pi: f64, candidate: bool) {
        self.count += usize::from(candidate);
        self.law.push(0.0);
        for i in (0..self.law.len()).rev() {
            let below = if i > 0 { self.law[i - 1] } else { 0.0 };
            self.law[i] = self.law[i] * (1.0 - pi) + below * pi;
        }
        let mut left = allowed(self.terms.risk, self.seen / self.terms.planned) - self.spent;
        while let Some(top) = self.law.last().copied().filter(|top| *top <= left) {
            left -= top;
            self.spent += top;
            self.law.pop();
        }
        self.stopped = self.count >= self.base + self.law.len();
        let dust = self.law.iter().take_while(|m| **m < DUST).count();
        if dust > 64 && self.count >= self.base + dust {
            self.law.drain(..dust);
            self.base += dust;
        }
    }
}

impl Test for Exact {
    fn add(&mut self, outcome: &Outcome, value: f64) {
        self.seen += 1.0;
        let bad = value >= 0.5;
        let candidate = crate::law::is_candidate(outcome.side);
        if self.stopped {
            return;
        }
        if let Some(pair) = outcome.pair {
            match self.halves.remove(&pair) {
                None => {
                    self.halves.insert(pair, bad);
                }
                Some(other) if other != bad => self.event(0.5, candidate == bad),
                Some(_) => {}
            }
        } else if bad && outcome.unit.is_none_or(|unit| self.units.insert(unit)) {
            self.event(outcome.share, candidate);
        }
    }

    fn stops(&mut self) -> bool {
        self.stopped
    }
}
