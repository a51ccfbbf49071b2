//! What the numbers say about one signal, at one moment.
//!
//! What must stay true: bad news wins. A failure stands even beside missing or
//! unusable numbers; missing numbers are `no_data`, unusable ones
//! `inconclusive`, and neither ever passes. A pass needs `min_samples`, the
//! limit respected, and, with a `notice`, shown evidence.

use crate::cells::{Cell, CellKey};
use crate::compare::{self, Compared};
use crate::limits::{self, Limited};
use crate::measure::{Counts, Source, Values};
use crate::series::Series;
use domain::policy::{RolloutPolicy, Signal, SignalKind, Statistic, Worse};
use domain::units::Timestamp;
use domain::verdict::{ArmNumbers, Outcome, Reason, Verdict};

/// Share of unusable numbers above which nothing is concluded from the rest.
pub const UNUSABLE_SHARE: f64 = 0.01;

/// Where in the rollout a verdict is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The step under way; absolute limits without a `window` look at it.
    pub step: u32,
    /// True while the candidate answers anyone, users or mirror: only then are
    /// measurements missed when they stay away.
    pub exposed: bool,
}

/// Everything a verdict is made of.
struct Looked {
    control: ArmNumbers,
    candidate: ArmNumbers,
    limited: Option<Limited>,
    compared: Option<Compared>,
    silent: bool,
    unusable: bool,
}

/// The verdict on one signal. `cells` are those of one rollout, in any order;
/// cells of seconds after `now` are not looked at.
pub fn verdict(
    policy: &RolloutPolicy,
    signal: &Signal,
    cells: &[(CellKey, Cell)],
    window: &Window,
    now: Timestamp,
) -> Verdict {
    let pairs = || cells.iter().map(|(key, cell)| (key, cell));
    let looked = look(policy, signal, &Series::new(pairs(), now), pairs, window, now);
    let (outcome, reason) = decide(signal, &looked);
    Verdict {
        signal: signal.name.clone(),
        outcome,
        reason,
        action: signal.action,
        control: looked.control,
        candidate: match looked.limited {
            Some(limited) if reason == Reason::OverLimit => limited.numbers,
            _ => looked.candidate,
        },
        limit: signal.limit.map(|limit| limit.0),
        interval: None,
        evidence: looked.compared.map(|compared| compared.evidence.min(1.0)),
        boundary: looked.compared.map(|compared| compared.boundary),
        needed: needed(signal, &looked).filter(|_| outcome == Outcome::Hold),
    }
}

fn look<'a, I>(
    policy: &RolloutPolicy,
    signal: &Signal,
    series: &Series<'a>,
    cells: impl Fn() -> I,
    window: &Window,
    now: Timestamp,
) -> Looked
where
    I: Iterator<Item = (&'a CellKey, &'a Cell)>,
{
    let source = Source::of(signal);
    let [control, mut candidate] = numbers(signal, series);
    let limited = signal.limit.map(|limit| limits::look(signal, limit.0, cells(), window, now));
    if let (None, Some(limited)) = (signal.notice, &limited) {
        // Nothing is compared: what the limit looks at is what is shown.
        candidate = limited.numbers;
    }
    let usable = source.can_be(signal.kind);
    let compares = usable && control.n > 0 && candidate.n > 0;
    let compared = signal
        .notice
        .filter(|_| compares)
        .map(|notice| compare::look(policy, signal, notice, series, candidate.n));
    let mut odd = 0_u64;
    for moment in &series.moments {
        for cell in moment.control.iter().chain(&moment.candidate) {
            odd = odd.saturating_add(source.unusable(signal.kind, signal.range, cell));
        }
    }
    let measured = control.n.saturating_add(candidate.n);
    let alone = signal.notice.is_some() && control.n == 0 && candidate.n > 0;
    let only_odd = !usable || (measured == 0 && odd > 0);
    Looked {
        silent: !only_odd && is_silent(policy, signal, series, limited.as_ref(), window, now),
        unusable: !usable || alone || odd as f64 > UNUSABLE_SHARE * measured as f64,
        control,
        candidate,
        limited,
        compared,
    }
}

