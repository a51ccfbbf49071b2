//! How the risk is released as evidence gathers.
//!
//! Evidence is measured by its variance under "no difference",
//! `V = Σ s² π(1−π)` over the scores `s` and probabilities `π` of the coins:
//! label-blind, so a schedule may depend on it. What a difference needs to show
//! itself is a number of its own (Wald 1945: log(1/α) ÷ information) whatever
//! the traffic, so the risk is spread evenly over the doublings of `V` between
//! the largest difference that matters and the end of the plan: each doubling
//! catches the differences that need just that much (Lan & DeMets 1983 with
//! log-time spending).

/// How the risk is released.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    /// Evidence at which spending sets in: about what the largest difference
    /// that can be expected needs.
    pub onset: f64,
    /// With a plan: release with the square of its progress instead. For what
    /// nobody needs early: most of the risk is left for the end, so little power
    /// is lost there, and what is worse by less than the notice has time to show
    /// it (Kim & DeMets 1987, power family).
    pub steady: bool,
}

/// Without a plan: doublings of the onset until spending bends.
const UNPLANNED_KNEE: f64 = 8.0;

impl Schedule {
    /// Share of the risk released after evidence `v` and a share of the plan.
    ///
    /// With a plan all of it at the plan's end; what the plan's end will bring
    /// is what came so far, carried on. Without one, j/(1+j) of it after
    /// `8 · onset · (2ʲ − 1)`: about as much for each doubling, for ever.
    pub fn released(self, v: f64, plan: Option<f64>) -> f64 {
        if v <= 0.0 {
            return 0.0;
        }
        match plan {
            Some(done) if done >= 1.0 => 1.0,
            Some(done) if self.steady => done.max(0.0).powi(2),
            Some(done) => (v / self.onset).ln_1p() / (v / done.max(1e-9) / self.onset).ln_1p(),
            None => {
                let doublings = (1.0 + v / self.onset / UNPLANNED_KNEE).log2();
                doublings / (1.0 + doublings)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_released_by_the_end_of_the_plan_and_never_more() {
        for (planned, steady) in [(None, false), (Some(1000.0), false), (Some(1000.0), true)] {
            let schedule = Schedule { onset: 0.5, steady };
            let mut last = 0.0;
            for requests in 1..3000_u32 {
                let requests = f64::from(requests);
                let done = planned.map(|planned| requests / planned);
                let released = schedule.released(requests * 0.03, done);
                assert!((0.0..=1.0).contains(&released) && released >= last);
                last = released;
            }
            assert!(planned.is_none() || last == 1.0);
        }
    }
}
