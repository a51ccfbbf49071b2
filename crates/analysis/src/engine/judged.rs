//! What a judge said of either arm, corrected for the errors it is known to make.
//!
//! For people to read: tests go on comparing what the judge said. Both arms share
//! the judge, so its errors cost these tests sharpness and no validity.

use crate::judge::{self, Arm};
use crate::outcome::Side;
use domain::policy::{Judge, Signal, SignalKind, Worse};
use domain::verdict::{Corrected, Estimate};

/// Level of the intervals, for one look.
const LEVEL: f64 = 0.95;

/// Judged answers of both arms; 1 is bad, whatever the signal calls 1.
#[derive(Debug, Clone)]
pub(super) struct Judged {
    judge: Judge,
    /// The signal's 1 is good.
    flipped: bool,
    control: Arm,
    candidate: Arm,
}

impl Judged {
    /// None if nothing is known of a judge, or the signal is no rate.
    pub(super) fn new(signal: &Signal) -> Option<Self> {
        let judge = signal.judge.clone().filter(|_| signal.kind == SignalKind::Rate)?;
        Some(Self {
            judge,
            flipped: signal.worse == Worse::Lower,
            control: Arm::default(),
            candidate: Arm::default(),
        })
    }

    /// Takes in what the judge said of one answer: 0 or 1.
    pub(super) fn add(&mut self, side: Side, value: f64) {
        let bad = if self.flipped { 1.0 - value } else { value };
        match side {
            Side::Candidate => self.candidate.add(bad, None),
            Side::Baseline => self.control.add(bad, None),
        }
    }

    /// Both arms as people would have measured them, over all answers alike.
    /// `effect` is how many answers are worth one that stands alone: those of a
    /// sticky subject resemble each other. None while nothing can be said of
    /// the candidate.
    pub(super) fn corrected(&self, effect: f64) -> Option<Corrected> {
        let (control, candidate) = (self.control.worth(effect), self.candidate.worth(effect));
        let of = |arm: &Arm| arm.corrected(&self.judge, LEVEL);
        let known = of(&candidate)?;
        let difference = judge::difference(&candidate, &control, &self.judge, LEVEL);
        Some(Corrected {
            control: of(&control).map(|rate| self.rate(rate)),
            candidate: self.rate(known),
            difference: difference.map(|difference| self.mirrored(difference, 0.0)),
            labels: known.labels,
        })
    }

    fn rate(&self, bad: judge::Corrected) -> Estimate {
        self.mirrored(bad, 1.0)
    }

