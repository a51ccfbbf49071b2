//! Repeats of one case, and pairs of a kept and a broken answer.

use serde::{Deserialize, Serialize};
use statrs::function::gamma::ln_gamma;

/// Cases on which exactly one of two releases kept its checks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Discordant {
    /// Production kept them, the candidate did not.
    pub lost: u64,
    /// The candidate kept them, production did not.
    pub gained: u64,
    /// Two-sided p of McNemar's exact test: how surprising so uneven a split
    /// is if neither release is better.
    pub p: f64,
}

impl Discordant {
    /// From pairs of `(production kept, candidate kept)`. McNemar
    /// (Psychometrika 12, 1947) in its exact form: the smaller count is
    /// binomial with probability ½.
    pub fn of(pairs: impl IntoIterator<Item = (bool, bool)>) -> Self {
        let (mut lost, mut gained) = (0_u64, 0_u64);
        for pair in pairs {
            match pair {
                (true, false) => lost = lost.saturating_add(1),
                (false, true) => gained = gained.saturating_add(1),
                _ => {}
            }
        }
        Self { lost, gained, p: mcnemar(lost, gained) }
    }
}

fn mcnemar(lost: u64, gained: u64) -> f64 {
    let n = lost.saturating_add(gained) as f64;
    let ln_half = n * 0.5_f64.ln();
    let ln_choose =
        |k: f64| ln_gamma(n + 1.0) - ln_gamma(k + 1.0) - ln_gamma(n - k + 1.0) + ln_half;
    let tail: f64 = (0..=lost.min(gained)).map(|k| ln_choose(k as f64).exp()).sum();
    (2.0 * tail).min(1.0)
}

/// True if the repeats of a case disagree: some kept, some not.
pub fn flickers(kept: u32, asked: u32) -> bool {
    kept > 0 && kept < asked
}
