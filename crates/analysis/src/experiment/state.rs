//! Everything an experiment knows, and what a look makes of it.

use super::bets::Bets;
use super::guard::Guards;
use super::posterior::{FLAT, Posterior, Prior, Rewards, pooled};
use super::ratio::Ratio;
use super::report::Counts;
use super::sample::Sample;
use super::thompson::{probably_best, shares};
use super::{Allocation, Answer, Experiment, PRIMARY};
use domain::experiment::Allocate;
use domain::units::Timestamp;
use std::collections::BTreeSet;

/// A winner, and the look at which it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Won {
    pub variant: usize,
    pub at: Timestamp,
}

/// A group of answers with a verdict of its own.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    pub bets: Bets,
    pub rewards: Vec<Rewards>,
    /// Rewards in the unit of the primary metric.
    pub samples: Vec<Sample>,
    pub winner: Option<Won>,
    pub shares: Vec<f64>,
}

impl Slot {
    fn new(experiment: &Experiment) -> Self {
        let variants = experiment.variants();
        Self {
            bets: Bets::new(variants),
            rewards: vec![Rewards::default(); variants],
            samples: vec![Sample::default(); variants],
            winner: None,
            shares: experiment.policy().planned_shares(),
        }
    }

    /// The fewest rewards a variant that is still live has.
    pub(super) fn fewest(&self, live: &[bool]) -> u64 {
        let live = self.samples.iter().zip(live).filter(|(_, live)| **live);
        live.map(|(sample, _)| sample.n()).min().unwrap_or(0)
    }
}

/// Everything an experiment knows.
#[derive(Debug, Clone)]
pub struct State {
    start: Timestamp,
    /// All answers; with segments, each of them and everybody else after that.
    pub(super) slots: Vec<Slot>,
    pub(super) ratio: Ratio,
    pub(super) guards: Vec<Guards>,
    /// By secondary metric of the policy and by variant.
    pub(super) secondary: Vec<Vec<Sample>>,
    pub(super) counts: Counts,
    pub(super) looks: u64,
    /// Units assigned, and units with a reward.
    assigned: BTreeSet<u64>,
    rewarded: BTreeSet<u64>,
}

impl State {
    /// An experiment that begins now.
    pub fn start(experiment: &Experiment, start: Timestamp) -> Self {
        let secondary = experiment.policy().secondary.len();
        Self {
            start,
            slots: (0..experiment.slots()).map(|_| Slot::new(experiment)).collect(),
            ratio: Ratio::new(experiment.variants()),
            guards: Guards::all(experiment, start),
            secondary: vec![vec![Sample::default(); experiment.variants()]; secondary],
            counts: Counts::default(),
            looks: 0,
            assigned: BTreeSet::new(),
            rewarded: BTreeSet::new(),
        }
    }

    /// When it began.
    pub fn begun(&self) -> Timestamp {
        self.start
    }

    /// Takes in one answer. One whose shares make no sense is counted and
    /// nothing else.
    pub fn add(&mut self, experiment: &Experiment, answer: &Answer) {
        let later = answer.follows.is_some();
        self.counts.answers += u64::from(!later);
        if !usable(answer, experiment.variants()) {
            self.counts.unusable += 1;
            return;
        }
        self.guards.iter_mut().for_each(|guards| guards.add(experiment, answer));
        if answer.unit.is_none_or(|unit| self.assigned.insert(unit)) {
            self.ratio.add(answer.variant, &answer.shares);
        }
        let value = |metric: u16| {
            answer.values.iter().find(|(known, _)| *known == metric).map(|(_, value)| *value)
        };
        for (name, samples) in experiment.policy().secondary.iter().zip(&mut self.secondary) {
            let given = experiment.metric(name).and_then(value);
            if let (Some(given), Some(sample)) = (given, samples.get_mut(answer.variant)) {
                sample.add(given);
            }
        }
        let cost = experiment.cost().and_then(|metric| value(metric).or(answer.follows));
        let Some(made) = experiment.scale().reward(value(PRIMARY), cost) else {
            self.counts.without_reward += u64::from(!later);
            return;
        };
        if later {
            // Counted as one without when it came.
            self.counts.without_reward = self.counts.without_reward.saturating_sub(1);
        }
        if answer.unit.is_some_and(|unit| !self.rewarded.insert(unit)) {
            self.counts.repeated += 1;
            return;
        }
        self.counts.rewards += 1;
        self.counts.cut += u64::from(made.cut);
        let segment = match answer.segment {
            _ if self.slots.len() == 1 => None,
            Some(segment) => Some((segment + 1).min(self.slots.len() - 1)),
            None => Some(self.slots.len() - 1),
        };
        for place in [Some(0), segment].into_iter().flatten() {
            let Some(slot) = self.slots.get_mut(place) else { continue };
            slot.bets.add(answer.variant, &answer.shares, made.unit);
            if let Some(rewards) = slot.rewards.get_mut(answer.variant) {
                rewards.add(made.unit);
            }
            if let Some(sample) = slot.samples.get_mut(answer.variant) {
                sample.add(made.value);
            }
        }
    }

