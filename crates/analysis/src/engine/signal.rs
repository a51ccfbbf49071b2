//! One signal of a rollout: its numbers, its tests, its limits.

use super::Place;
use super::interval;
use super::judged::Judged;
use super::numbers::Arm;
use crate::labels::rare::Rare;
use crate::labels::resalt::{self, Draws, mix};
use crate::labels::score::{NotWorse, Scorer, badness};
use crate::labels::spend::Schedule;
use crate::labels::test::Test;
use crate::outcome::{Label, Outcome, Side};
use crate::watch::{Reading, Watch, Watched};
use domain::policy::{Signal, SignalAction, SignalKind, Worse};
use domain::units::Timestamp;
use domain::verdict::{Corrected, Labels, Outcome as Result, Reason, Verdict};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

/// Most answers that wait for the other arm's answer to the same input; beyond,
/// the oldest is given up.
pub const MAX_PENDING: usize = 10_000;
/// Most inputs whose pairs are remembered so that they count once, and most
/// subjects that are remembered so that each counts once.
pub const MAX_INPUTS: usize = 100_000;
/// Share of unusable numbers above which nothing is concluded from the rest.
pub const UNUSABLE_SHARE: f64 = 0.01;
/// The candidate is silent when so many of its outcomes were to be expected
/// from control's since its last one: a chance of one in a million.
pub const SILENT_AFTER: f64 = 13.8;
/// Evidence at which a rate's and another signal's risk begins to be spent.
const RATE_ONSET: f64 = 1.0;
const VALUE_ONSET: f64 = 4.0;
/// What the difference of two answers to one input counts beside the place of
/// one answer. What both share cancels: at a correlation of one half a unit of
/// it says twice as much about a difference as a unit of a single answer, and
/// sums of scores are sharpest when each counts by what it says. Where harm of
/// one size shows in less evidence, spending must set in earlier, too.
const PAIR_WEIGHT: i32 = 2;
/// A candidate whose numbers lean towards harm as much as they would by chance
/// in this share of the looks, over all signals, is not promoted at such a look.
const LEANING: f64 = 0.15;
/// Share of the risk of a wrong promotion that goes to showing that bad answers
/// are rare; the rest compares with control.
const RARE_PART: f64 = 0.2;

/// True if a signal compares with control.
pub(super) fn compares(signal: &Signal) -> bool {
    signal.notice.is_some() && signal.source.is_none() && signal.action != SignalAction::Notify
}

/// Draws a key needs before the tests of these signals exist.
pub(super) fn repetitions_at_first(signals: &[SignalState]) -> usize {
    signals.iter().map(SignalState::repetitions_wanted).max().unwrap_or(0)
}

/// What all signals of one policy share.
pub(super) struct Shared {
    pub false_promote: f64,
    /// Signals that compare with control.
    pub compared: usize,
    /// A signal of its own compares how many answers failed.
    pub failures_judged: bool,
}

/// What all signals of one outcome share.
pub(super) struct Context {
    pub at: Timestamp,
    pub sticky: bool,
    /// What sticks together, or a number of its own.
    pub key: u64,
}

/// The tests against control, made with the first outcome, and again when the
/// first comes that sticks to others: only then it is known that some do.
#[derive(Debug, Clone)]
struct Tests {
    sticky: bool,
    worse: Test,
    not_worse: Test,
    /// Risks that tests before these have spent.
    before: (f64, f64),
}

/// Pairs: answers of both arms to one input.
#[derive(Debug, Clone, Default)]
struct Pairs {
    waiting: BTreeMap<u64, (Side, f64)>,
    order: VecDeque<u64>,
    inputs: HashSet<u64>,
    compared: f64,
    differing: f64,
}

/// One signal of a rollout.
#[derive(Debug, Clone)]
pub(super) struct SignalState {
    signal: Signal,
    /// Risk of a false stop that is this signal's.
    risk: f64,
    false_promote: f64,
    leaning: f64,
    failures_judged: bool,
    ended: bool,
    control: Arm,
    candidate: Arm,
    judged: Option<Judged>,
    unusable: u64,
    watch: Watch,
    tests: Option<Tests>,
    scorer: Scorer,
    margin: Option<NotWorse>,
    rare: Option<Rare>,
    pairs: Pairs,
    /// The candidate's subjects, and whether a bad answer of theirs was counted.
    subjects: HashMap<u64, bool>,
    /// Outcomes of the candidate to be expected since its last one.
    quiet: f64,
    /// Outcomes of the most measured signal at this one's last outcome.
    last_measured: u64,
    worse: bool,
}

