//! What an experiment tells people, as numbers with their meaning.

use super::random::Random;
use super::ratio::RatioReport;
use super::state::{Slot, State, believed, evidence};
use super::{Experiment, guard};
use domain::units::Timestamp;
use domain::verdict::Verdict as GuardVerdict;
use serde::Serialize;

/// Level of the intervals around single means.
pub const LEVEL: f64 = 0.95;

/// Seconds, as recorded outcomes have them.
pub(super) fn seconds<S: serde::Serializer>(at: &Timestamp, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_f64(at.0 as f64 / 1000.0)
}

/// What was taken in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Answers.
    pub answers: u64,
    /// Rewards: what winners are found by.
    pub rewards: u64,
    /// Answers without all that a reward is made of.
    pub without_reward: u64,
    /// Rewards of units that had one before: not counted, as a unit is assigned
    /// once.
    pub repeated: u64,
    /// Rewards made of values outside their range.
    pub cut: u64,
    /// Answers whose shares make no sense.
    pub unusable: u64,
}

/// A mean.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// Values.
    pub n: u64,
    /// Their mean.
    pub value: f64,
    /// Its 95 % interval at this look alone; none if the values say nothing
    /// about it.
    pub interval: Option<(f64, f64)>,
}

/// What follows from the numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Variants did not get their shares: no number here can be trusted.
    WrongShares,
    /// Every variant but control was dropped.
    OnlyControl,
    /// This one is best, at the stated risk.
    Winner {
        /// Its name.
        variant: String,
        /// The look at which it was found, in seconds.
        #[serde(rename = "t", serialize_with = "seconds")]
        at: Timestamp,
    },
    /// A variant has too few rewards for any verdict.
    TooFew {
        /// How many are missing.
        needed: u64,
    },
    /// Enough rewards, and no winner.
    KeepRunning,
}

/// One variant in one group.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VariantReport {
    /// Its name.
    pub name: String,
    /// The share of the next requests it should get.
    pub share: f64,
    /// Its mean reward, in the unit of the primary metric.
    pub reward: Option<Estimate>,
    /// How much higher its mean reward is than control's, with an interval that
    /// holds for all pairs and all looks together.
    pub against_control: Option<Estimate>,
    /// How probably it is the best one: a belief, no verdict.
    pub probably_best: f64,
    /// The smallest risk at which it would be the winner.
    pub evidence: f64,
}

/// A group of answers with a verdict of its own.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SlotReport {
    /// Its segment; none for all answers, and for everybody else at the end of
    /// the list.
    pub segment: Option<String>,
    /// What follows.
    pub verdict: Verdict,
    /// The variants, in the policy's order.
    pub variants: Vec<VariantReport>,
}

/// A variant's guards.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GuardReport {
    /// The variant.
    pub variant: String,
    /// Why it was dropped, if it was.
    pub dropped: Option<guard::Drop>,
    /// What the last look said of each guard.
    pub verdicts: Vec<GuardVerdict>,
}

/// A secondary metric.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Secondary {
    /// Its name.
    pub metric: String,
    /// Its mean, by variant in the policy's order.
    pub variants: Vec<Option<Estimate>>,
}

/// Everything at one look.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// When; in JSON `t`, in seconds.
    #[serde(rename = "t", serialize_with = "seconds")]
    pub at: Timestamp,
    /// Looks made.
    pub looks: u64,
    /// What was taken in.
    pub counts: Counts,
    /// Whether every variant got its share.
    pub shares: RatioReport,
    /// All answers.
    pub overall: SlotReport,
    /// Each segment, and everybody else; empty where the policy has none.
    pub segments: Vec<SlotReport>,
    /// The guards of each variant.
    pub guards: Vec<GuardReport>,
    /// Metrics that are shown and not decided on.
    pub secondary: Vec<Secondary>,
}