    /// Looks: guards first, then winners, then how to divide traffic.
    pub fn look(&mut self, experiment: &Experiment, now: Timestamp) {
        self.looks += 1;
        self.guards.iter_mut().for_each(|guards| {
            guards.look(now);
        });
        let live = self.live(experiment);
        // Of answers that went missing nothing can be learnt.
        if self.ratio.is_off() {
            self.slots.iter_mut().for_each(|slot| {
                slot.winner = None;
                slot.shares = without(&slot.shares, &live);
            });
            return;
        }
        let least = experiment.policy().min_requests;
        let enough = self.slots.first().is_some_and(|slot| slot.fewest(&live) >= least);
        let priors = self.priors();
        for (slot, priors) in self.slots.iter_mut().zip(priors) {
            slot.winner = slot.winner.filter(|won| live.get(won.variant) == Some(&true));
            if slot.winner.is_none() && slot.fewest(&live) >= least {
                slot.winner =
                    winner(experiment, slot, &live).map(|variant| Won { variant, at: now });
            }
            slot.shares = match experiment.policy().allocate {
                Allocate::Thompson if enough => {
                    let best = believed(experiment, &slot.rewards, &priors, &live);
                    shares(&best, &live, experiment.policy().least_share())
                }
                _ => without(&experiment.policy().planned_shares(), &live),
            };
        }
    }

    /// Which variants are not dropped.
    pub(super) fn live(&self, experiment: &Experiment) -> Vec<bool> {
        let mut live = vec![true; experiment.variants()];
        for guards in self.guards.iter().filter(|guards| guards.drop().is_some()) {
            if let Some(live) = live.get_mut(guards.variant()) {
                *live = false;
            }
        }
        live
    }

    /// What the posteriors of each slot start from.
    pub(super) fn priors(&self) -> Vec<Vec<Prior>> {
        let flat = |slot: &Slot| vec![FLAT; slot.rewards.len()];
        let Some((all, segments)) = self.slots.split_first() else { return Vec::new() };
        let cells: Vec<Vec<Rewards>> = segments.iter().map(|slot| slot.rewards.clone()).collect();
        std::iter::once(flat(all)).chain(pooled(&cells)).collect()
    }

    /// Shares for the next requests.
    pub fn allocation(&self) -> Allocation {
        let own = if self.slots.len() > 1 { 1 } else { 0 };
        Allocation { shares: self.slots.iter().skip(own).map(|slot| slot.shares.clone()).collect() }
    }

    /// The winner among all answers, if there is one, and the look at which it
    /// was found.
    pub fn winner(&self) -> Option<(usize, Timestamp)> {
        self.slots.first()?.winner.map(|won| (won.variant, won.at))
    }
}

/// The smallest risk at which each variant would be the winner; 1 for those
/// that are dropped.
pub(super) fn evidence(experiment: &Experiment, slot: &Slot, live: &[bool]) -> Vec<f64> {
    let policy = experiment.policy();
    let notice = experiment.scale().unit_difference(policy.notice.0);
    let bets = policy.risk.wrong_winner.0 / experiment.risk();
    let is_live = |v: usize| live.get(v).copied().unwrap_or(false);
    let others = |v: usize| (0..live.len()).filter(move |w| *w != v && is_live(*w));
    (0..live.len())
        .map(|v| match (is_live(v), others(v).next()) {
            (true, Some(_)) => others(v)
                .map(|w| slot.bets.not_below(v, w, notice) * bets)
                .fold(0.0, f64::max)
                .min(1.0),
            _ => 1.0,
        })
        .collect()
}

/// The variant that won all its bets; the surest if variants may be as good as
/// each other, none of two that are equally sure.
fn winner(experiment: &Experiment, slot: &Slot, live: &[bool]) -> Option<usize> {
    let risk = experiment.policy().risk.wrong_winner.0;
    let mut sure: Vec<(usize, f64)> = evidence(experiment, slot, live)
        .into_iter()
        .enumerate()
        .filter(|(_, evidence)| *evidence <= risk)
        .collect();
    sure.sort_by(|a, b| a.1.total_cmp(&b.1));
    match sure.as_slice() {
        [first, second, ..] if first.1 == second.1 => None,
        [first, ..] => Some(first.0),
        [] => None,
    }
}

/// How probably each live variant is the best one.
pub(super) fn believed(
    experiment: &Experiment,
    rewards: &[Rewards],
    priors: &[Prior],
    live: &[bool],
) -> Vec<f64> {
    let binary = experiment.scale().is_binary();
    let posteriors: Vec<Posterior> = rewards
        .iter()
        .zip(priors)
        .zip(live)
        .filter(|(_, live)| **live)
        .map(|((rewards, prior), _)| Posterior::of(rewards, *prior, binary))
        .collect();
    let mut best = probably_best(&posteriors).into_iter();
    live.iter().map(|live| if *live { best.next().unwrap_or(0.0) } else { 0.0 }).collect()
}

/// The same shares among those that are live.
fn without(planned: &[f64], live: &[bool]) -> Vec<f64> {
    let kept = |(share, live): (&f64, &bool)| if *live { *share } else { 0.0 };
    let total: f64 = planned.iter().zip(live).map(kept).sum();
    planned.iter().zip(live).map(|pair| kept(pair) / total.max(f64::MIN_POSITIVE)).collect()
}

fn usable(answer: &Answer, variants: usize) -> bool {
    let sound = |share: &f64| (0.0..=1.0).contains(share);
    let sum: f64 = answer.shares.iter().sum();
    answer.shares.len() == variants
        && answer.variant < variants
        && answer.shares.iter().all(sound)
        && (sum - 1.0).abs() < 1e-6
}