impl SignalState {
    pub(super) fn new(signal: &Signal, risk: f64, shared: &Shared) -> Self {
        Self {
            risk,
            false_promote: shared.false_promote,
            leaning: LEANING / shared.compared.max(1) as f64,
            failures_judged: shared.failures_judged,
            ended: false,
            control: Arm::default(),
            candidate: Arm::default(),
            judged: Judged::new(signal),
            unusable: 0,
            watch: Watch::new(signal),
            tests: None,
            scorer: Scorer::new(signal),
            margin: signal.notice.map(|notice| NotWorse::new(signal, notice)),
            rare: signal
                .notice
                .filter(|_| signal.kind == SignalKind::Rate)
                .map(|notice| Rare::new(signal, notice)),
            pairs: Pairs::default(),
            subjects: HashMap::new(),
            quiet: 0.0,
            last_measured: 0,
            worse: false,
            signal: signal.clone(),
        }
    }

    pub(super) fn repetitions(&self) -> usize {
        self.tests
            .as_ref()
            .map_or(0, |tests| tests.worse.repetitions().max(tests.not_worse.repetitions()))
    }

    fn repetitions_wanted(&self) -> usize {
        match (self.signal.notice, self.risk > 0.0) {
            (None, _) => 0,
            (Some(_), true) => resalt::repetitions(self.risk.min(self.false_promote)),
            (Some(_), false) => resalt::repetitions(self.false_promote),
        }
    }

    pub(super) fn measured(&self) -> u64 {
        self.control.n.saturating_add(self.candidate.n)
    }

    /// The signal's name and whether it is broken now, if it has a breaker whose
    /// trip stops something.
    pub(super) fn breaker(&self) -> Option<(&str, bool)> {
        let stops = self.watch.can_break() && self.signal.action != SignalAction::Notify;
        stops.then(|| (self.signal.name.as_str(), self.watch.is_broken()))
    }

    pub(super) fn risk(&self) -> f64 {
        self.risk
    }

    pub(super) fn spent(&self) -> f64 {
        self.tests.as_ref().map_or(0.0, |tests| tests.worse.spent() + tests.before.0)
    }

    pub(super) fn goes_on(&self) -> bool {
        compares(&self.signal) && !self.ended
    }

    /// True if nothing came for this signal while `patience` outcomes came for
    /// the most measured one, which stands at `most`.
    pub(super) fn has_ended(&self, most: u64, patience: u64) -> bool {
        self.goes_on() && most.saturating_sub(self.last_measured) > patience
    }

    /// Gives back what is unspent of the risk, but for a part.
    pub(super) fn release(&mut self, kept: f64) -> f64 {
        self.ended = true;
        let unspent = (self.risk - self.spent()).max(0.0);
        self.risk -= unspent * (1.0 - kept);
        unspent * (1.0 - kept)
    }

    pub(super) fn grant(&mut self, risk: f64) {
        self.risk += risk;
    }

    /// Takes in what an outcome says about this signal.
    pub(super) fn add(
        &mut self,
        outcome: &Outcome,
        value: Option<f64>,
        context: &Context,
        draws: &Draws,
    ) {
        let Some(value) = value else { return };
        if self.signal.source.is_some() {
            return;
        }
        let Some(value) = self.usable(value, outcome.failed) else {
            self.unusable = self.unusable.saturating_add(1);
            return;
        };
        let served = match (outcome.side, outcome.pair) {
            (_, Some(_)) => 1.0,
            (Side::Candidate, None) => outcome.share,
            (Side::Baseline, None) => 1.0 - outcome.share,
        };
        if let Some(judged) = &mut self.judged {
            judged.add(outcome.side, outcome.answer, value);
        }
        match outcome.side {
            Side::Candidate => {
                self.candidate.add(self.signal.kind, value, served);
                self.quiet = 0.0;
                let reading = match value.is_infinite() {
                    true => Reading::Worst,
                    false => Reading::Number(value),
                };
                self.watch.add(context.at, outcome.step, reading);
                self.count_rare(outcome.unit, value);
            }
            Side::Baseline => {
                self.control.add(self.signal.kind, value, served);
                self.quiet += match outcome.pair {
                    Some(_) => 1.0,
                    None => outcome.share / (1.0 - outcome.share).max(1e-4),
                };
            }
        }
        if self.signal.notice.is_some() {
            self.compare(outcome, value, context, draws);
        }
    }

