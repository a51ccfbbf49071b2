//! What would help a plan that sees too little, each with its number: more
//! share, more time, mirrored pairs, recorded traffic, a larger risk, more
//! feedback. A hint is given only if something that matters is missed.

use super::forecast::{Intake, Walk, Watched, span, time_for, whole};
use super::words::{about, against, number, percent};
use super::{LONGEST, SignalForecast};
use domain::params;
use domain::policy::Step;
use domain::sentence::Sentence;
use domain::units::Share;

/// The share that splits what comes into two halves: no plan learns faster.
const HALF: f64 = 0.5;
/// Mirrored pairs that are cheap to collect.
const FEW_PAIRS: f64 = 200.0;
/// The risk most people accept in an experiment; below it, time is the price.
const USUAL_RISK: f64 = 0.05;
/// Feedback known of fewer answers than this is worth asking for.
const LITTLE_COVERAGE: f64 = 0.5;

/// Hints, most helpful first; none if every difference that matters is noticed
/// within the plan.
pub(super) fn of(walk: &Walk<'_>, signals: &[SignalForecast]) -> Vec<Sentence> {
    let missed: Vec<(&Watched<'_>, &SignalForecast)> = walk
        .signals
        .iter()
        .zip(signals)
        .filter(|(watched, s)| {
            watched.risk > 0.0
                && watched.notice.is_some()
                && s.notice.is_none_or(|notice| notice.step.is_none())
        })
        .collect();
    let Some(hardest) = missed
        .iter()
        .max_by(|a, b| late(a.1).total_cmp(&late(b.1)))
        .map(|(watched, forecast)| (*watched, *forecast))
    else {
        return Vec::new();
    };
    let mut hints = Vec::new();
    hints.extend(few_requests(walk, hardest));
    hints.extend(larger_share(walk, hardest.0));
    hints.extend(longer(walk, hardest));
    hints.extend(missed.iter().find_map(|(watched, _)| pairs(walk, watched)));
    hints.push(recorded());
    hints.extend(larger_risk(walk));
    hints.extend(missed.iter().filter_map(|(watched, _)| more_feedback(watched)));
    hints
}

fn late(forecast: &SignalForecast) -> f64 {
    forecast.notice.map_or(f64::INFINITY, |notice| notice.after.secs())
}

/// How much of the largest share comes in a day.
fn few_requests(
    walk: &Walk<'_>,
    (watched, forecast): (&Watched<'_>, &SignalForecast),
) -> Option<Sentence> {
    let stage = walk.steps.iter().find(|stage| stage.weight > Share::NONE)?;
    let a_day = walk.traffic.per_day * stage.weight.fraction();
    let (code, template) = match &forecast.detectable {
        Some(_) => (
            "hint_low_traffic",
            "At {rate} requests a day a share of {share} gives {a_day} answers of the candidate a day: this test can only see a difference larger than `{metric}` {seen}.",
        ),
        None => (
            "hint_no_traffic",
            "At {rate} requests a day a share of {share} gives {a_day} answers of the candidate a day: too few to see any difference in `{metric}`.",
        ),
    };
    Some(Sentence::render(
        code,
        template,
        params! {
            "rate" => number(walk.traffic.per_day),
            "share" => stage.weight.to_string(),
            "a_day" => number(a_day),
            "metric" => watched.signal.name,
            "seen" => forecast.detectable.as_ref().map(|d| against(watched, d)),
        },
    ))
}

/// The same plan with its first small share raised to one half.
fn larger_share(walk: &Walk<'_>, watched: &Watched<'_>) -> Option<Sentence> {
    let small = walk.steps.iter().find(|stage| {
        let share = stage.weight.fraction();
        share > 0.0
            && share < HALF
            && matches!(walk.policy.steps.get(stage.index), Some(Step::Weight(_)))
    })?;
    let widest = walk.steps.iter().map(|stage| stage.weight).max()?.fraction();
    let instead = if widest < HALF { HALF } else { widest };
    let intakes: Vec<Intake> = walk
        .steps
        .iter()
        .map(|stage| {
            let intake = walk.intake(stage);
            match stage.weight.fraction() {
                share if share > 0.0 && share < instead => {
                    Intake { share: instead, answers: intake.answers * instead / share, ..intake }
                }
                _ => intake,
            }
        })
        .collect();
    let seen = watched.detectable(&intakes)?;
    Some(Sentence::render(
        "hint_share",
        "With a share of {instead} instead of {share}, in the same time: `{metric}` is noticed {seen} or worse.",
        params! {
            "instead" => percent(instead),
            "share" => small.weight.to_string(),
            "metric" => watched.signal.name,
            "seen" => against(watched, &seen),
        },
    ))
}

/// How long the last share would have to be held.
fn longer(
    walk: &Walk<'_>,
    (watched, forecast): (&Watched<'_>, &SignalForecast),
) -> Option<Sentence> {
    let notice = forecast.notice?;
    let last = walk.last_share()?;
    let over = walk.takes()?;
    Some(Sentence::render(
        "hint_longer",
        "Holding {share} for {more} longer would notice the difference in `{metric}` that matters.",
        params! {
            "share" => last.weight.to_string(),
            "more" => about(domain::units::Span::from_millis(notice.after.millis() - over.millis())),
            "metric" => watched.signal.name,
        },
    ))
}

/// What mirrored pairs would show, before any user sees the candidate.
fn pairs(walk: &Walk<'_>, watched: &Watched<'_>) -> Option<Sentence> {
    if !watched.signal.is_built_in() {
        return None;
    }
    let (size, wanted) = (watched.notice?, watched.wanted()?);
    let one = Intake { share: 0.0, answers: 0.0, pairs: 1.0 };
    let each = watched.nats(size, &one);
    let needed = if each > 0.0 { (wanted / each).ceil() } else { return None };
    let all = span(time_for(needed, walk.per_second)?);
    if all > LONGEST {
        return None;
    }
    let few = watched.detectable(&[Intake { pairs: FEW_PAIRS, ..one }]);
    let (code, template) = if needed <= FEW_PAIRS {
        (
            "hint_pairs",
            "{few} mirrored pairs would already see the difference in `{metric}` that matters: {needed} are enough, {time} with every request mirrored, and no user sees the candidate.",
        )
    } else if few.is_some() {
        (
            "hint_pairs",
            "{few} mirrored pairs would already see `{metric}` {seen}; for the difference that matters it takes {needed}, {time} with every request mirrored, and no user sees the candidate.",
        )
    } else {
        (
            "hint_pairs",
            "{needed} mirrored pairs would see the difference in `{metric}` that matters: {time} with every request mirrored, and no user sees the candidate.",
        )
    };
    Some(Sentence::render(
        code,
        template,
        params! {
            "few" => whole(FEW_PAIRS),
            "needed" => number(needed),
            "time" => about(all),
            "metric" => watched.signal.name,
            "seen" => few.as_ref().map(|d| against(watched, d)),
        },
    ))
}

fn recorded() -> Sentence {
    Sentence::render(
        "hint_recorded",
        "Recorded traffic costs no user anything: `tidegate backtest` says what this policy would have decided on it.",
        params! {},
    )
}

fn larger_risk(walk: &Walk<'_>) -> Option<Sentence> {
    let risk = walk.policy.risk.false_stop.0;
    let mine = walk.signals.iter().map(|w| w.risk).find(|r| *r > 0.0)?;
    if !(risk > 0.0 && risk < USUAL_RISK) {
        return None;
    }
    let spared = 1.0 - (mine * USUAL_RISK / risk).ln() / mine.ln();
    Some(Sentence::render(
        "hint_risk",
        "With `risk.false_stop` of {usual} instead of {risk} every difference takes {spared} fewer answers; in return more good candidates are stopped.",
        params! {
            "usual" => percent(USUAL_RISK),
            "risk" => percent(risk),
            "spared" => percent((spared * 100.0).round() / 100.0),
        },
    ))
}

fn more_feedback(watched: &Watched<'_>) -> Option<Sentence> {
    let coverage = watched.baseline.coverage;
    let asked = !watched.signal.is_built_in() && !watched.assumed && coverage > 0.0;
    (asked && coverage < LITTLE_COVERAGE).then(|| {
        Sentence::render(
            "hint_feedback",
            "`{metric}` is known of {coverage} of the answers; known of all, every difference in it shows {times} times as fast.",
            params! {
                "metric" => watched.signal.name,
                "coverage" => percent(coverage),
                "times" => super::words::trimmed(1.0 / coverage),
            },
        )
    })
}
