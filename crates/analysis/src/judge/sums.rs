//! What is kept of an arm: counts, sums and cross sums, as whole numbers.
//!
//! Values are rounded to 2⁻²⁰ (about one in a million) and summed as integers,
//! so that merging is exact and no order of arrival changes a digit.

/// One unit of a value.
const ONE: f64 = (1_u64 << 20) as f64;
/// Values beyond this are cut off to it: sums must not overflow.
const LARGEST: f64 = 1_048_576.0;

/// Judged answers of one arm, some of them labelled by people.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Arm {
    /// Answers judged and labelled: n, judge, judge², human, human², both.
    n: u64,
    judge: i128,
    judge_sq: i128,
    human: i128,
    human_sq: i128,
    both: i128,
    /// Answers judged and not labelled: n, judge, judge².
    rest: u64,
    rest_judge: i128,
    rest_judge_sq: i128,
    /// Values of the judge, or of people, that are neither 0 nor 1.
    graded: u64,
    human_graded: u64,
    /// Lowest and highest value of the judge.
    range: Option<(i64, i64)>,
}

/// Means, variances and covariance of labelled answers, of the judge's values
/// on the others, and how many there are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Moments {
    pub n: f64,
    pub judge: f64,
    pub human: f64,
    pub judge_var: f64,
    pub human_var: f64,
    pub covariance: f64,
    pub rest: f64,
    pub rest_judge: f64,
    pub rest_var: f64,
}

impl Arm {
    /// Takes in one answer: what the judge said and, if it is in the random
    /// sample, what a person said. A value that is no number is not taken in.
    pub fn add(&mut self, judge: f64, human: Option<f64>) {
        if judge.is_nan() || human.is_some_and(f64::is_nan) {
            return;
        }
        let f = whole(judge);
        let (low, high) = self.range.unwrap_or((f, f));
        self.range = Some((low.min(f), high.max(f)));
        self.graded = self.graded.saturating_add(u64::from(is_graded(f)));
        let f = i128::from(f);
        let Some(human) = human else {
            self.rest = self.rest.saturating_add(1);
            self.rest_judge = self.rest_judge.saturating_add(f);
            self.rest_judge_sq = self.rest_judge_sq.saturating_add(f * f);
            return;
        };
        let y = whole(human);
        self.human_graded = self.human_graded.saturating_add(u64::from(is_graded(y)));
        let y = i128::from(y);
        self.n = self.n.saturating_add(1);
        self.judge = self.judge.saturating_add(f);
        self.judge_sq = self.judge_sq.saturating_add(f * f);
        self.human = self.human.saturating_add(y);
        self.human_sq = self.human_sq.saturating_add(y * y);
        self.both = self.both.saturating_add(f * y);
    }

    /// Takes in another part of the same arm.
    pub fn merge(&mut self, other: &Self) {
        for (mine, others) in [
            (&mut self.n, other.n),
            (&mut self.rest, other.rest),
            (&mut self.graded, other.graded),
            (&mut self.human_graded, other.human_graded),
        ] {
            *mine = mine.saturating_add(others);
        }
        for (mine, others) in [
            (&mut self.judge, other.judge),
            (&mut self.judge_sq, other.judge_sq),
            (&mut self.human, other.human),
            (&mut self.human_sq, other.human_sq),
            (&mut self.both, other.both),
            (&mut self.rest_judge, other.rest_judge),
            (&mut self.rest_judge_sq, other.rest_judge_sq),
        ] {
            *mine = mine.saturating_add(others);
        }
        self.range = match (self.range, other.range) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (a, b) => a.or(b),
        };
    }

    /// Answers that people labelled.
    pub fn labels(&self) -> u64 {
        self.n
    }

    /// The same shares of fewer answers: `effect` of them are worth one that
    /// stands alone, because they come from the same subjects (Kish's design
    /// effect, 1 + (m − 1)ρ for m answers a subject). Of the labelled ones, of
    /// which a subject has fewer, it takes fewer.
    pub fn worth(&self, effect: f64) -> Self {
        if effect.is_nan() || effect <= 1.0 || self.judged() == 0 {
            return *self;
        }
        let labelled = 1.0 + (effect - 1.0) * self.n as f64 / self.judged() as f64;
        let fewer = |n: u64, effect: f64| (n as f64 / effect).round().max(1.0).min(n as f64) as u64;
        let part = |sum: i128, new: u64, n: u64| match n {
            0 => 0,
            n => sum.saturating_mul(i128::from(new)) / i128::from(n),
        };
        let (n, rest) = (fewer(self.n, labelled), fewer(self.rest, effect));
        let of_labelled = |sum| part(sum, n, self.n);
        let of_rest = |sum| part(sum, rest, self.rest);
        Self {
            n,
            judge: of_labelled(self.judge),
            judge_sq: of_labelled(self.judge_sq),
            human: of_labelled(self.human),
            human_sq: of_labelled(self.human_sq),
            both: of_labelled(self.both),
            rest,
            rest_judge: of_rest(self.rest_judge),
            rest_judge_sq: of_rest(self.rest_judge_sq),
            ..*self
        }
    }

    /// Answers that were judged.
    pub fn judged(&self) -> u64 {
        self.n.saturating_add(self.rest)
    }

    /// Mean of what the judge said of all answers, uncorrected.
    pub fn judged_mean(&self) -> Option<f64> {
        let sum = self.judge.saturating_add(self.rest_judge) as f64 / ONE;
        (self.judged() > 0).then(|| sum / self.judged() as f64)
    }

    /// True if the judge only ever said 0 or 1.
    pub(super) fn is_binary(&self) -> bool {
        self.graded == 0
    }

    /// True if people only ever said 0 or 1.
    pub(super) fn has_binary_labels(&self) -> bool {
        self.human_graded == 0
    }

    /// The same arm and four labels that nobody gave, on answers that nobody
    /// gave: two at either end, of which the judge gets one of each right.
    pub(super) fn with_doubt(&self) -> Self {
        let (low, high) = self.range.unwrap_or((0, ONE as i64));
        let mut arm = *self;
        for f in [low, high] {
            for y in [0.0, 1.0] {
                arm.add(f as f64 / ONE, Some(y));
            }
        }
        arm
    }

    pub(super) fn moments(&self) -> Moments {
        let mean = |sum: i128, n: u64| sum as f64 / ONE / n.max(1) as f64;
        let (n, rest) = (self.n, self.rest);
        let (judge, human) = (mean(self.judge, n), mean(self.human, n));
        let rest_judge = mean(self.rest_judge, rest);
        // Mean of products minus product of means, unbiased.
        let spread = |sum: i128, n: u64, product: f64| {
            let around = sum as f64 / (ONE * ONE) - n as f64 * product;
            if n > 1 { around / (n - 1) as f64 } else { 0.0 }
        };
        Moments {
            n: n as f64,
            judge,
            human,
            judge_var: spread(self.judge_sq, n, judge * judge).max(0.0),
            human_var: spread(self.human_sq, n, human * human).max(0.0),
            covariance: spread(self.both, n, judge * human),
            rest: rest as f64,
            rest_judge,
            rest_var: spread(self.rest_judge_sq, rest, rest_judge * rest_judge).max(0.0),
        }
    }
}

fn whole(value: f64) -> i64 {
    (value.clamp(-LARGEST, LARGEST) * ONE).round() as i64
}

fn is_graded(value: i64) -> bool {
    value != 0 && value != ONE as i64
}