    /// Takes in what a person said of an answer.
    pub(super) fn label(&mut self, label: &Label) {
        let value = self.usable(label.value, false);
        if let Some(judged) = &mut self.judged {
            judged.label(label.side, label.answer, value);
        }
    }

    /// What people would have measured, and how far they are with labelling.
    pub(super) fn corrected(&self) -> (Option<Corrected>, Option<Labels>) {
        let effect = self.tests.as_ref().map_or(1.0, |tests| tests.worse.design_effect());
        self.judged.as_ref().map_or((None, None), |judged| judged.corrected(effect))
    }

    /// The value if it can be of the signal's kind; infinite for a failed answer
    /// whose latency is asked for.
    fn usable(&self, value: f64, failed: bool) -> Option<f64> {
        if self.signal.kind == SignalKind::Latency && failed && self.signal.worse == Worse::Higher {
            return Some(f64::INFINITY);
        }
        let sound = match self.signal.kind {
            SignalKind::Rate => value == 0.0 || value == 1.0,
            SignalKind::Score => {
                let inside = |(low, high)| (low..=high).contains(&value);
                value.is_finite() && self.signal.range.is_none_or(inside)
            }
            SignalKind::Latency | SignalKind::Amount => value.is_finite() && value >= 0.0,
        };
        sound.then_some(value)
    }

    fn compare(&mut self, outcome: &Outcome, value: f64, context: &Context, draws: &Draws) {
        if self.tests.as_ref().is_none_or(|tests| context.sticky && !tests.sticky) {
            self.make_tests(context.sticky);
        }
        let shows = outcome.side == Side::Candidate;
        match outcome.pair {
            Some(pair) => {
                // Both are learned at once, the lower one first: what was known
                // when a pair is scored does not tell which arm came first.
                let Some(other) = self.compare_pair(pair, outcome, value, draws) else { return };
                let both = if value <= other { [value, other] } else { [other, value] };
                let sides = if value <= other { [shows, !shows] } else { [!shows, shows] };
                for (value, shows) in both.into_iter().zip(sides) {
                    self.learn(value, shows, outcome.segment);
                }
            }
            None => {
                self.compare_one(outcome, value, context, draws);
                self.learn(value, shows, outcome.segment);
            }
        }
    }

    fn learn(&mut self, value: f64, shows: bool, segment: Option<u64>) {
        self.scorer.learn(badness(self.signal.kind, self.signal.worse, value), segment);
        let judged = margin_for(&self.margin, self.failures_judged, value).is_some();
        if let Some(margin) = self.margin.as_mut().filter(|_| judged) {
            let forgiven = margin.forgiven(value, shows);
            margin.learn(forgiven, segment);
        }
    }

    /// Counts an answer of the candidate towards "bad ones are rare". A subject
    /// counts once, and once more when its first bad answer is not its first:
    /// its answers are not independent.
    fn count_rare(&mut self, unit: Option<u64>, value: f64) {
        let Some(rare) = &mut self.rare else { return };
        let bad = badness(self.signal.kind, self.signal.worse, value) > 0.0;
        let room = self.subjects.len() < MAX_INPUTS;
        let counts = match unit.map(|unit| (unit, self.subjects.get_mut(&unit))) {
            None => true,
            Some((_, Some(counted))) => bad && !std::mem::replace(counted, bad || *counted),
            Some((unit, None)) if room => self.subjects.insert(unit, bad).is_none(),
            Some((_, None)) => bad,
        };
        if counts {
            rare.add(bad);
        }
    }

    /// Tests that begin now. What tests before them have shown stands, and what
    /// they have spent is gone.
    fn make_tests(&mut self, sticky: bool) {
        let onset = match self.signal.kind {
            SignalKind::Rate => RATE_ONSET,
            _ => VALUE_ONSET,
        };
        let schedule = Schedule { onset, steady: false };
        let steady = Schedule { onset, steady: true };
        let worse = Test::new(schedule, self.risk.max(1e-6), sticky, true);
        let not_worse = Test::new(steady, self.false_promote, sticky, false);
        let mut tests = Tests { sticky, worse, not_worse, before: (0.0, 0.0) };
        if let Some(old) = self.tests.take() {
            tests.before = old.before;
            // A test that has stopped stays: what was shown is shown.
            match old.worse.stopped() {
                true => tests.worse = old.worse,
                false => tests.before.0 += old.worse.spent(),
            }
            match old.not_worse.stopped() {
                true => tests.not_worse = old.not_worse,
                false => tests.before.1 += old.not_worse.spent(),
            }
        }
        self.tests = Some(tests);
    }

