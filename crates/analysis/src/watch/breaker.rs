//! The hard breaker: answers so bad that no rule should wait for more.
//!
//! It trips when two things hold. The last k answers, for some k from 3 to 50,
//! would be a million to one against a candidate on its limit: something is
//! broken now. And a bet on broken ([`super::bets`]) has won ten thousand to
//! one: over thousands of answers a million to one does happen by chance, so
//! the first alone would break the promise that a candidate on its limit is
//! stopped in fewer than one rollout in ten thousand. Early in a rollout the
//! first is the stricter one, later the second asks for a few answers more.
//!
//! A signal without a limit or an error budget has no breaker. Ten bad answers
//! in a row mean nothing where one in ten is accepted, and while a provider is
//! down they are not the candidate's doing: only the comparison with control,
//! which needs as few, can tell.

use super::bets::Bets;

/// Chance of the last answers on the limit below which something is broken.
const BROKEN: f64 = 1e-6;
/// Chance, over a whole rollout, of tripping on a candidate on its limit.
pub const BREAKER_RISK: f64 = 1e-4;
/// Fewest and most answers that are looked back on.
const FEWEST: usize = 3;
const MOST: usize = 50;
/// Rates that are called broken: this far from the limit to 100 %.
const TOWARDS_ALL: [f64; 2] = [0.5, 0.9];

/// What the breaker saw when it tripped, and since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tripped {
    /// So many answers back.
    pub(super) n: u64,
    /// So many of them bad.
    pub(super) bad: u64,
}

/// The last answers to a signal of kind rate.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Breaker {
    /// One bit per answer, the last one lowest; 1 is bad.
    last: u64,
    seen: usize,
    /// Bad answers among the last k that are too many, by k.
    too_many: [u32; MOST + 1],
    bets: Bets,
    tripped: Option<Tripped>,
}

impl Breaker {
    /// A breaker for a candidate that may be bad at this rate.
    pub(super) fn new(limit: f64) -> Self {
        let rates = TOWARDS_ALL.into_iter().map(|part| limit + part * (1.0 - limit));
        Self {
            last: 0,
            seen: 0,
            too_many: too_many(limit),
            bets: Bets::at_rates(limit, rates, BREAKER_RISK),
            tripped: None,
        }
    }

    /// Takes in one answer.
    pub(super) fn take(&mut self, bad: bool) {
        self.last = self.last << 1 | u64::from(bad);
        self.seen = self.seen.saturating_add(1);
        self.bets.take(f64::from(u8::from(bad)));
        self.tripped = if self.bets.is_sure() { self.broken().or(self.tripped) } else { None };
    }

    /// What it saw, if it has tripped and the candidate has not mended since.
    pub(super) fn tripped(&self) -> Option<Tripped> {
        self.tripped
    }

    pub(super) fn evidence(&self) -> f64 {
        self.bets.evidence()
    }

    /// The shortest stretch of last answers that has too many bad ones.
    fn broken(&self) -> Option<Tripped> {
        (FEWEST..=MOST.min(self.seen)).find_map(|k| {
            let bad = (self.last & ((1 << k) - 1)).count_ones();
            let broken = self.too_many.get(k).is_some_and(|many| bad >= *many);
            broken.then_some(Tripped { n: k as u64, bad: u64::from(bad) })
        })
    }
}

/// For each k the fewest bad ones of k that are less likely than [`BROKEN`] at
/// this rate; more than k if none are.
fn too_many(rate: f64) -> [u32; MOST + 1] {
    let p = if rate.is_nan() { 1.0 } else { rate.clamp(0.0, 1.0) };
    let mut many = [u32::MAX; MOST + 1];
    // The chances of 0, 1, … bad ones of the answers so far.
    let mut chances = vec![1.0_f64];
    for slot in many.iter_mut().skip(1) {
        chances.push(0.0);
        for bad in (0..chances.len()).rev() {
            let fewer = if bad == 0 { 0.0 } else { chances[bad - 1] };
            chances[bad] = (1.0 - p) * chances[bad] + p * fewer;
        }
        let mut tail = 0.0;
        let unlikely = chances.iter().rev().take_while(|chance| {
            tail += **chance;
            tail < BROKEN
        });
        // At most 51 of them.
        *slot = (chances.len() - unlikely.count()) as u32;
    }
    many
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tails;

    #[test]
    fn too_many_is_the_first_count_below_a_millionth() {
        for p in [0.001, 0.015, 0.05, 0.3, 0.74, 0.9] {
            for (k, many) in too_many(p).into_iter().enumerate().skip(1) {
                let (k, many) = (k as u64, u64::from(many));
                assert!(tails::upper(many, k, p) < BROKEN, "{many} of {k} at {p}");
                assert!(tails::upper(many - 1, k, p) >= BROKEN, "{many} of {k} at {p}");
            }
        }
        assert_eq!(too_many(0.0)[3], 1, "one is too many where none may be");
        assert_eq!(too_many(1.0)[50], 51);
    }

    fn ever_trips(breaker: &Breaker, p: f64, n: u32) -> f64 {
        if breaker.tripped().is_some() {
            return 1.0;
        }
        if n == 0 {
            return 0.0;
        }
        [(true, p), (false, 1.0 - p)]
            .into_iter()
            .map(|(bad, chance)| {
                let mut next = breaker.clone();
                next.take(bad);
                chance * ever_trips(&next, p, n - 1)
            })
            .sum()
    }

    #[test]
    fn the_promise_holds_over_all_sequences() {
        for p in [0.001, 0.01, 0.05, 0.1, 0.2] {
            let chance = ever_trips(&Breaker::new(p), p, 14);
            assert!(chance > 0.0 && chance <= BREAKER_RISK, "{chance} at {p}");
        }
    }

    #[test]
    fn a_broken_candidate_is_stopped_after_a_handful_of_answers() {
        for (limit, before, most) in [
            (0.0, 0, 3),
            (0.001, 0, 3),
            (0.015, 0, 4),
            (0.05, 0, 5),
            (0.5, 0, 20),
            (0.05, 13_000, 9),
            (0.015, 200_000, 8),
            (0.5, 13_000, 45),
        ] {
            let mut breaker = Breaker::new(limit);
            (0..before).for_each(|_| breaker.take(false));
            assert_eq!(breaker.tripped(), None);
            let after = (1..=most).find(|_| {
                breaker.take(true);
                breaker.tripped().is_some()
            });
            assert!(after.is_some(), "limit {limit} after {before}");
        }
    }

    #[test]
    fn half_broken_counts_and_mended_is_forgotten() {
        let mut breaker = Breaker::new(0.05);
        (0..500).for_each(|i| breaker.take(i % 25 == 0));
        assert_eq!(breaker.tripped(), None, "4 % is within 5 %");
        (0..30).for_each(|i| breaker.take(i % 2 == 0));
        let tripped = breaker.tripped().unwrap();
        assert!(tripped.bad * 3 > tripped.n, "{tripped:?}");
        (0..300).for_each(|_| breaker.take(false));
        assert_eq!(breaker.tripped(), None);
    }
}
