//! The sentences of a forecast, written once. Codes are stable; parameters carry
//! the numbers.

use super::forecast::{Walk, Watched};
use super::traffic::{ASSUMED_COVERAGE, Basis};
use super::{
    ASSUMED_PAIR_CORRELATION, Detectable, NoticeForecast, SignalForecast, StepForecast,
    waits_for_evidence,
};
use domain::params;
use domain::policy::{Notice, Signal, SignalKind, Step, Worse};
use domain::rollout::show;
use domain::sentence::Sentence;
use domain::units::{Share, Span};

/// The smallest difference the plan detects, in one sentence.
pub(super) fn summary(
    walk: &Walk<'_>,
    signals: &[SignalForecast],
    takes: Option<Span>,
) -> Sentence {
    let compared: Vec<&SignalForecast> = signals.iter().filter(|s| s.risk > 0.0).collect();
    let seen: Vec<String> = walk
        .signals
        .iter()
        .zip(signals)
        .filter_map(|(watched, s)| s.detectable.as_ref().map(|d| (watched, d)))
        .map(|(watched, d)| format!("`{}` {}", watched.signal.name, against(watched, d)))
        .collect();
    let (code, template) = if walk.per_second <= 0.0 {
        ("plan_without_traffic", "Without any requests this plan cannot detect anything.")
    } else if walk.answers() <= 0.0 && seen.is_empty() {
        (
            "plan_shows_nobody",
            "This plan shows the candidate to nobody, so it cannot detect anything.",
        )
    } else if compared.is_empty() {
        (
            "plan_compares_nothing",
            "At {rate} requests a day this plan compares nothing with today's version: only absolute limits speak.",
        )
    } else if seen.is_empty() {
        (
            "plan_detects_nothing",
            "At {rate} requests a day this plan cannot tell a worse candidate from today's version, however bad, by comparing them; it gives {answers} answers of the candidate{takes}.",
        )
    } else {
        (
            "plan_detects",
            "At {rate} requests a day this plan can only see a difference larger than: {seen}{takes}.",
        )
    };
    Sentence::render(
        code,
        template,
        params! {
            "rate" => number(walk.traffic.per_day),
            "seen" => seen.join("; "),
            "answers" => number(walk.answers()),
            "takes" => takes.map_or(String::new(), |t| format!(" (in {})", about(t))),
            "requests_per_day" => walk.traffic.per_day,
            "takes_ms" => takes.map(Span::millis),
        },
    )
}

/// What one signal can tell.
pub(super) fn signal(
    walk: &Walk<'_>,
    watched: &Watched<'_>,
    forecast: &SignalForecast,
) -> Sentence {
    let signal = watched.signal;
    let mut parts = Vec::new();
    let code = if signal.source.is_some() {
        parts.push("`{metric}` is read from Prometheus; it has its absolute limit and is not compared with today's version.");
        "plan_signal_external"
    } else if watched.risk <= 0.0 {
        parts.push("`{metric}` is not compared with today's version.");
        "plan_signal_limit_only"
    } else if watched.law.is_none() || watched.notice.is_none() {
        parts.push("`{metric}` cannot be forecast: today's numbers leave no room for a difference that matters.");
        "plan_signal_unknown"
    } else {
        parts.push(match &forecast.detectable {
            Some(_) => "`{metric}` is noticed {seen} or worse.",
            None => "`{metric}` shows no difference in this plan, however large.",
        });
        parts.push(match forecast.notice {
            Some(NoticeForecast { step: Some(_), .. }) => {
                "The difference that matters ({notice}) is noticed after about {needed} answers of the candidate, {after} into the plan, in step {step}."
            }
            Some(_) => {
                "The difference that matters ({notice}) would be noticed after about {needed} answers of the candidate, {after} from the start; this plan gives {answers}."
            }
            None => "The difference that matters ({notice}) is not noticed within a year.",
        });
        match forecast.notice {
            Some(NoticeForecast { step: Some(_), .. }) => "plan_signal_sees",
            _ => "plan_signal_blind",
        }
    };
    if signal.limit.is_some() && signal.source.is_none() {
        parts.push(match forecast.limit_after {
            Some(_) => "Its limit of {limit} is judged once {samples} answers are measured, about {limit_after} into the plan.",
            None => "Its limit of {limit} is never judged: this plan does not bring the {samples} measured answers it wants.",
        });
    }
    let late = forecast.limit_after.map_or(String::new(), show::span);
    let params = params! {
        "metric" => signal.name,
        "seen" => forecast.detectable.as_ref().map(|d| against(watched, d)),
        "notice" => notice(watched),
        "needed" => forecast.notice.map(|n| number(n.answers as f64)),
        "after" => forecast.notice.map(|n| about(n.after)),
        "step" => forecast.notice.and_then(|n| n.step).map(|step| step + 1),
        "answers" => number(walk.answers()),
        "limit" => signal.limit.map(|limit| show::value(signal, limit.0)),
        "samples" => signal.min_samples,
        "limit_after" => late,
    };
    Sentence::render(code, &parts.join(" "), params)
}