    fn compare_one(&mut self, outcome: &Outcome, value: f64, context: &Context, draws: &Draws) {
        let (share, segment) = (outcome.share, outcome.segment);
        let shows = outcome.side == Side::Candidate;
        let Some(tests) = &mut self.tests else { return };
        let bad = badness(self.signal.kind, self.signal.worse, value);
        let score = self.scorer.score(bad, segment);
        if tests.sticky {
            tests.worse.toss(Some(draws), share, score, shows);
        } else if !context.sticky {
            tests.worse.toss(None, share, score, shows);
        }
        let Some(margin) = margin_for(&self.margin, self.failures_judged, value) else { return };
        if tests.sticky && margin.is_rate() {
            let u = mix(context.key ^ mix(self.control.n + self.candidate.n));
            let u = (u >> 11) as f64 / (1_u64 << 53) as f64;
            let coin = margin.thinned_coin(bad > 0.0, shows, share, segment, u);
            tests.not_worse.toss(Some(draws), coin.p, coin.score, shows);
            return;
        }
        let coin = margin.coin(margin.forgiven(value, shows), share, segment);
        if tests.sticky {
            tests.not_worse.toss(Some(draws), coin.p, coin.score, shows);
        } else if !context.sticky {
            tests.not_worse.toss(None, coin.p, coin.score, shows);
        }
    }

    /// Both answers to one input make one coin: which of them is worse?
    /// The other answer, if this one completes a pair that counts.
    fn compare_pair(
        &mut self,
        pair: u64,
        outcome: &Outcome,
        value: f64,
        draws: &Draws,
    ) -> Option<f64> {
        let pairs = &mut self.pairs;
        let other = match pairs.waiting.get(&pair) {
            Some((side, _)) if *side == outcome.side => return None,
            Some(_) => pairs.waiting.remove(&pair),
            None => None,
        };
        let Some((_, other)) = other else {
            pairs.waiting.insert(pair, (outcome.side, value));
            pairs.order.push_back(pair);
            while pairs.order.len() > MAX_PENDING {
                if let Some(oldest) = pairs.order.pop_front() {
                    pairs.waiting.remove(&oldest);
                }
            }
            return None;
        };
        if let Some(input) = outcome.input {
            let new = pairs.inputs.len() < MAX_INPUTS && pairs.inputs.insert(input);
            if !new {
                return None;
            }
        }
        let (candidate, control) = match outcome.side {
            Side::Candidate => (value, other),
            Side::Baseline => (other, value),
        };
        pairs.compared += 1.0;
        pairs.differing += f64::from(u8::from(candidate != control));
        let tests = self.tests.as_mut()?;
        let key = tests.sticky.then_some(draws);
        let bad = |value| badness(self.signal.kind, self.signal.worse, value);
        let worse = self.scorer.difference(bad(candidate), bad(control), outcome.segment);
        tests.worse.toss(key, 0.5, PAIR_WEIGHT * worse.abs(), worse > 0);
        let worst = candidate.max(control);
        let Some(margin) = margin_for(&self.margin, self.failures_judged, worst) else {
            return Some(other);
        };
        let discordant = pairs.differing / pairs.compared;
        let (forgiven, forgiven_control) =
            (margin.forgiven(candidate, true), margin.forgiven(control, false));
        let (coin, fewer) =
            margin.pair_coin(forgiven, forgiven_control, discordant, outcome.segment);
        tests.not_worse.toss(key, coin.p, PAIR_WEIGHT * coin.score, fewer);
        Some(other)
    }

    /// A look of the grid.
    pub(super) fn look(&mut self, plan: Option<f64>) {
        if let Some(tests) = &mut self.tests {
            if self.risk > 0.0 {
                let left = self.risk - tests.before.0;
                if left > 0.0 {
                    tests.worse.look(left, plan);
                }
            }
            let rare = self.rare.map_or(0.0, |_| RARE_PART);
            let left = self.false_promote * (1.0 - rare) - tests.before.1;
            if left > 0.0 {
                tests.not_worse.look(left, plan);
            }
            let stopped = tests.worse.stopped() && compares(&self.signal);
            self.worse = self.worse
                || (stopped && interval::matters(&self.signal, &self.candidate, &self.control));
        }
    }

    /// Remembers where the most measured signal stood at this one's last
    /// outcome.
    pub(super) fn mark(&mut self, before: u64, most: u64) {
        if self.measured() > before {
            self.last_measured = most;
        }
    }

