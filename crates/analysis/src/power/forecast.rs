//! A plan walked through: which step brings how many answers, and what can be
//! told from them.

use super::traffic::{Baseline, Traffic};
use super::{
    ASSUMED_PAIR_CORRELATION, Detectable, LONGEST, NoticeForecast, SignalForecast, StepForecast,
    efficiency, promotion_efficiency, words,
};
use crate::floor::Law;
use crate::labels::rare::Rare;
use domain::policy::{Notice, RolloutPolicy, Signal, SignalKind, Step, Worse};
use domain::units::{Share, Span};

/// Largest factor that is looked for.
const MAX_TIMES: f64 = 1000.0;
/// Halvings when looking for the smallest difference: to one part in a million of
/// the largest.
const HALVINGS: u32 = 24;
const SECONDS_PER_DAY: f64 = 86_400.0;
/// Share of the risk of a wrong promotion with which the engine shows that bad
/// answers are rare.
const RARE_PART: f64 = 0.2;
/// Halvings after which a forecast has settled.
const FIXED_POINT_STEPS: u32 = 40;

/// One step at the app's traffic. Times in seconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stage {
    pub index: usize,
    pub weight: Share,
    pub shadow: Share,
    /// None once a step before does not end.
    pub begins: Option<f64>,
    /// None if it does not end.
    pub lasts: Option<f64>,
}

/// One signal with everything a forecast needs.
#[derive(Debug, Clone)]
pub(super) struct Watched<'a> {
    pub signal: &'a Signal,
    pub baseline: Baseline,
    pub assumed: bool,
    /// None if nothing can be told from today's numbers.
    pub law: Option<Law>,
    /// Risk of a false stop of its own; 0 if it is not compared.
    pub risk: f64,
    /// `notice` as a size of the law; none if that cannot be.
    pub notice: Option<f64>,
}

/// What comes in while something lasts: answers of the candidate at a share, and
/// mirrored pairs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Intake {
    pub share: f64,
    pub answers: f64,
    pub pairs: f64,
}