/// What one step brings.
pub(super) fn step(walk: &Walk<'_>, step: &StepForecast) -> Sentence {
    let policy = walk.policy.steps.get(step.step);
    let what = match policy {
        Some(Step::Shadow(_)) => format!("mirrors {}", step.shadow),
        Some(Step::Weight(_)) => format!("gives {} the candidate", step.weight),
        Some(Step::Approval(_)) => "asks a person".to_owned(),
        _ => "waits".to_owned(),
    };
    let seen: Vec<String> = step
        .detectable
        .iter()
        .filter_map(|d| Some((walk.signals.iter().find(|w| w.signal.name == d.signal)?, d)))
        .map(|(watched, d)| format!("`{}` {}", d.signal, against(watched, d)))
        .collect();
    let (code, template) = match (step.takes, policy) {
        (None, _) => (
            "plan_step_endless",
            "Step {n} {what} and does not end by itself within a year at this traffic.",
        ),
        (_, Some(Step::Approval(_))) => {
            ("plan_step_person", "Step {n} {what}; how long that takes is not counted.")
        }
        _ if seen.is_empty() => (
            "plan_step_blind",
            "Step {n} {what} for {takes}: {count}; by its end no comparison can tell anything.",
        ),
        _ => ("plan_step_sees", "Step {n} {what} for {takes}: {count}; by its end it sees {seen}."),
    };
    let count = if step.pairs > 0 {
        format!("{} mirrored pairs", number(step.pairs as f64))
    } else {
        format!("{} answers of the candidate", number(step.answers as f64))
    };
    Sentence::render(
        code,
        template,
        params! {
            "n" => step.step + 1,
            "what" => what,
            "takes" => step.takes.map(about),
            "count" => count,
            "seen" => seen.join("; "),
            "answers" => step.answers,
            "pairs" => step.pairs,
        },
    )
}

/// When a harmless candidate gets through.
pub(super) fn promotion(
    walk: &Walk<'_>,
    signals: &[SignalForecast],
    takes: Option<Span>,
) -> Sentence {
    let compared = || signals.iter().filter(|s| s.risk > 0.0);
    let slowest = compared()
        .filter_map(|s| s.no_worse_after.map(|after| (after, s)))
        .max_by_key(|(after, _)| *after);
    let never: Vec<String> = compared()
        .filter(|s| s.no_worse_after.is_none())
        .map(|s| format!("`{}`", s.name))
        .collect();
    let promotes = matches!(walk.policy.steps.last(), Some(Step::Promote(_)));
    let evidence = waits_for_evidence(walk.policy);
    let (code, template) = if !promotes {
        ("plan_promotes_nothing", "This plan has no `promote` step.")
    } else if compared().next().is_none() {
        (
            "plan_promotes_unproven",
            "The plan promotes {takes} if no limit is passed; nothing shows that the candidate is no worse than today's version.",
        )
    } else if !never.is_empty() {
        (
            "plan_promotion_unproven",
            "That a harmless candidate is no worse cannot be shown within a year for {never}{consequence}.",
        )
    } else if takes.is_none_or(|takes| slowest.is_some_and(|(after, _)| after > takes)) {
        (
            "plan_promotion_late",
            "That a harmless candidate is no worse would be shown after {after} (slowest: `{metric}`); the plan is over {takes}{consequence}.",
        )
    } else {
        (
            "plan_promotion",
            "A harmless candidate can be promoted by evidence after {after} (slowest: `{metric}`); the plan is over {takes}.",
        )
    };
    Sentence::render(
        code,
        template,
        params! {
            "after" => slowest.map(|(after, _)| about(after)),
            "metric" => slowest.map(|(_, s)| s.name.clone()),
            "never" => never.join(", "),
            "takes" => takes.map_or("at no time within a year".to_owned(), |t| format!("after {}", about(t))),
            "consequence" => if evidence { ", then a person decides" } else { ", and promotes without that" },
            "after_ms" => slowest.map(|(after, _)| after.millis()),
        },
    )
}

