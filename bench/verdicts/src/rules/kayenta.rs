//! Kayenta's judge, looked at every hour: Mann-Whitney on the series of minute
//! means of both arms.
//!
//! Its interval of the shift has 98 % confidence and must stay clear of a quarter
//! of the estimate; with a normal law that is a z-score above 2.33 / 0.75.

use super::{Terms, Test};
use analysis::Outcome;
use domain::policy::Signal;

const BOUNDARY: f64 = 2.326 / 0.75;
/// Minutes with data each arm needs.
const LEAST: usize = 10;
const MINUTE: i64 = 60_000;

#[derive(Default)]
struct Series {
    minute: i64,
    sum: f64,
    n: f64,
    means: Vec<f64>,
}

impl Series {
    fn add(&mut self, minute: i64, value: f64) {
        if minute != self.minute && self.n > 0.0 {
            self.means.push(self.sum / self.n);
            (self.sum, self.n) = (0.0, 0.0);
        }
        self.minute = minute;
        self.sum += value;
        self.n += 1.0;
    }
}

struct Kayenta {
    arms: [Series; 2],
    hour: i64,
    due: bool,
}

/// Builds the test.
pub fn make(_signal: &Signal, _terms: &Terms) -> Box<dyn Test> {
    Box::new(Kayenta { arms: [Series::default(), Series::default()], hour: 0, due: false })
}

impl Test for Kayenta {
    fn add(&mut self, outcome: &Outcome, value: f64) {
        let minute = outcome.at.0 / MINUTE;
        self.due |= minute / 60 != self.hour;
        self.hour = minute / 60;
        self.arms[usize::from(crate::law::is_candidate(outcome.side))].add(minute, value);
    }

    fn stops(&mut self) -> bool {
        let [control, candidate] = &self.arms;
        std::mem::take(&mut self.due)
            && control.means.len() >= LEAST
            && candidate.means.len() >= LEAST
            && mann_whitney(&candidate.means, &control.means) > BOUNDARY
    }
}

/// z-score of the rank sum of `a` against `b`, corrected for ties.
fn mann_whitney(a: &[f64], b: &[f64]) -> f64 {
    let mut all: Vec<(f64, bool)> =
        a.iter().map(|x| (*x, true)).chain(b.iter().map(|x| (*x, false))).collect();
    all.sort_by(|x, y| x.0.total_cmp(&y.0));
    let (na, nb, n) = (a.len() as f64, b.len() as f64, all.len() as f64);
    let (mut ranks, mut ties, mut before) = (0.0, 0.0, 0.0);
    for run in all.chunk_by(|x, y| x.0 == y.0) {
        let t = run.len() as f64;
        let mine = run.iter().filter(|(_, is_a)| *is_a).count() as f64;
        ranks += mine * (before + (t + 1.0) / 2.0);
        ties += t * t * t - t;
        before += t;
    }
    let u = ranks - na * (na + 1.0) / 2.0;
    let variance = na * nb / 12.0 * (n + 1.0 - ties / (n * (n - 1.0)));
    if variance > 0.0 { (u - na * nb / 2.0) / variance.sqrt() } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rank_sum_matches_a_textbook_case() {
        // U = 8 of 9 pairs, variance 3·3·7/12.
        let z = mann_whitney(&[3.0, 5.0, 6.0], &[1.0, 2.0, 4.0]);
        assert!((z - 3.5 / 5.25_f64.sqrt()).abs() < 1e-12, "{z}");
        assert_eq!(mann_whitney(&[1.0, 1.0], &[1.0, 1.0]), 0.0);
    }
}