/// A policy at a traffic.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    pub policy: &'a RolloutPolicy,
    pub traffic: &'a Traffic,
    pub per_second: f64,
    pub signals: Vec<Watched<'a>>,
    pub steps: Vec<Stage>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(policy: &'a RolloutPolicy, traffic: &'a Traffic) -> Self {
        let per_day = if traffic.per_day.is_finite() { traffic.per_day.max(0.0) } else { 0.0 };
        let mut walk = Self {
            policy,
            traffic,
            per_second: per_day / SECONDS_PER_DAY,
            signals: watched(policy, traffic),
            steps: Vec::new(),
        };
        let (mut weight, mut shadow, mut begins) = (Share::NONE, Share::NONE, Some(0.0));
        for (index, step) in policy.steps.iter().enumerate() {
            match step {
                Step::Shadow(step) => (weight, shadow) = (Share::NONE, step.share),
                Step::Weight(step) => (weight, shadow) = (step.share, Share::NONE),
                Step::Hold(_) | Step::Approval(_) | Step::Promote(_) => {}
            }
            if matches!(step, Step::Promote(_)) {
                break;
            }
            let mut stage = Stage { index, weight, shadow, begins, lasts: None };
            stage.lasts = begins.and_then(|_| walk.lasts(step, &stage));
            begins = begins.zip(stage.lasts).map(|(at, lasts)| at + lasts);
            walk.steps.push(stage);
        }
        walk
    }

    /// How long a step takes with a candidate nothing speaks against.
    fn lasts(&self, step: &Step, stage: &Stage) -> Option<f64> {
        let check = self.policy.check_every.secs();
        let until = |requests: u64, share: Share| {
            time_for(requests as f64, self.per_second * share.fraction())
        };
        let lasts = match step {
            Step::Shadow(shadow) => {
                let requests = until(shadow.until.requests.unwrap_or(0), shadow.share)?;
                requests.max(shadow.until.time.unwrap_or_default().secs())
            }
            Step::Weight(weight) => {
                let plain = until(weight.min_requests, weight.share)?.max(weight.hold.secs());
                match weight.until {
                    None => plain,
                    Some(_) => {
                        let shown = self.all_shown(stage).map(|shown| shown.max(plain));
                        match (shown, weight.at_most) {
                            (Some(shown), Some(most)) => shown.min(most.secs()),
                            (Some(shown), None) => shown,
                            (None, Some(most)) => most.secs(),
                            (None, None) => return None,
                        }
                    }
                }
            }
            Step::Hold(hold) => until(hold.requests, stage.weight)?.max(hold.time.secs()),
            // How long people take is not for a forecast to say.
            Step::Approval(_) | Step::Promote(_) => return Some(0.0),
        };
        Some(lasts.max(check)).filter(|lasts| *lasts <= LONGEST.secs())
    }

    /// Seconds into this step after which every comparison has shown that a
    /// candidate that makes no difference is no worse.
    fn all_shown(&self, stage: &Stage) -> Option<f64> {
        let mut all = 0.0_f64;
        for watched in self.signals.iter().filter(|w| w.risk > 0.0) {
            all = all.max(self.time_to_reassure(watched, &self.steps, stage.weight)?);
        }
        Some(all)
    }

    /// Seconds at this weight after which a candidate that makes no difference
    /// has been shown to be no worse, after what these stages brought: by
    /// comparison, or because bad answers are rare, whichever is sooner.
    fn time_to_reassure(
        &self,
        watched: &Watched<'_>,
        stages: &[Stage],
        weight: Share,
    ) -> Option<f64> {
        let measured = self.per_second * weight.fraction() * watched.baseline.coverage;
        let elapsed: f64 = stages.iter().filter_map(|stage| stage.lasts).sum();
        let by = |proof: Proof<'_>| {
            let had: f64 = stages
                .iter()
                .map(|stage| self.intake(stage))
                .map(|in_it| in_it.answers * watched.baseline.coverage * (proof.nats)(in_it.share))
                .sum();
            let rate = measured * (proof.nats)(weight.fraction());
            let ahead = |seconds| if proof.spends { self.withheld(elapsed + seconds) } else { 0.0 };
            // The longer it takes, the less of the risk is withheld: meet half-way.
            let mut time = time_for(proof.wanted - had, rate)?;
            for _ in 0..FIXED_POINT_STEPS {
                time = 0.5 * (time + time_for(proof.wanted + ahead(time) - had, rate)?);
            }
            Some(time)
        };
        let proofs = watched.proofs(self.policy.risk.false_promote.0);
        let time = proofs.into_iter().filter_map(by).min_by(f64::total_cmp)?;
        let enough = time_for(watched.signal.min_samples as f64, measured)?;
        let time = if time > 0.0 { time.max(enough) } else { 0.0 };
        Some(time).filter(|time| *time <= LONGEST.secs())
    }

    /// Nats that a promotion needs beside those of its risk, because only the
    /// square of the plan's progress of it is released so far.
    fn withheld(&self, seconds: f64) -> f64 {
        let Some(planned) = self.policy.planned else { return 0.0 };
        let by_time = seconds / planned.duration.secs();
        let by_requests = self.per_second * seconds / planned.requests as f64;
        let done = by_time.max(by_requests).clamp(1e-3, 1.0);
        -2.0 * done.ln()
    }

    /// What a stage brings in all of its time.
    pub(super) fn intake(&self, stage: &Stage) -> Intake {
        self.intake_in(stage, stage.lasts.filter(|_| stage.begins.is_some()).unwrap_or(0.0))
    }

    fn intake_in(&self, stage: &Stage, seconds: f64) -> Intake {
        let requests = self.per_second * seconds;
        Intake {
            share: stage.weight.fraction(),
            answers: requests * stage.weight.fraction(),
            pairs: requests * stage.shadow.fraction(),
        }
    }

    /// The whole plan, in time; none if it does not end.
    pub(super) fn takes(&self) -> Option<Span> {
        self.steps
            .iter()
            .try_fold(0.0, |sum, stage| stage.lasts.map(|lasts| sum + lasts))
            .map(span)
            .filter(|takes| *takes <= LONGEST)
    }

    /// The last stage that shows the candidate to users.
    pub(super) fn last_share(&self) -> Option<&Stage> {
        self.steps.iter().rev().find(|stage| stage.weight > Share::NONE)
    }

    /// Answers of the candidate to users in the whole plan.
    pub(super) fn answers(&self) -> f64 {
        self.steps.iter().map(|stage| self.intake(stage).answers).sum()
    }

    pub(super) fn forecast(&self, watched: &Watched<'_>) -> SignalForecast {
        let intakes: Vec<Intake> = self.steps.iter().map(|stage| self.intake(stage)).collect();
        let detectable = watched.detectable(&intakes);
        let notice = watched.notice.and_then(|size| self.noticed(watched, size));
        let no_worse_after = (watched.risk > 0.0).then(|| self.no_worse_after(watched)).flatten();
        let limit_after = watched.signal.limit.and_then(|_| self.limit_after(watched));
        let mut forecast = SignalForecast {
            name: watched.signal.name.clone(),
            kind: watched.signal.kind,
            risk: watched.risk,
            baseline: watched.baseline,
            assumed: watched.assumed,
            detectable,
            notice,
            no_worse_after,
            limit_after,
            text: domain::sentence::Sentence::render("", "", domain::params! {}),
        };
        forecast.text = words::signal(self, watched, &forecast);
        forecast
    }

    pub(super) fn step(&self, stage: &Stage) -> StepForecast {
        let before: Vec<Intake> = self
            .steps
            .iter()
            .take_while(|s| s.index <= stage.index)
            .map(|stage| self.intake(stage))
            .collect();
        let intake = self.intake(stage);
        let mut forecast = StepForecast {
            step: stage.index,
            weight: stage.weight,
            shadow: stage.shadow,
            begins: stage.begins.map(span),
            takes: stage.lasts.map(span),
            answers: whole(intake.answers),
            pairs: whole(intake.pairs),
            detectable: self.signals.iter().filter_map(|w| w.detectable(&before)).collect(),
            text: domain::sentence::Sentence::render("", "", domain::params! {}),
        };
        forecast.text = words::step(self, &forecast);
        forecast
    }

    /// When a difference of this size has brought in what its test wants; past
    /// the plan, as if the last share were held.
    pub(super) fn noticed(&self, watched: &Watched<'_>, size: f64) -> Option<NoticeForecast> {
        let mut missing = watched.wanted()?;
        let (mut at, mut answers) = (0.0, 0.0);
        for stage in &self.steps {
            let lasts = stage.lasts?;
            let second = watched.nats(size, &self.intake_in(stage, 1.0));
            let intake = self.intake(stage);
            if second * lasts >= missing && second > 0.0 {
                let seconds = missing / second;
                let answers = answers + self.intake_in(stage, seconds).answers;
                let (answers, after) = (whole(answers), span(at + seconds));
                return Some(NoticeForecast { answers, after, step: Some(stage.index) });
            }
            missing -= second * lasts;
            at += lasts;
            answers += intake.answers;
        }
        let last = self.last_share()?;
        let seconds = time_for(missing, watched.nats(size, &self.intake_in(last, 1.0)))?;
        let answers = whole(answers + self.intake_in(last, seconds).answers);
        let after = Some(span(at + seconds)).filter(|after| *after <= LONGEST)?;
        Some(NoticeForecast { answers, after, step: None })
    }

    fn no_worse_after(&self, watched: &Watched<'_>) -> Option<Span> {
        let mut at = 0.0;
        for (i, stage) in self.steps.iter().enumerate() {
            let lasts = stage.lasts?;
            let before = self.steps.get(..i)?;
            if let Some(seconds) = self.time_to_reassure(watched, before, stage.weight)
                && seconds <= lasts
            {
                return Some(span(at + seconds));
            }
            at += lasts;
        }
        let more = self.time_to_reassure(watched, &self.steps, self.last_share()?.weight)?;
        Some(span(at + more)).filter(|after| *after <= LONGEST)
    }

    /// When so many answers have been measured that a limit is looked at.
    fn limit_after(&self, watched: &Watched<'_>) -> Option<Span> {
        let mut missing = watched.signal.min_samples.max(1) as f64;
        let mut at = 0.0;
        for stage in &self.steps {
            let lasts = stage.lasts?;
            let intake = self.intake_in(stage, 1.0);
            let second = watched.measured(&intake);
            if second > 0.0 && second * lasts >= missing {
                return Some(span(at + missing / second));
            }
            missing -= second * lasts;
            at += lasts;
        }
        None
    }
}

