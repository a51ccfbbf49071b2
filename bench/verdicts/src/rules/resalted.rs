//! Re-salted randomisation, the reference: what the router would have drawn with
//! other salts. A path is the sum of scores that went to the candidate; risk
//! removes the highest paths, look by look; the rollout stops when the real one
//! is among them.

use super::exact::allowed;
use super::{Terms, Test};
use crate::ranks::Ranks;
use crate::rng::{Rng, hash, mix};
use analysis::Outcome;
use domain::policy::{Signal, SignalKind};

/// Scores are whole numbers of this scale.
const SCALE: f64 = 1000.0;
/// Below this share it is cheaper to jump from path to path.
const SPARSE: f64 = 0.06;

struct Resalted {
    terms: Terms,
    scores: Scores,
    seen: f64,
    real: i32,
    paths: Vec<i32>,
    salts: Vec<u32>,
    /// Paths still in the race, the real one not among them.
    alive: Vec<bool>,
    removed: usize,
    rng: Rng,
    order: u64,
    stopped: bool,
}

enum Scores {
    Bad,
    Ranked { ranks: Ranks, upper_only: bool },
}

/// Builds the test.
pub fn make(signal: &Signal, terms: &Terms) -> Box<dyn Test> {
    let scores = if signal.kind == SignalKind::Rate {
        Scores::Bad
    } else {
        let upper_only = signal.statistic.is_some_and(|s| s.quantile().is_some());
        Scores::Ranked { ranks: Ranks::default(), upper_only }
    };
    let others = if terms.signals > 1 { 2999 } else { 999 };
    let salt = hash(&signal.name);
    Box::new(Resalted {
        terms: *terms,
        scores,
        seen: 0.0,
        real: 0,
        paths: vec![0; others],
        salts: (0..others as u64).map(|b| mix(salt ^ (b + 1)) as u32).collect(),
        alive: vec![true; others],
        removed: 0,
        rng: Rng::new(salt, 0),
        order: 0,
        stopped: false,
    })
}

/// Adds `z` to each path whose hash of this key falls in the share.
fn dense(paths: &mut [i32], salts: &[u32], key: u32, share: f64, z: i32, inside: bool) {
    let limit = (share * 2_147_483_648.0) as i32;
    let flip = if inside { 0 } else { -1 };
    for (path, salt) in paths.iter_mut().zip(salts) {
        // Shifts and additions only (Jenkins): this loop runs in vector units.
        let mut x = salt ^ key;
        x = x.wrapping_add(x << 10);
        x ^= x >> 6;
        x = x.wrapping_add(x << 3);
        x ^= x >> 11;
        x = x.wrapping_add(x << 15);
        x = x.wrapping_add(x << 10);
        x ^= x >> 6;
        x = x.wrapping_add(x << 3);
        x ^= x >> 11;
        let mask = -i32::from(((x >> 1) as i32) < limit) ^ flip;
        *path = path.wrapping_add(z & mask);
    }
}

impl Resalted {
    fn sparse(&mut self, share: f64, z: i32) {
        let rare = (1.0 - share).ln();
        let mut at = (self.rng.exponential() / -rare) as usize;
        while at < self.paths.len() {
            self.paths[at] = self.paths[at].wrapping_add(z);
            at += 1 + (self.rng.exponential() / -rare) as usize;
        }
    }
}

impl Test for Resalted {
    fn add(&mut self, outcome: &Outcome, value: f64) {
        self.seen += 1.0;
        let score = match &mut self.scores {
            Scores::Bad => value,
            Scores::Ranked { ranks, upper_only } => ranks.score(value, *upper_only),
        };
        let z = (score * SCALE).round() as i32;
        if z == 0 || !(outcome.share > 0.0 && outcome.share < 1.0) {
            return;
        }
        self.order += 1;
        let candidate = crate::law::is_candidate(outcome.side);
        self.real += if candidate { z } else { 0 };
        let (share, inside) =
            if outcome.pair.is_some() { (0.5, candidate) } else { (outcome.share, true) };
        match outcome.pair.or(outcome.unit) {
            None if share < SPARSE => self.sparse(share, z),
            key => {
                let key = key.map_or_else(|| mix(self.order ^ (1 << 40)), mix) as u32;
                dense(&mut self.paths, &self.salts, key, share, z, inside);
            }
        }
    }

    fn stops(&mut self) -> bool {
        let part = self.seen / self.terms.planned;
        let all = (self.paths.len() + 1) as f64;
        let may = (allowed(self.terms.risk, part) * all).floor() as usize;
        if self.stopped || may <= self.removed {
            return self.stopped;
        }
        let alive = &self.alive;
        let mut order: Vec<usize> = (0..self.paths.len()).filter(|b| alive[*b]).collect();
        order.sort_by_key(|b| std::cmp::Reverse(self.paths[*b]));
        for b in order.into_iter().take(may - self.removed) {
            // Ties are removed before the real path: the careful way.
            if self.real > self.paths[b] {
                self.stopped = true;
                return true;
            }
            self.alive[b] = false;
            self.removed += 1;
        }
        false
    }
}