    /// In terms of the signal, of which the mirror image of x is `all` − x.
    fn mirrored(&self, bad: judge::Corrected, all: f64) -> Estimate {
        let judge::Corrected { value, low, high, .. } = bad;
        if self.flipped {
            Estimate { value: all - value, low: all - high, high: all - low }
        } else {
            Estimate { value, low, high }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::{Engine, Place};
    use crate::labels::resalt::mix;
    use crate::outcome::{Outcome, Side};
    use domain::policy::RolloutPolicy;
    use domain::units::Timestamp;
    use domain::verdict::{Estimate, Verdict};
    use serde_json::{Value, json};

    const SENSITIVITY: f64 = 0.85;
    const SPECIFICITY: f64 = 0.94;
    /// True shares of bad answers: control's and the candidate's.
    const TRUTH: [f64; 2] = [0.10, 0.16];

    fn judge(sensitivity: f64, specificity: f64, labelled: u64) -> Value {
        json!({"sensitivity": sensitivity, "specificity": specificity, "labelled": labelled})
    }

    fn policy(worse: &str, judge: Value) -> RolloutPolicy {
        serde_json::from_value(json!({
            "apiVersion": "tidegate/v1",
            "signals": [{"name": "unhelpful", "kind": "rate", "worse": worse, "judge": judge,
                "notice": {"by": 0.03}, "action": "pause"}],
        }))
        .unwrap()
    }

    /// Numbers in (0, 1) by position, from a seed.
    fn uniform(seed: u64, i: u64, which: u64) -> f64 {
        (mix(seed ^ mix(i ^ (which << 56))) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// What a judge with these errors says of answers that are as bad as the
    /// truth has it.
    fn rollout(seed: u64, n: u64) -> Vec<Outcome> {
        let one = |i: u64| {
            let candidate = uniform(seed, i, 1) < 0.5;
            let bad = uniform(seed, i, 2) < TRUTH[usize::from(candidate)];
            let called = if bad { SENSITIVITY } else { 1.0 - SPECIFICITY };
            let value = f64::from(u8::from(uniform(seed, i, 3) < called));
            Outcome {
                at: Timestamp(i as i64 * 1000),
                side: if candidate { Side::Candidate } else { Side::Baseline },
                share: 0.5,
                unit: None,
                pair: None,
                input: None,
                segment: None,
                step: 0,
                failed: false,
                values: vec![(0, value)],
            }
        };
        (0..n).map(one).collect()
    }

    fn verdict(policy: &RolloutPolicy, outcomes: &[Outcome]) -> Verdict {
        let mut engine = Engine::new(policy, Timestamp(0), policy.risk.false_stop.0);
        outcomes.iter().for_each(|outcome| engine.add(outcome));
        let end = outcomes.last().map_or(Timestamp(0), |last| last.at);
        engine.look(end, &Place { step: 0, exposed: true }).remove(0)
    }

    fn covers(found: Estimate, truth: f64) -> bool {
        found.low <= truth && truth <= found.high
    }

    #[test]
    fn a_corrected_rate_is_near_the_truth_where_the_judges_is_not() {
        let policy = policy("higher", judge(SENSITIVITY, SPECIFICITY, 2000));
        let verdict = verdict(&policy, &rollout(1, 20_000));
        let found = verdict.corrected.unwrap();
        assert_eq!(found.labels, 2000);
        let control = found.control.unwrap();
        for (said, found, truth) in [
            (verdict.control.value, control, TRUTH[0]),
            (verdict.candidate.value, found.candidate, TRUTH[1]),
        ] {
            assert!(said.unwrap() > truth + 0.02, "the judge says {said:?}, it is {truth}");
            assert!((found.value - truth).abs() < 0.015, "{found:?}, it is {truth}");
            assert!(covers(found, truth), "{found:?}, it is {truth}");
        }
        let difference = found.difference.unwrap();
        assert!((difference.value - (found.candidate.value - control.value)).abs() < 1e-9);
        assert!(covers(difference, TRUTH[1] - TRUTH[0]), "{difference:?}");
    }

    #[test]
    fn intervals_cover_the_truth_when_the_judge_is_estimated_too() {
        let (mut rates, mut differences, runs) = (0_u32, 0_u32, 300_u32);
        for run in 0..u64::from(runs) {
            // Measured on 60 bad answers and on 60 good ones.
            let share = |p: f64, which| {
                let right = (0..60).filter(|i| uniform(run, *i, which) < p).count();
                right as f64 / 60.0
            };
            let measured = judge(share(SENSITIVITY, 8), share(SPECIFICITY, 9), 120);
            let verdict = verdict(&policy("higher", measured), &rollout(run, 1000));
            let found = verdict.corrected.unwrap();
            rates += u32::from(covers(found.candidate, TRUTH[1]));
            let difference = found.difference.unwrap();
            differences += u32::from(covers(difference, TRUTH[1] - TRUTH[0]));
        }
        // 95 % are 285; fewer than 275 has a chance below one in two hundred.
        assert!(rates >= 275 && differences >= 275, "{rates} {differences} of {runs}");
    }

    #[test]
    fn where_lower_is_worse_the_same_answers_are_mirrored() {
        let known = judge(SENSITIVITY, SPECIFICITY, 500);
        let mut outcomes = rollout(3, 2000);
        let bad = verdict(&policy("higher", known.clone()), &outcomes).corrected.unwrap();
        for outcome in &mut outcomes {
            outcome.values[0].1 = 1.0 - outcome.values[0].1;
        }
        let good = verdict(&policy("lower", known), &outcomes).corrected.unwrap();
        let mirrored = |found: Estimate, of: f64| Estimate {
            value: of - found.value,
            low: of - found.high,
            high: of - found.low,
        };
        assert_eq!(good.candidate, mirrored(bad.candidate, 1.0));
        assert_eq!(good.control.unwrap(), mirrored(bad.control.unwrap(), 1.0));
        assert_eq!(good.difference.unwrap(), mirrored(bad.difference.unwrap(), 0.0));
    }

    #[test]
    fn answers_of_the_same_subjects_are_worth_less() {
        let policy = policy("higher", judge(SENSITIVITY, SPECIFICITY, 100_000));
        let mut outcomes = rollout(4, 4000);
        for (i, outcome) in (0_u64..).zip(&mut outcomes) {
            let subject = i % 200;
            // Whole subjects get one version and are content or not.
            let candidate = uniform(4, subject, 5) < 0.5;
            outcome.side = if candidate { Side::Candidate } else { Side::Baseline };
            outcome.values[0].1 = f64::from(u8::from(uniform(4, subject, 6) < 0.2));
        }
        let width = |outcomes: &[Outcome]| {
            let found = verdict(&policy, outcomes).corrected.unwrap().candidate;
            (found.value, found.high - found.low)
        };
        let (alone, narrow) = width(&outcomes);
        for (i, outcome) in (0_u64..).zip(&mut outcomes) {
            outcome.unit = Some(mix(i % 200));
        }
        let (sticky, wide) = width(&outcomes);
        assert!((sticky - alone).abs() < 0.01, "{sticky} {alone}");
        // Twenty answers each: √20 = 4.5 times as wide.
        assert!(wide > 3.0 * narrow && wide < 6.0 * narrow, "{wide} {narrow}");
    }

    #[test]
    fn the_correction_decides_nothing_and_needs_a_judge() {
        let outcomes = rollout(5, 3000);
        let with = verdict(&policy("higher", judge(0.7, 0.8, 50)), &outcomes);
        let without = verdict(&policy("higher", Value::Null), &outcomes);
        assert!(with.corrected.is_some());
        assert_eq!(without.corrected, None);
        assert_eq!(Verdict { corrected: None, ..with }, without);
        // Nothing of the candidate yet, nothing of control yet.
        let of = |side| -> Vec<Outcome> {
            outcomes.iter().filter(|outcome| outcome.side == side).cloned().collect()
        };
        let known = policy("higher", judge(0.7, 0.8, 50));
        assert_eq!(verdict(&known, &of(Side::Baseline)).corrected, None);
        let alone = verdict(&known, &of(Side::Candidate)).corrected.unwrap();
        assert_eq!((alone.control, alone.difference), (None, None));
    }
}
