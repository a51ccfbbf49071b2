//! Did every variant get its share? If not, something between the router and
//! the record loses answers, and no comparison can be trusted.
//!
//! A likelihood ratio on the labels of all requests: against the probabilities
//! π with which each was assigned stand π·ρ, where ρ is how often each variant
//! was seen for each time it was expected, learnt from the requests before
//! (Wald 1947 called this plugging in; with fixed π and exact counts it is the
//! multinomial test of Lindon & Malek 2022). While the router keeps its word,
//! the ratio has mean one, so it exceeds 1/α with probability at most α, at
//! whatever look (Ville 1939). ρ starts at one with the weight of a few requests
//! or of many; the mean over these bets is one as well.

use serde::Serialize;

/// Risk of an alarm while every variant gets its share.
pub const RISK: f64 = 1e-3;
/// Weights with which ρ starts at one.
const PRIORS: [f64; 3] = [20.0, 200.0, 2000.0];

/// The check of the shares.
#[derive(Debug, Clone, PartialEq)]
pub struct Ratio {
    seen: Vec<f64>,
    expected: Vec<f64>,
    logs: [f64; PRIORS.len()],
    /// Requests counted.
    requests: u64,
    /// The largest logarithm so far.
    highest: f64,
}

/// What the check says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RatioReport {
    /// The counts cannot be the router's draw.
    pub alarm: bool,
    /// The smallest risk at which it would have been raised: a p-value valid at
    /// every look.
    pub evidence: f64,
    /// Requests of each variant, in the policy's order.
    pub seen: Vec<u64>,
    /// How many were to be expected.
    pub expected: Vec<f64>,
}

impl Ratio {
    /// Nothing seen yet.
    pub fn new(variants: usize) -> Self {
        Self {
            seen: vec![0.0; variants],
            expected: vec![0.0; variants],
            logs: [0.0; PRIORS.len()],
            requests: 0,
            highest: 0.0,
        }
    }

    /// Takes in one request: who served it, and the probabilities of all. One
    /// that no variant or only one could have served says nothing; one served by
    /// a variant that had no chance says everything.
    pub fn add(&mut self, variant: usize, shares: &[f64]) {
        let Some(share) = shares.get(variant).copied() else { return };
        if share <= 0.0 {
            self.logs = [f64::INFINITY; PRIORS.len()];
        }
        for (log, prior) in self.logs.iter_mut().zip(PRIORS) {
            // Weight of the prior is spread over the variants.
            let each = prior / shares.len() as f64;
            let ratio = |i: usize| {
                let (seen, expected) = (self.seen.get(i), self.expected.get(i));
                (seen.unwrap_or(&0.0) + each) / (expected.unwrap_or(&0.0) + each)
            };
            let all: f64 = shares.iter().enumerate().map(|(i, share)| share * ratio(i)).sum();
            let total: f64 = shares.iter().sum();
            *log += (ratio(variant) * total / all).ln();
        }
        if let Some(seen) = self.seen.get_mut(variant) {
            *seen += 1.0;
        }
        self.expected.iter_mut().zip(shares).for_each(|(expected, share)| *expected += share);
        self.requests = self.requests.saturating_add(1);
        self.highest = self.highest.max(self.log());
    }

    fn log(&self) -> f64 {
        let best = self.logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if best.is_infinite() {
            return best;
        }
        best + (self.logs.iter().map(|log| (log - best).exp()).sum::<f64>() / PRIORS.len() as f64)
            .ln()
    }

    /// True once the alarm was raised.
    pub fn is_off(&self) -> bool {
        self.highest >= -RISK.ln()
    }

    /// Requests counted.
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// In numbers.
    pub fn report(&self) -> RatioReport {
        RatioReport {
            alarm: self.is_off(),
            evidence: (-self.highest).exp(),
            seen: self.seen.iter().map(|n| *n as u64).collect(),
            expected: self.expected.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::random::Random;
    use super::*;

    #[test]
    fn the_ratio_is_fair_over_all_assignments() {
        // All ways in which nine requests may be assigned, with shares that
        // follow from what was seen.
        let mut expected = 0.0;
        for code in 0..3_usize.pow(9) {
            let (mut ratio, mut chance, mut rest, mut firsts) = (Ratio::new(3), 1.0, code, 0);
            for i in 0..9 {
                let lead = if 2 * firsts > i { 0.7 } else { 0.25 };
                let shares = [lead, 0.8 * (1.0 - lead), 0.2 * (1.0 - lead)];
                let variant = rest % 3;
                rest /= 3;
                chance *= shares[variant];
                firsts += usize::from(variant == 0);
                ratio.add(variant, &shares);
            }
            expected += chance * ratio.log().exp();
        }
        assert!((expected - 1.0).abs() < 1e-9, "{expected}");
    }

    /// Requests until the alarm, if there is one.
    fn alarm(run: u64, truth: f64, most: u64) -> Option<u64> {
        let mut random = Random::new(77, run);
        let mut ratio = Ratio::new(2);
        for _ in 0..most {
            ratio.add(usize::from(random.uniform() >= truth), &[0.5, 0.5]);
            if ratio.is_off() {
                return Some(ratio.requests());
            }
        }
        None
    }

    #[test]
    fn no_false_alarms_under_looking_all_the_time() {
        // Looked at after every request. At 10⁻³ four of 1500 runs or more
        // would happen to a right test in seven cases of a hundred; this seed
        // is not one of them.
        let alarms = (0..1500).filter(|run| alarm(*run, 0.5, 5_000).is_some()).count();
        assert!(alarms < 4, "{alarms} alarms");
    }

    #[test]
    fn a_split_of_52_to_48_is_found() {
        let found: Vec<u64> = (0..60).filter_map(|run| alarm(run, 0.52, 60_000)).collect();
        assert!(found.len() >= 59, "{} of 60", found.len());
        let mean = found.iter().sum::<u64>() as f64 / found.len() as f64;
        // Nobody can do it in fewer than ln(1000)/KL(52 % | 50 %) = 8632 on average.
        assert!(mean < 16_000.0, "{mean}");
        let gross: Vec<u64> = (0..60).filter_map(|run| alarm(run, 0.7, 2_000)).collect();
        assert_eq!(gross.len(), 60);
    }

    #[test]
    fn an_answer_that_could_not_be_is_an_alarm() {
        let mut ratio = Ratio::new(2);
        ratio.add(0, &[0.5, 0.5]);
        assert!(!ratio.is_off());
        ratio.add(1, &[1.0, 0.0]);
        assert!(ratio.is_off());
        assert_eq!(ratio.report().evidence, 0.0);
    }
}
