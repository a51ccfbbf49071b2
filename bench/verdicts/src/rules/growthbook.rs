//! Asymptotic confidence sequences as GrowthBook's sequential testing has them
//! (Waudby-Smith et al., "Time-uniform central limit theory", 2021), at their
//! default tuning, stopped when the whole interval lies on the bad side.

use super::zpeek::Moments;
use super::{Terms, Test};
use analysis::Outcome;
use domain::policy::Signal;

/// Sample size at which the sequence is narrowest.
const TUNED_FOR: f64 = 5000.0;

struct Sequence {
    arms: [Moments; 2],
    risk: f64,
}

/// Builds the test.
pub fn make(_signal: &Signal, terms: &Terms) -> Box<dyn Test> {
    Box::new(Sequence { arms: [Moments::default(); 2], risk: terms.risk })
}

impl Test for Sequence {
    fn add(&mut self, outcome: &Outcome, value: f64) {
        self.arms[usize::from(crate::law::is_candidate(outcome.side))].add(value);
    }

    fn stops(&mut self) -> bool {
        let [control, candidate] = &self.arms;
        if control.n() < 2.0 || candidate.n() < 2.0 {
            return false;
        }
        let n = control.n() + candidate.n();
        let variance =
            n * (control.variance() / control.n() + candidate.variance() / candidate.n());
        let l = -2.0 * self.risk.ln();
        let rho2 = (l + (l + 1.0).ln()) / TUNED_FOR;
        let scale = 2.0 * (n * rho2 + 1.0) / (n * n * rho2);
        let width = (variance * scale * ((n * rho2 + 1.0).sqrt() / self.risk).ln()).sqrt();
        width > 0.0 && candidate.mean() - control.mean() > width
    }
}
