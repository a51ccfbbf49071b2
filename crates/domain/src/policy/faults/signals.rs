//! Faults of one signal: its name, what it is compared with, what it must stay
//! within, and where its numbers come from.

use super::Faults;
use crate::policy::{
    BUILT_IN_SIGNALS, Burn, BurnWindow, HumanLabels, Judge, Notice, Ratio, Signal, SignalKind,
    SignalSource, Statistic, Sustained, Worse,
};
use crate::telemetry::MAX_FEEDBACK_NAME;
use crate::units::{Share, Span};

/// Most rules an error budget may have.
const MAX_BURN_WINDOWS: usize = 10;

pub(super) fn check(signal: &Signal, at: &str, faults: &mut Faults) {
    let problem = "must be 1 to 64 letters, digits, `_`, `-` or `.`";
    faults.unless(is_name(&signal.name), format!("{at}.name"), problem);
    let judged = signal.limit.is_some() || signal.notice.is_some() || signal.burn.is_some();
    let problem = "is missing: a signal needs `notice` (against today's version), `limit` or `burn` (absolute)";
    faults.unless(judged, format!("{at}.notice"), problem);
    check_notice(signal, at, faults);
    check_range(signal, at, faults);
    check_limit(signal, at, faults);
    let weight = signal.weight.is_none_or(|weight| weight > 0.0 && weight.is_finite());
    faults.unless(weight, format!("{at}.weight"), "must be a number above 0; 1 is usual");
    if let Some(burn) = &signal.burn {
        check_burn(signal, burn, &format!("{at}.burn"), faults);
    }
    if let Some(source) = &signal.source {
        check_source(signal, source, at, faults);
    }
    if let Some(judge) = &signal.judge {
        check_judge(signal, judge, &format!("{at}.judge"), faults);
    }
}

fn check_notice(signal: &Signal, at: &str, faults: &mut Faults) {
    match (signal.notice, signal.worse) {
        (Some(Notice::Times(times)), worse) => {
            let sound = match worse {
                Worse::Higher => times > 1.0 && times.is_finite(),
                Worse::Lower => times > 0.0 && times < 1.0,
            };
            let problem =
                "must be above 1 where higher is worse, and between 0 and 1 where lower is worse";
            faults.unless(sound, format!("{at}.notice.times"), problem);
        }
        (Some(Notice::By(by)), _) => {
            let sound = by.0 > 0.0 && by.0.is_finite();
            faults.unless(sound, format!("{at}.notice.by"), "must be a number above 0");
        }
        (None, _) => {}
    }
}

fn check_range(signal: &Signal, at: &str, faults: &mut Faults) {
    let sound = |(low, high): (f64, f64)| low < high && (high - low).is_finite();
    if signal.kind == SignalKind::Score || signal.range.is_some() {
        let problem = "is needed for a score: `[lowest, highest]`";
        faults.unless(signal.range.is_some_and(sound), format!("{at}.range"), problem);
    }
}

fn check_limit(signal: &Signal, at: &str, faults: &mut Faults) {
    let field = || format!("{at}.limit");
    if let Some(Ratio(limit)) = signal.limit {
        let (sound, problem) = match (signal.kind, signal.range) {
            (SignalKind::Rate, _) => {
                ((0.0..=1.0).contains(&limit), "must lie between 0 and 100% for a rate")
            }
            (SignalKind::Score, Some((low, high))) => {
                ((low..=high).contains(&limit), "must lie within `range`")
            }
            (SignalKind::Score, None) => (limit.is_finite(), "must be a number"),
            (SignalKind::Latency | SignalKind::Amount, _) => {
                (limit > 0.0 && limit.is_finite(), "must be a number above 0")
            }
        };
        // A range that is none has its own fault.
        let ranged = signal.range.is_none_or(|(low, high)| low < high);
        faults.unless(sound || !ranged, field(), problem);
        let problem = "is needed: that a mean is too low can never be certain, only last; `{checks: 3}` is usual";
        let lasts = signal.sustained.is_some() || signal.source.is_some();
        faults.unless(lasts || !needs_time(signal), format!("{at}.sustained"), problem);
    }
    let window = signal.window.is_none_or(|window| window > Span::ZERO);
    faults.unless(window, format!("{at}.window"), "must be longer than nothing; `10m` is usual");
    let checks = signal.sustained != Some(Sustained::Checks(0));
    faults.unless(checks, format!("{at}.sustained.checks"), "must be at least 1");
}

/// A mean without an upper end may yet be lifted by one huge value, so no
/// number of low ones proves that it is too low.
fn needs_time(signal: &Signal) -> bool {
    let mean = match signal.kind {
        SignalKind::Amount => true,
        SignalKind::Latency => signal.statistic.and_then(Statistic::quantile).is_none(),
        SignalKind::Rate | SignalKind::Score => false,
    };
    mean && signal.worse == Worse::Lower
}

fn check_burn(signal: &Signal, burn: &Burn, at: &str, faults: &mut Faults) {
    let rate = signal.kind == SignalKind::Rate;
    faults.unless(rate, at, "only goes with `kind: rate`: a budget counts bad answers");
    let objective = burn.objective.0 > 0.0 && burn.objective.0 < 1.0;
    let problem = "must lie between 0 and 100%, both excluded: the share of good answers promised";
    faults.unless(objective, format!("{at}.objective"), problem);
    let few = burn.windows.len() <= MAX_BURN_WINDOWS;
    faults.unless(few, format!("{at}.windows"), "has more than 10 rules");
    for (i, window) in burn.windows.iter().enumerate() {
        check_window(burn, window, objective, &format!("{at}.windows[{i}]"), faults);
    }
}