/// One way to show that a harmless candidate is no worse.
struct Proof<'a> {
    /// Nats it takes.
    wanted: f64,
    /// Its risk is released over the plan.
    spends: bool,
    /// Nats that one measured answer brings, by the candidate's share.
    nats: Box<dyn Fn(f64) -> f64 + 'a>,
}

impl Watched<'_> {
    /// The ways to show "no worse" at this risk.
    fn proofs(&self, risk: f64) -> Vec<Proof<'_>> {
        let (Some(law), Some(size)) = (self.law, self.notice) else { return Vec::new() };
        let compared = Proof {
            wanted: -risk.ln(),
            spends: true,
            nats: Box::new(move |share| law.reassurance(size, share) * promotion_efficiency(&law)),
        };
        let (Law::Rate { bad }, Some(notice)) = (law, self.signal.notice) else {
            return vec![compared];
        };
        let (each, ahead) = Rare::new(self.signal, notice).growth(bad);
        let wanted = -(risk * RARE_PART).ln() + ahead;
        vec![compared, Proof { wanted, spends: false, nats: Box::new(move |_| each) }]
    }

    /// Numbers that come in; nobody posts feedback on a mirrored answer.
    pub(super) fn measured(&self, intake: &Intake) -> f64 {
        let pairs = if self.signal.is_built_in() { intake.pairs } else { 0.0 };
        (intake.answers + pairs) * self.baseline.coverage
    }

    /// Nats the tests make of this, for a candidate worse by `size`.
    pub(super) fn nats(&self, size: f64, intake: &Intake) -> f64 {
        let Some(law) = self.law else { return 0.0 };
        let mut nats = 0.0;
        if intake.answers > 0.0 {
            nats += intake.answers * law.information(size, intake.share);
        }
        if intake.pairs > 0.0 && self.signal.is_built_in() {
            nats += intake.pairs * law.pair_information(size, ASSUMED_PAIR_CORRELATION);
        }
        nats * self.baseline.coverage * efficiency(self.signal.kind)
    }

    /// Nats the test wants; none if there is no comparison.
    pub(super) fn wanted(&self) -> Option<f64> {
        (self.risk > 0.0 && self.risk < 1.0).then(|| -self.risk.ln())
    }

    /// The smallest difference for which these bring in what the test wants.
    pub(super) fn detectable(&self, intakes: &[Intake]) -> Option<Detectable> {
        let wanted = self.wanted()?;
        let size = self.smallest(|size| {
            intakes.iter().map(|intake| self.nats(size, intake)).sum::<f64>() >= wanted
        })?;
        Some(self.candidate(size))
    }

    /// The smallest size that is enough; none if not even the largest is.
    pub(super) fn smallest(&self, enough: impl Fn(f64) -> bool) -> Option<f64> {
        let at = self.sizes()?;
        if !enough(at(1.0)) {
            return None;
        }
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..HALVINGS {
            let middle = 0.5 * (low + high);
            if enough(at(middle)) { high = middle } else { low = middle }
        }
        Some(at(high))
    }

    /// Sizes from none at all (0) to the largest there can be (1).
    fn sizes(&self) -> Option<impl Fn(f64) -> f64 + use<>> {
        let (law, worse) = (self.law?, self.signal.worse);
        let largest = match law {
            Law::Rate { bad } => (0.999 / bad).clamp(1.0, MAX_TIMES).ln(),
            Law::Score { mean, .. } => (mean - 0.001).max(0.0),
            _ if worse == Worse::Lower => -MAX_TIMES.ln(),
            _ => MAX_TIMES.ln(),
        };
        let adds = matches!(law, Law::Score { .. });
        Some(move |part: f64| if adds { largest * part } else { (largest * part).exp() })
    }

    /// The candidate's number at this size.
    pub(super) fn candidate(&self, size: f64) -> Detectable {
        let level = self.baseline.level;
        let up = self.signal.worse == Worse::Higher;
        let value = match self.signal.kind {
            SignalKind::Rate if up => level * size,
            SignalKind::Rate => 1.0 - (1.0 - level) * size,
            SignalKind::Latency | SignalKind::Amount => level * size,
            SignalKind::Score => {
                let (low, high) = self.signal.range.unwrap_or((0.0, 1.0));
                let by = size * (high - low);
                if up { level + by } else { level - by }
            }
        };
        let times = if level == 0.0 { 1.0 } else { value / level };
        Detectable { signal: self.signal.name.clone(), value, times, by: value - level }
    }
}