    /// What the numbers say, as of the last look.
    pub(super) fn verdict(&mut self, now: Timestamp, place: &Place) -> Verdict {
        let watched = self.watch.look(now, place.step);
        let (outcome, reason) = self.decide(&watched, place);
        let (corrected, labels) = self.corrected();
        let tests = self.tests.as_ref();
        let limits = matches!(reason, Reason::OverLimit | Reason::Breaker | Reason::BudgetBurns)
            || self.signal.notice.is_none();
        let control = self.control.numbers(&self.signal);
        let compared = tests.filter(|_| compares(&self.signal) && !limits);
        Verdict {
            signal: self.signal.name.clone(),
            outcome,
            reason,
            action: self.signal.action,
            control,
            candidate: match limits {
                true => watched.numbers,
                false => self.candidate.numbers(&self.signal),
            },
            limit: self.signal.limit.map(|limit| limit.0),
            interval: self.interval(control.value),
            evidence: match limits {
                true => watched.evidence,
                false => compared.map(|tests| tests.worse.evidence()),
            },
            boundary: match limits {
                true => watched.boundary,
                false => compared.map(|_| self.risk),
            },
            needed: self.needed().filter(|_| outcome == Result::Hold),
            corrected,
            labels,
        }
    }

    /// Shown not to be worse by the notice, at the risk of a wrong promotion.
    /// While the numbers lean towards harm, what was shown waits.
    fn is_not_worse(&self) -> bool {
        if self.tests.as_ref().is_some_and(|tests| tests.worse.leaning() < self.leaning) {
            return false;
        }
        let compared = self.tests.as_ref().is_some_and(|tests| tests.not_worse.stopped());
        compared || self.rare.is_some_and(|rare| rare.evidence() <= self.false_promote * RARE_PART)
    }

    fn interval(&self, control: Option<f64>) -> Option<(f64, f64)> {
        self.signal.notice?;
        let tests = self.tests.as_ref()?;
        let effect = tests.worse.design_effect();
        let between = interval::difference(&self.signal, &self.candidate, &self.control, effect)?;
        let not_worse = self.is_not_worse();
        interval::agreeing(&self.signal, between, self.worse, not_worse, control)
    }

    fn decide(&self, watched: &Watched, place: &Place) -> (Result, Reason) {
        let n = self.candidate.n;
        let enough = n >= self.signal.min_samples.max(1);
        let measured = self.measured();
        let alone = self.signal.notice.is_some() && enough && self.control.n == 0;
        let odd = self.unusable as f64 > UNUSABLE_SHARE * measured as f64;
        let not_worse = self.is_not_worse();
        if let Some(reason) = watched.over {
            (Result::Fail, reason)
        } else if self.worse {
            (Result::Fail, Reason::WorseThanControl)
        } else if measured == 0 && self.unusable == 0 {
            (Result::NoData, Reason::Nothing)
        } else if place.exposed && self.quiet >= SILENT_AFTER {
            (Result::NoData, Reason::Stale)
        } else if odd || alone {
            (Result::Inconclusive, Reason::Unusable)
        } else if !enough || (self.signal.notice.is_none() && !watched.enough) {
            (Result::Hold, Reason::TooFew)
        } else if watched.within && (self.signal.notice.is_none() || not_worse) {
            (Result::Pass, Reason::NotWorse)
        } else {
            (Result::Hold, Reason::Undecided)
        }
    }

    /// Outcomes of the candidate still needed before a pass is possible, from
    /// how the evidence has grown so far.
    fn needed(&self) -> Option<u64> {
        let n = self.candidate.n;
        let few = self.signal.min_samples.saturating_sub(n);
        let Some(tests) = self.tests.as_ref().filter(|_| !self.is_not_worse()) else {
            return (few > 0).then_some(few);
        };
        let grown = tests.not_worse.standing().ln();
        let more = (n > 0 && grown < -0.1).then(|| {
            let factor = (self.false_promote.ln() / grown).max(1.0) - 1.0;
            (n as f64 * factor).ceil().max(1.0) as u64
        });
        match (few, more) {
            (0, more) => more,
            (few, more) => Some(few.max(more.unwrap_or(0))),
        }
    }
}

/// What is compared with the notice. Failed answers are left out where a signal
/// of their own has its notice for them: no factor makes them slower.
fn margin_for(margin: &Option<NotWorse>, failures_judged: bool, value: f64) -> Option<&NotWorse> {
    margin.as_ref().filter(|_| value.is_finite() || !failures_judged)
}