impl State {
    /// The report of the last look, made at `now`.
    pub fn report(&self, experiment: &Experiment, now: Timestamp) -> Report {
        let policy = experiment.policy();
        let slot = |place: usize, segment: Option<String>| {
            self.slots.get(place).map(|slot| self.slot(experiment, slot, place, segment))
        };
        let rest = (self.slots.len() > 1).then_some(None);
        let names = policy.segments.iter().cloned().map(Some).chain(rest);
        let empty =
            SlotReport { segment: None, verdict: Verdict::KeepRunning, variants: Vec::new() };
        Report {
            at: now,
            looks: self.looks,
            counts: self.counts,
            shares: self.ratio.report(),
            overall: slot(0, None).unwrap_or(empty),
            segments: names
                .enumerate()
                .filter_map(|(i, name)| slot(i + 1, name))
                .filter(|_| self.slots.len() > 1)
                .collect(),
            guards: self.guards(experiment),
            secondary: self.secondary(experiment),
        }
    }

    fn slot(
        &self,
        experiment: &Experiment,
        slot: &Slot,
        place: usize,
        segment: Option<String>,
    ) -> SlotReport {
        let policy = experiment.policy();
        let live = self.live(experiment);
        let evidence = evidence(experiment, slot, &live);
        let priors = self.priors();
        let priors = priors.get(place).map(Vec::as_slice).unwrap_or_default();
        let best = believed(experiment, &slot.rewards, priors, &live);
        let (control, scale) = (policy.control(), experiment.scale());
        let variants = policy.variants.iter().enumerate().map(|(v, variant)| {
            let random = self.random(policy.seed, place, 0, v);
            let difference = slot.bets.difference(v, control, experiment.risk());
            let sample = slot.samples.get(v);
            VariantReport {
                name: variant.name.clone(),
                share: slot.shares.get(v).copied().unwrap_or(0.0),
                reward: sample.and_then(|s| s.estimate(LEVEL, scale.bounds(), random)),
                against_control: difference.map(|d| Estimate {
                    n: sample.map_or(0, |s| s.n()),
                    value: scale.difference(d.value),
                    interval: Some((scale.difference(d.low), scale.difference(d.high))),
                }),
                probably_best: best.get(v).copied().unwrap_or(0.0),
                evidence: evidence.get(v).copied().unwrap_or(1.0),
            }
        });
        SlotReport {
            segment,
            verdict: self.verdict(experiment, slot, &live),
            variants: variants.collect(),
        }
    }

    fn verdict(&self, experiment: &Experiment, slot: &Slot, live: &[bool]) -> Verdict {
        let policy = experiment.policy();
        if self.ratio.is_off() {
            return Verdict::WrongShares;
        }
        if live.iter().filter(|live| **live).count() < 2 {
            return Verdict::OnlyControl;
        }
        let name = |v: usize| policy.variants.get(v).map(|variant| variant.name.clone());
        if let Some((variant, at)) = slot.winner.and_then(|won| Some((name(won.variant)?, won.at)))
        {
            return Verdict::Winner { variant, at };
        }
        match policy.min_requests.saturating_sub(slot.fewest(live)) {
            0 => Verdict::KeepRunning,
            needed => Verdict::TooFew { needed },
        }
    }

    fn guards(&self, experiment: &Experiment) -> Vec<GuardReport> {
        let variants = &experiment.policy().variants;
        let report = |guards: &guard::Guards| {
            Some(GuardReport {
                variant: variants.get(guards.variant())?.name.clone(),
                dropped: guards.drop().cloned(),
                verdicts: guards.verdicts().to_vec(),
            })
        };
        self.guards.iter().filter_map(report).collect()
    }

    fn secondary(&self, experiment: &Experiment) -> Vec<Secondary> {
        let open = (f64::NEG_INFINITY, f64::INFINITY);
        let policy = experiment.policy();
        let all = policy.secondary.iter().zip(&self.secondary).enumerate();
        all.map(|(m, (metric, samples))| Secondary {
            metric: metric.clone(),
            variants: samples
                .iter()
                .enumerate()
                .map(|(v, s)| s.estimate(LEVEL, open, self.random(policy.seed, 0, m + 1, v)))
                .collect(),
        })
        .collect()
    }

    /// A stream for one number of one look.
    fn random(&self, seed: u64, slot: usize, metric: usize, variant: usize) -> Random {
        let place = (slot * 1000 + metric) * 100 + variant;
        Random::new(Random::new(seed, self.looks).bits(), place as u64)
    }
}