/// Nothing was measured where something should have been: ever; in the
/// limit's own window; or for as long as the policy bears missing data.
fn is_silent(
    policy: &RolloutPolicy,
    signal: &Signal,
    series: &Series<'_>,
    limited: Option<&Limited>,
    window: &Window,
    now: Timestamp,
) -> bool {
    let last = series.last_measured(Source::of(signal), signal.kind);
    let in_limit = limited.is_some_and(|limited| limited.numbers.n > 0);
    let Some(last) = last else { return !in_limit };
    if !window.exposed {
        return false;
    }
    let empty_window = signal.window.is_some() && limited.is_some() && !in_limit;
    let quiet = now.since(Timestamp(last.saturating_mul(1000)));
    empty_window || (quiet > policy.missing.hold_for && !in_limit)
}

fn decide(signal: &Signal, looked: &Looked) -> (Outcome, Reason) {
    let enough = looked.candidate.n >= signal.min_samples.max(1);
    if looked.limited.is_some_and(|limited| limited.over) {
        (Outcome::Fail, Reason::OverLimit)
    } else if enough && looked.compared.is_some_and(|compared| compared.worse) {
        (Outcome::Fail, Reason::WorseThanControl)
    } else if looked.silent {
        (Outcome::NoData, Reason::Nothing)
    } else if looked.unusable {
        (Outcome::Inconclusive, Reason::Unusable)
    } else if !enough {
        (Outcome::Hold, Reason::TooFew)
    } else if looked.limited.is_none_or(|limited| limited.within)
        && (signal.notice.is_none() || looked.compared.is_some_and(|compared| compared.not_worse))
    {
        (Outcome::Pass, Reason::NotWorse)
    } else {
        (Outcome::Hold, Reason::Undecided)
    }
}

fn needed(signal: &Signal, looked: &Looked) -> Option<u64> {
    let few = signal.min_samples.saturating_sub(looked.candidate.n);
    let evidence = looked.compared.and_then(|compared| compared.needed);
    match (few, evidence) {
        (0, evidence) => evidence,
        (few, evidence) => Some(evidence.unwrap_or(0).max(few)),
    }
}

/// Both arms' numbers over the whole rollout: control, candidate.
fn numbers(signal: &Signal, series: &Series<'_>) -> [ArmNumbers; 2] {
    let source = Source::of(signal);
    let side = |candidate: bool| {
        let cells = series
            .moments
            .iter()
            .flat_map(move |moment| if candidate { &moment.candidate } else { &moment.control });
        match signal.kind {
            SignalKind::Rate => {
                let mut counts = Counts::default();
                cells.for_each(|cell| counts.merge(source.counts(cell)));
                rate_numbers(counts, signal.worse)
            }
            SignalKind::Score => {
                let mut sums = crate::betting::Sums::default();
                cells.for_each(|cell| sums.merge(source.sums(cell)));
                ArmNumbers { n: sums.n as u64, value: sums.mean(), bad: None }
            }
            SignalKind::Latency | SignalKind::Amount => {
                let mut values = Values::default();
                cells.for_each(|cell| source.add_values(cell, &mut values));
                value_numbers(signal, &values)
            }
        }
    };
    [side(false), side(true)]
}

/// A rate as people read it: the share of ones, and how many were bad.
pub(crate) fn rate_numbers(counts: Counts, worse: Worse) -> ArmNumbers {
    let bad = match worse {
        Worse::Higher => counts.ones,
        Worse::Lower => counts.n.saturating_sub(counts.ones),
    };
    let value = (counts.n > 0).then(|| counts.ones as f64 / counts.n as f64);
    ArmNumbers { n: counts.n, value, bad: Some(bad) }
}

/// The statistic of a latency, or the mean of an amount. Answers that failed
/// count as the slowest; if the statistic falls among them, the slowest whole
/// answer stands for it, since infinity cannot be shown.
pub(crate) fn value_numbers(signal: &Signal, values: &Values) -> ArmNumbers {
    let quantile = match signal.kind {
        SignalKind::Latency => signal.statistic.and_then(Statistic::quantile),
        _ => None,
    };
    let value = match quantile {
        Some(q) => values
            .quantile(q)
            .and_then(|value| if value.is_finite() { Some(value) } else { values.sketch.max() }),
        None => values.sketch.mean(),
    };
    ArmNumbers { n: values.n(), value, bad: None }
}