/// What was assumed because nothing was known.
pub(super) fn assumptions(walk: &Walk<'_>) -> Vec<Sentence> {
    let traffic = walk.traffic;
    let mut said = Vec::new();
    let rate = number(traffic.per_day);
    let (code, template) = match traffic.basis {
        Basis::Measured { .. } => (
            "plan_traffic_measured",
            "{rate} requests a day: from {answers} answers of the last {over}.",
        ),
        Basis::Given => ("plan_traffic_given", "{rate} requests a day: as given."),
        Basis::Planned => (
            "plan_traffic_planned",
            "{rate} requests a day: from `planned`; nothing is measured yet.",
        ),
        Basis::Assumed => (
            "plan_traffic_assumed",
            "{rate} requests a day: an assumption; nothing is measured and the plan has no `planned`.",
        ),
    };
    let (answers, over) = match traffic.basis {
        Basis::Measured { over, answers } => (Some(answers), Some(about(over))),
        _ => (None, None),
    };
    said.push(Sentence::render(
        code,
        template,
        params! {"rate" => rate, "answers" => answers, "over" => over},
    ));
    for watched in walk.signals.iter().filter(|w| w.assumed && w.risk > 0.0) {
        let signal = watched.signal;
        let (code, template) = if signal.is_built_in() {
            ("plan_baseline_assumed", "`{metric}` of today's version: assumed to be {level}.")
        } else {
            (
                "plan_feedback_assumed",
                "`{metric}` of today's version: assumed to be {level}, known of {coverage} of the answers.",
            )
        };
        said.push(Sentence::render(
            code,
            template,
            params! {
                "metric" => signal.name,
                "level" => spread_in_words(watched),
                "coverage" => percent(ASSUMED_COVERAGE),
            },
        ));
    }
    if walk.steps.iter().any(|stage| stage.shadow > Share::NONE) {
        said.push(Sentence::render(
            "plan_pairs_assumed",
            "Mirrored pairs: both answers to one input are assumed to be correlated by {rho}; what people say of an answer is not known of mirrored ones.",
            params! {"rho" => ASSUMED_PAIR_CORRELATION},
        ));
    }
    said.push(Sentence::render(
        "plan_on_average",
        "A difference of exactly the size named is noticed about two times in three; users who come back often, repeated questions and late feedback make it slower.",
        params! {},
    ));
    said
}

fn spread_in_words(watched: &Watched<'_>) -> String {
    let (signal, baseline) = (watched.signal, &watched.baseline);
    match signal.kind {
        SignalKind::Rate => show::value(signal, baseline.level),
        SignalKind::Score => format!(
            "{} give or take {}",
            show::value(signal, baseline.level),
            show::value(signal, baseline.spread)
        ),
        SignalKind::Latency | SignalKind::Amount => {
            format!("spread by {} of its logarithm", trimmed(baseline.spread))
        }
    }
}

/// `at 4.2% against 2% (2.1 times)`.
pub(super) fn against(watched: &Watched<'_>, detectable: &Detectable) -> String {
    let (signal, level) = (watched.signal, watched.baseline.level);
    let value = |v: f64| show::value(signal, v);
    match signal.kind {
        SignalKind::Rate => {
            let bad = watched.baseline.bad(signal.worse);
            let times = if signal.worse == Worse::Higher {
                detectable.value / bad
            } else {
                (1.0 - detectable.value) / bad
            };
            let what = if signal.worse == Worse::Higher { "" } else { " as many without" };
            format!(
                "at {} against {} ({} times{what})",
                value(detectable.value),
                value(level),
                trimmed(times)
            )
        }
        SignalKind::Score => format!(
            "at {} against {} ({} {})",
            value(detectable.value),
            value(level),
            value(detectable.by.abs()),
            if detectable.by < 0.0 { "lower" } else { "higher" }
        ),
        SignalKind::Latency | SignalKind::Amount if watched.assumed => change(detectable.times),
        SignalKind::Latency | SignalKind::Amount => {
            let change = change(detectable.times);
            format!("at {} against {} ({change})", value(detectable.value), value(level))
        }
    }
}

/// `+35%`, or `12 times` where that reads better.
fn change(times: f64) -> String {
    if times >= 3.0 {
        format!("{} times", trimmed(times))
    } else {
        let percent = (times - 1.0) * 100.0;
        format!("{}{}%", if percent < 0.0 { "" } else { "+" }, trimmed(percent))
    }
}

/// The policy's `notice` as people say it.
fn notice(watched: &Watched<'_>) -> String {
    let signal = watched.signal;
    match signal.notice {
        None => String::new(),
        Some(Notice::Times(times)) => format!("{times} times"),
        Some(Notice::By(by)) => by_in_words(signal, by.0),
    }
}

fn by_in_words(signal: &Signal, by: f64) -> String {
    let side = if signal.worse == Worse::Higher { "higher" } else { "lower" };
    match signal.kind {
        SignalKind::Rate => format!("{} points {side}", trimmed(by * 100.0)),
        _ => format!("{} {side}", show::value(signal, by)),
    }
}

/// A share in words.
pub(super) fn percent(share: f64) -> String {
    format!("{}%", trimmed(share * 100.0))
}

/// A length of time, no finer than anybody can forecast it.
pub(super) fn about(span: Span) -> String {
    let unit = match span.millis() {
        ms if ms >= 2 * 86_400_000 => 6 * 3_600_000,
        ms if ms >= 4 * 3_600_000 => 1_800_000,
        ms if ms >= 600_000 => 60_000,
        _ => 1000,
    };
    show::span(Span::from_millis((span.millis() + unit / 2) / unit * unit))
}

/// A count to three digits.
pub(super) fn number(count: f64) -> String {
    if count < 1000.0 {
        return trimmed(count);
    }
    let unit = 10_f64.powf((count.log10().floor() - 2.0).max(0.0));
    format!("{:.0}", (count / unit).round() * unit)
}

/// Two or three digits.
pub(super) fn trimmed(value: f64) -> String {
    let decimals = match value.abs() {
        v if v >= 20.0 => 0,
        v if v >= 1.0 => 1,
        v if v >= 0.1 => 2,
        _ => 4,
    };
    let text = format!("{value:.decimals$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}
