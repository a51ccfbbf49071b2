//! Error budgets: is the candidate using them up too fast?
//!
//! The rule of the SRE workbook (chapter 5, multi-window, multi-burn-rate): bad
//! outcomes are at least `rate` times as frequent as the budget allows, over a
//! long window, so that it matters, and over a short one, so that it goes on.
//! The workbook warns that the rule is noisy where traffic is low: two errors
//! may be a day's budget. So it also takes `min_samples` in the long window,
//! two bad outcomes in the short one, and a bet ([`super::bets`]) that is sure
//! that the candidate is beyond its budget at all. A candidate within budget is
//! stopped in fewer than one rollout in a thousand, whatever windows there are.
//!
//! A rollout younger than a window is judged by what there is.

use super::bets::{Bets, ODDS};
use super::window::Ring;
use super::{LIMIT_RISK, Watched};
use domain::policy::{Burn, Signal, Worse};
use domain::units::Timestamp;
use domain::verdict::{ArmNumbers, Reason};

/// Bad outcomes in the short window below which nothing is said.
const FEWEST_BAD: u64 = 2;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counts {
    n: u64,
    bad: u64,
}

impl Counts {
    fn plus(self, other: &Self) -> Self {
        Self { n: self.n.saturating_add(other.n), bad: self.bad.saturating_add(other.bad) }
    }

    fn burns(&self, at_least: f64) -> bool {
        // One part in 10⁹ is what 1 − 99.9 % is off by at most.
        self.n > 0 && self.bad as f64 / self.n as f64 >= at_least * (1.0 - 1e-9)
    }
}

#[derive(Debug, Clone, PartialEq)]
struct Rule {
    /// Share of bad outcomes from which it holds.
    at_least: f64,
    long: Ring<Counts>,
    short: Ring<Counts>,
}

/// The error budget of one signal of kind rate.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Budget {
    rules: Vec<Rule>,
    beyond: Bets,
    min_samples: u64,
}

/// The share of bad outcomes that the fastest rule which can hold at all asks:
/// beyond it a candidate is broken.
pub(super) fn fastest(burn: &Burn) -> Option<f64> {
    let rates = burn.rules().into_iter().map(|rule| rule.rate * burn.budget());
    rates.filter(|rate| *rate < 1.0).reduce(f64::max)
}

impl Budget {
    pub(super) fn new(signal: &Signal, burn: &Burn) -> Self {
        let rule = |rule: domain::policy::BurnWindow| Rule {
            at_least: rule.rate * burn.budget(),
            long: Ring::new(rule.long),
            short: Ring::new(rule.short),
        };
        Self {
            rules: burn.rules().into_iter().map(rule).collect(),
            beyond: Bets::at_odds(burn.budget(), &ODDS, LIMIT_RISK),
            min_samples: signal.min_samples.max(1),
        }
    }

    pub(super) fn take(&mut self, at: Timestamp, bad: bool) {
        self.beyond.take(f64::from(u8::from(bad)));
        for ring in self.rules.iter_mut().flat_map(|rule| [&mut rule.long, &mut rule.short]) {
            if let Some(counts) = ring.bucket(at) {
                *counts = counts.plus(&Counts { n: 1, bad: u64::from(bad) });
            }
        }
    }

    /// The first rule that holds, with the numbers of its long window.
    pub(super) fn look(&mut self, now: Timestamp, worse: Worse) -> Option<Watched> {
        let sure = self.beyond.is_sure();
        let min_samples = self.min_samples;
        let long = self.rules.iter_mut().find_map(|rule| {
            let sum =
                |ring: &mut Ring<Counts>| ring.within(now).fold(Counts::default(), Counts::plus);
            let (long, short) = (sum(&mut rule.long), sum(&mut rule.short));
            let burns = long.burns(rule.at_least) && short.burns(rule.at_least);
            let enough = long.n >= min_samples && short.bad >= FEWEST_BAD;
            (sure && burns && enough).then_some(long)
        })?;
        let hits = match worse {
            Worse::Higher => long.bad,
            Worse::Lower => long.n.saturating_sub(long.bad),
        };
        let value = Some(hits as f64 / long.n.max(1) as f64);
        Some(Watched {
            numbers: ArmNumbers { n: long.n, value, bad: Some(long.bad) },
            over: Some(Reason::BudgetBurns),
            evidence: Some(self.beyond.evidence()),
            boundary: Some(self.beyond.risk()),
            ..Watched::default()
        })
    }
}