/// The signals with their risks: the accepted risk is divided by weight among
/// those that are compared.
fn watched<'a>(policy: &'a RolloutPolicy, traffic: &Traffic) -> Vec<Watched<'a>> {
    let compares = |s: &Signal| s.notice.is_some() && s.source.is_none();
    let weight = |s: &Signal| s.weight.filter(|w| w.is_finite() && *w > 0.0).unwrap_or(1.0);
    let all: f64 = policy.signals.iter().filter(|s| compares(s)).map(weight).sum();
    policy
        .signals
        .iter()
        .map(|signal| {
            let (baseline, assumed) = traffic.baseline(signal);
            let law = baseline.law(signal);
            let mine = if compares(signal) { weight(signal) / all } else { 0.0 };
            Watched {
                signal,
                baseline,
                assumed,
                law,
                risk: policy.risk.false_stop.0 * mine,
                notice: signal
                    .notice
                    .filter(|_| compares(signal))
                    .and_then(|notice| size(signal, &baseline, notice)),
            }
        })
        .collect()
}

/// A `notice` as a size of the signal's law; none if it cannot be reached.
fn size(signal: &Signal, baseline: &Baseline, notice: Notice) -> Option<f64> {
    let (level, up) = (baseline.level, signal.worse == Worse::Higher);
    let value = match notice {
        Notice::Times(times) => level * times,
        Notice::By(by) if up => level + by.0,
        Notice::By(by) => level - by.0,
    };
    let size = match signal.kind {
        SignalKind::Rate => {
            let worse = if up { value } else { 1.0 - value };
            worse / baseline.bad(signal.worse)
        }
        SignalKind::Latency | SignalKind::Amount => value / level,
        SignalKind::Score => {
            let (low, high) = signal.range?;
            (value - level).abs() / (high - low)
        }
    };
    (size.is_finite() && size > 0.0).then_some(size)
}

/// Seconds until so much has come in at so much a second; none if it does not.
pub(super) fn time_for(amount: f64, per_second: f64) -> Option<f64> {
    if amount <= 0.0 {
        return Some(0.0);
    }
    (per_second > 0.0).then(|| amount / per_second).filter(|time| time.is_finite())
}

/// Whole seconds, as a span.
pub(super) fn span(seconds: f64) -> Span {
    // Saturates; a span never is negative.
    Span::from_secs(seconds.ceil() as i64)
}

/// A number of answers.
pub(super) fn whole(answers: f64) -> u64 {
    // Saturates; not a number counts nothing.
    answers.round() as u64
}