fn check_window(burn: &Burn, window: &BurnWindow, sound: bool, at: &str, faults: &mut Faults) {
    let rate = window.rate > 0.0 && window.rate.is_finite();
    faults.unless(rate, format!("{at}.rate"), "must be a number above 0");
    // To a part in 10⁹, for 20 × (1 − 95 %) is a bit more than one in binary.
    let reachable = window.rate * burn.budget() <= 1.0 + 1e-9;
    let problem = "can never be reached: times the budget it is more than all answers";
    faults.unless(reachable || !rate || !sound, format!("{at}.rate"), problem);
    let some = window.short > Span::ZERO;
    faults.unless(some, format!("{at}.short"), "must be longer than nothing; `5m` is usual");
    let order = window.short < window.long;
    faults.unless(order, format!("{at}.long"), "must be longer than `short`");
}

fn check_source(signal: &Signal, source: &SignalSource, at: &str, faults: &mut Faults) {
    let expression = source.prometheus.trim();
    let field = || format!("{at}.source.prometheus");
    faults.unless(
        !expression.is_empty(),
        field(),
        "is empty: write an expression that yields one number",
    );
    let problem = "does not go with `source`: a metrics server counts no answers one by one; use `limit` with `sustained`";
    faults.unless(signal.burn.is_none(), format!("{at}.burn"), problem);
    // Two gauges come without the answers behind them and without the router's
    // draw, so no risk of a false stop can be stated for their difference.
    let problem = "does not go with `source`: a metrics server does not say who served what, so nothing can be tested; use `limit` with `sustained`";
    faults.unless(signal.notice.is_none(), format!("{at}.notice"), problem);
    let posted = !signal.is_built_in();
    let problem = "is measured by gateways themselves; a `source` needs a name of its own";
    faults.unless(posted, format!("{at}.name"), problem);
}

fn check_judge(signal: &Signal, judge: &Judge, at: &str, faults: &mut Faults) {
    let posted = !signal.is_built_in() && signal.source.is_none();
    let labelled = judge.human.is_some() && signal.kind == SignalKind::Score;
    let judged = posted && (labelled || signal.kind == SignalKind::Rate);
    let problem = "only goes with a rate that is posted as feedback; `human` also with a score";
    faults.unless(judged, at, problem);
    check_errors(judge, at, faults);
    if let Some(human) = &judge.human {
        check_human(signal, human, &format!("{at}.human"), faults);
        let known = judge.sensitivity.is_some() || judge.specificity.is_some();
        let problem = "only goes with a rate: a score is not right or wrong";
        faults.unless(!(known && labelled), format!("{at}.sensitivity"), problem);
    }
}

/// The errors of a judge that were measured before.
fn check_errors(judge: &Judge, at: &str, faults: &mut Faults) {
    let ratio = |given: Option<Ratio>| given.is_none_or(|r| r.0 > 0.0 && r.0 <= 1.0);
    for (name, given) in [("sensitivity", judge.sensitivity), ("specificity", judge.specificity)] {
        faults.unless(
            ratio(given),
            format!("{at}.{name}"),
            "must lie above 0, and at most at 100%",
        );
    }
    match (judge.sensitivity, judge.specificity) {
        (Some(sensitivity), Some(specificity)) => {
            let tells = sensitivity.0 + specificity.0 > 1.0;
            let sound = ratio(judge.sensitivity) && ratio(judge.specificity);
            let problem = "and `specificity` add up to 100% or less: a coin would judge as well";
            faults.unless(tells || !sound, format!("{at}.sensitivity"), problem);
            let labelled = judge.labelled.is_some_and(|n| n > 1);
            let problem =
                "is needed: how many labelled answers the judge was measured on, at least 2";
            faults.unless(labelled, format!("{at}.labelled"), problem);
        }
        (None, None) => {
            let problem =
                "says nothing: it needs `human`, or `sensitivity`, `specificity` and `labelled`";
            faults.unless(judge.human.is_some(), at, problem);
        }
        (known, _) => {
            let missing = if known.is_some() { "specificity" } else { "sensitivity" };
            faults.add(format!("{at}.{missing}"), "is missing: one without the other says little");
        }
    }
}

fn check_human(signal: &Signal, human: &HumanLabels, at: &str, faults: &mut Faults) {
    let problem = "must be more than 0%: the share of judged answers that people label";
    faults.unless(human.share > Share::NONE, format!("{at}.share"), problem);
    let name = signal.label_name().unwrap_or_default();
    let problem = match human.name {
        Some(_) => "must be 1 to 64 letters, digits, `_`, `-` or `.`",
        None => "is needed: the signal's name followed by `.human` is longer than 64 characters",
    };
    let built_in = BUILT_IN_SIGNALS.contains(&name.as_str());
    // A fault of the signal's own name has been told.
    faults.unless(is_name(&name) || !is_name(&signal.name), format!("{at}.name"), problem);
    let problem = "must differ from the signal's own name and from what gateways measure";
    faults.unless(name != signal.name && !built_in, format!("{at}.name"), problem);
}

/// Names appear in sentences, headers and metric labels.
fn is_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    !name.is_empty() && name.len() <= MAX_FEEDBACK_NAME && name.bytes().all(plain)
}
