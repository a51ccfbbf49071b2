//! What is said about one signal: its numbers, how sure they make one, what
//! follows, and what it took to know.

use super::super::{Breach, RolloutState, show};
use crate::params;
use crate::policy::{Signal, SignalAction, SignalKind, Sustained, Worse};
use crate::sentence::Sentence;
use crate::units::{Share, Timestamp};
use crate::verdict::{Corrected, Reason, Verdict};
use serde_json::{Map, Value};

/// What every sentence about a verdict may name.
pub(super) fn numbers(signal: &Signal, verdict: &Verdict) -> Map<String, Value> {
    let limit = verdict.limit.or(signal.limit.map(|l| l.0));
    params! {
        "metric" => signal.name,
        "value" => show::arm(signal, &verdict.candidate),
        "control" => show::arm(signal, &verdict.control),
        "limit" => limit.map_or("its limit".to_owned(), |l| show::value(signal, l)),
        "bounds" => bounds(signal, limit),
        "times" => burn(signal, verdict),
        "side" => if signal.worse == Worse::Higher { "over" } else { "under" },
        "difference" => difference(signal, verdict),
        "corrected" => corrected(signal, verdict),
        "sure" => sure(verdict),
        "odds" => odds(verdict),
        "n" => verdict.candidate.n,
        "bad" => verdict.candidate.bad,
        "candidate_value" => verdict.candidate.value,
        "control_value" => verdict.control.value,
        "control_n" => verdict.control.n,
        "limit_value" => limit,
        "interval" => verdict.interval,
        "corrected_values" => verdict.corrected,
        "labels" => verdict.labels,
        "evidence" => verdict.evidence,
        "boundary" => verdict.boundary,
        "reason" => verdict.reason,
    }
}

pub(super) fn with(mut params: Map<String, Value>, more: Map<String, Value>) -> Map<String, Value> {
    params.extend(more);
    params
}

/// What the signal has to stay within, for sentences on what is broken.
fn bounds(signal: &Signal, limit: Option<f64>) -> String {
    match (limit, &signal.burn) {
        (Some(limit), _) => format!("its limit of {}", show::value(signal, limit)),
        (None, Some(burn)) => format!("its error budget of {}", show::value(signal, burn.budget())),
        (None, None) => "its limit".to_owned(),
    }
}

/// How fast the error budget is used up: "14 times as fast as its error budget
/// of 1% allows".
fn burn(signal: &Signal, verdict: &Verdict) -> String {
    let Some(burn) = &signal.burn else { return "faster than its error budget allows".to_owned() };
    let (numbers, budget) = (&verdict.candidate, burn.budget());
    let allowed = format!("its error budget of {} allows", show::value(signal, budget));
    match numbers.bad {
        Some(bad) if numbers.n > 0 => {
            let times = bad as f64 / numbers.n as f64 / budget;
            format!("{} times as fast as {allowed}", show::significant(times, 2))
        }
        _ => format!("faster than {allowed}"),
    }
}

/// The interval of the difference to today's version, where there is one.
fn difference(signal: &Signal, verdict: &Verdict) -> String {
    let Some((low, high)) = verdict.interval.filter(|(a, b)| a.is_finite() && b.is_finite()) else {
        return String::new();
    };
    let sign = |x: f64| if x < 0.0 { "−" } else { "+" };
    let shown = |x: f64| match signal.kind {
        SignalKind::Rate => {
            format!("{}{}", sign(x), show::significant((x * 100.0).abs(), 2))
        }
        _ => format!("{}{}", sign(x), show::value(signal, x.abs())),
    };
    let unit = if signal.kind == SignalKind::Rate { " percentage points" } else { "" };
    format!(" (difference {} to {}{unit})", shown(low), shown(high))
}

/// What people would have measured: "; corrected for the judge's errors, it
/// is 3.1% (2% to 4.4%) against 2.8%". Of the whole rollout, also where the numbers
/// before it are of a window.
fn corrected(signal: &Signal, verdict: &Verdict) -> String {
    let wanted = wanted_labels(verdict);
    let Some(Corrected { control, candidate, by_people, .. }) = verdict.corrected else {
        return wanted;
    };
    let shown = |x: f64| show::value(signal, x);
    let value = format!(
        "{} ({} to {})",
        shown(candidate.value),
        shown(candidate.low),
        shown(candidate.high)
    );
    let windowed = signal.notice.is_none() || verdict.reason == Reason::OverLimit;
    let over = if windowed { "over the whole rollout, " } else { "" };
    let by = match verdict.labels.as_ref().filter(|_| by_people) {
        Some(labels) => format!(
            "by people's labels on {} of its {} judged answers",
            labels.candidate.labelled, labels.candidate.judged
        ),
        None => "corrected for the judge's errors".to_owned(),
    };
    let against = control
        .filter(|_| !windowed)
        .map_or_else(String::new, |control| format!(" against {}", shown(control.value)));
    format!("; {over}{by}, it is {value}{against}{wanted}")
}

/// Which labels of people are still wanted: "; too few labels of people to correct
/// it yet (3 of 9 chosen answers of the new version, 7 more wanted)".
fn wanted_labels(verdict: &Verdict) -> String {
    let Some(labels) = &verdict.labels else { return String::new() };
    let short: Vec<_> =
        [(labels.candidate, "the new version"), (labels.control, "today's version")]
            .into_iter()
            .filter(|(of, _)| of.wanted > 0)
            .map(|(of, whose)| {
                format!(
                    "{} of {} chosen answers of {whose}, {} more wanted",
                    of.labelled, of.chosen, of.wanted
                )
            })
            .collect();
    match short.is_empty() {
        true => String::new(),
        false => format!("; too few labels of people to correct it yet ({})", short.join("; ")),
    }
}

/// A chance as people say it: "1 in 400", "less than 1 in a million".
fn one_in(chance: f64) -> Option<String> {
    if !(0.0..=0.5).contains(&chance) {
        return None;
    }
    let times = 1.0 / chance;
    Some(if times > 1e6 {
        "less than 1 in a million".to_owned()
    } else if times < 10.0 {
        format!("1 in {}", show::significant(times, 1))
    } else {
        // Two digits are as many as anybody can feel.
        let scale = 10.0_f64.powf(times.log10().floor() - 1.0);
        format!("1 in {}", thousands((times / scale).round() * scale))
    })
}

/// "a 1 in 400 chance".
fn a_chance(chance: f64) -> Option<String> {
    one_in(chance).map(|odds| match odds.strip_prefix("less than ") {
        Some(odds) => format!("less than a {odds} chance"),
        None => format!("a {odds} chance"),
    })
}

/// A whole number with a comma every three digits.
fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut shown = String::with_capacity(digits.len() + 2);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// Under what the evidence would be a chance event.
fn innocent(reason: Reason) -> &'static str {
    match reason {
        Reason::OverLimit | Reason::Breaker => "if it kept its limit",
        Reason::BudgetBurns => "if it kept its error budget",
        _ => "if the version made no difference",
    }
}

/// How sure a failure is: ", a 1 in 400 chance if the version made no
/// difference".
fn sure(verdict: &Verdict) -> String {
    let chance = verdict.evidence.and_then(a_chance);
    chance.map_or_else(String::new, |c| format!(", {c} {}", innocent(verdict.reason)))
}

/// How far evidence is on its way: " (a 1 in 3 chance if the version made no
/// difference; it takes 1 in 100)".
fn odds(verdict: &Verdict) -> String {
    let bar = verdict.boundary.and_then(one_in);
    match (verdict.evidence.and_then(a_chance), bar) {
        (Some(chance), Some(bar)) => {
            format!(" ({chance} {}; it takes {bar})", innocent(verdict.reason))
        }
        _ => String::new(),
    }
}

/// What a failure of this signal leads to.
pub(super) fn consequence(action: SignalAction) -> &'static str {
    match action {
        SignalAction::Rollback => "it goes back by itself",
        SignalAction::Pause => "it pauses for a decision",
        SignalAction::RequireApproval => "an approver is asked",
        SignalAction::Notify => "people are told",
    }
}

/// Where a breach stands on the way to its action: "1 of 2 checks in a row".
pub(super) fn progress(signal: &Signal, breach: Option<Breach>, now: Timestamp) -> Option<String> {
    let breach = breach?;
    match signal.sustained? {
        Sustained::Checks(m) => Some(format!("{} of {m} checks in a row", breach.checks.min(m))),
        Sustained::For(span) => {
            let lasted = now.since(breach.since).min(span);
            Some(format!("{} of {} without a break", show::span(lasted), show::span(span)))
        }
    }
}

/// How long a breach lasted, for the decision: " for 2 checks in a row".
fn lasted(signal: &Signal, breach: Option<Breach>, now: Timestamp) -> String {
    match (breach, signal.sustained) {
        (Some(b), Some(Sustained::Checks(_))) if b.checks > 1 => {
            format!(" for {} checks in a row", b.checks)
        }
        (Some(b), Some(Sustained::For(_))) => format!(" for {}", show::span(now.since(b.since))),
        _ => String::new(),
    }
}

/// True if there is not a single measurement of either version.
pub(in crate::rollout) fn is_unmeasured(verdict: &Verdict) -> bool {
    verdict.reason == Reason::Nothing && verdict.candidate.n == 0 && verdict.control.n == 0
}

/// That a signal was never measured, what follows, and what to do.
pub(super) fn never_measured(signal: &Signal) -> String {
    let name = &signal.name;
    let mend = if signal.source.is_some() {
        "see that its `source` yields a number".to_owned()
    } else if signal.is_built_in() {
        "write a schema under `answer` in `app.yaml`".to_owned()
    } else {
        format!("send feedback named `{name}`")
    };
    format!(
        "`{name}` has never been measured, and nothing is promoted until it is: {mend}, or take the signal out of the plan."
    )
}

/// One signal as a row.
pub(in crate::rollout) fn row(
    state: &RolloutState,
    signal: &Signal,
    verdict: Option<&Verdict>,
    now: Timestamp,
) -> Sentence {
    let waits = signal.is_measured_by_gateways();
    let Some(verdict) = verdict.filter(|verdict| waits || !is_unmeasured(verdict)) else {
        let text = match waits {
            true => "`{metric}` has not been measured; nothing is promoted until it is.",
            false => "{never}",
        };
        let never = never_measured(signal);
        let known = params! {"metric" => signal.name, "never" => never};
        return Sentence::render("signal_nothing", text, known);
    };
    let breach = state.breaches.get(&signal.name).copied();
    let follows = match progress(signal, breach, now) {
        _ if state.is_waived(&signal.name) => "a person has accepted that".to_owned(),
        Some(progress) if !verdict.reason.acts_at_once() => {
            format!("{progress}, then {}", consequence(signal.action))
        }
        _ => consequence(signal.action).to_owned(),
    };
    let need =
        verdict.needed.map_or(signal.min_samples, |more| verdict.candidate.n.saturating_add(more));
    let compared = signal.notice.is_some() && verdict.control.value.is_some();
    let (code, template) = template(verdict.reason, compared);
    let more = params! {"follows" => follows, "need" => need, "action" => signal.action};
    Sentence::render(code, template, with(numbers(signal, verdict), more))
}

fn template(reason: Reason, compared: bool) -> (&'static str, &'static str) {
    match reason {
        Reason::Breaker => {
            ("signal_broken", "`{metric}` is broken: {value} lately, against {bounds}: {follows}.")
        }
        Reason::BudgetBurns => ("signal_burns", "`{metric}` is {value}, {times}: {follows}."),
        Reason::OverLimit => (
            "signal_over_limit",
            "`{metric}` is {value}, {side} its limit of {limit}{sure}{corrected}: {follows}.",
        ),
        Reason::WorseThanControl => (
            "signal_worse",
            "`{metric}` is {value} against {control} for today's version{difference}, worse by more than chance explains{sure}{corrected}: {follows}.",
        ),
        Reason::NotWorse if compared => (
            "signal_good",
            "`{metric}` is {value} against {control} for today's version{difference}{corrected}: not worse.",
        ),
        Reason::NotWorse => ("signal_good", "`{metric}` is {value}{corrected}: within its limit."),
        Reason::TooFew => (
            "signal_too_few",
            "`{metric}` was measured on {n} answers of the new version; a verdict needs about {need}.",
        ),
        Reason::Nothing => {
            ("signal_nothing", "`{metric}` has not been measured; nothing is promoted until it is.")
        }
        Reason::Stale => (
            "signal_stale",
            "`{metric}` is no longer measured on the new version, though requests go on; nothing is promoted until it is.",
        ),
        Reason::Unusable => (
            "signal_unusable",
            "`{metric}` cannot be judged, because a number is missing or unusable ({value} against {control} for today's version); nothing is promoted until it can.",
        ),
        Reason::Undecided if compared => (
            "signal_undecided",
            "`{metric}` is {value} against {control} for today's version{difference}{corrected}: neither worse nor shown to be no worse yet{odds}.",
        ),
        Reason::Undecided => (
            "signal_undecided",
            "`{metric}` is {value}{corrected}: nothing speaks against it, not enough speaks for it yet.",
        ),
    }
}

/// The clause that says what is bad now.
pub(super) fn is(reason: Reason) -> &'static str {
    match reason {
        Reason::WorseThanControl => {
            "`{metric}` is {value} against {control} for today's version{difference}"
        }
        Reason::Breaker => "`{metric}` is broken: {value} lately, against {bounds}",
        Reason::BudgetBurns => "`{metric}` is {value}, {times}",
        _ => "`{metric}` is {side} its limit ({value} against {limit})",
    }
}

/// The clause of a decision that says what the numbers were.
fn was(reason: Reason) -> &'static str {
    match reason {
        Reason::WorseThanControl => {
            "`{metric}` was {value} against {control} for today's version{difference}{sure}"
        }
        Reason::Breaker => "`{metric}` was broken: {value} lately, against {bounds}{sure}",
        Reason::BudgetBurns => "`{metric}` was {value}, {times}",
        _ => "`{metric}` stayed {side} its limit ({value} against {limit}){lasted}{sure}",
    }
}

/// What decided: the signal, its numbers, and how sure they make one. A clause,
/// for sentences of more than rollouts that are under way.
pub fn found(
    signal: &Signal,
    verdict: &Verdict,
    breach: Option<Breach>,
    now: Timestamp,
) -> Sentence {
    let more = params! {"lasted" => lasted(signal, breach, now)};
    Sentence::render("found", was(verdict.reason), with(numbers(signal, verdict), more))
}

/// What it took to know: so many answers, and so many of them bad.
fn price(verdict: &Verdict, exposed: u64) -> String {
    let judged = verdict.candidate.n;
    let bad = verdict.candidate.bad.filter(|bad| *bad > 0);
    // A window shows some of the bad ones only.
    let least = if judged < exposed { "at least " } else { "" };
    let answers = |n: u64| if n == 1 { "1 answer".to_owned() } else { format!("{n} answers") };
    match (exposed.max(judged), bad) {
        (0, _) => String::new(),
        (n, None) => format!(" The new version gave {}.", answers(n)),
        (n, Some(bad)) => {
            format!(" The new version gave {}, {least}{bad} of them bad.", answers(n))
        }
    }
}

/// What becomes of the users: "everyone gets X again", or by which steps.
pub(in crate::rollout) fn return_of_users(state: &RolloutState, steps: &[Share]) -> String {
    let good = state.stable.short();
    if steps.is_empty() {
        return format!("everyone gets {good} again");
    }
    let shares: Vec<_> = steps.iter().map(Share::to_string).collect();
    let every = show::span(state.policy.check_every);
    format!(
        "its share falls to {}, one step every {every}, until everyone gets {good} again",
        shares.join(", ")
    )
}

/// `exposed` is how many answers the candidate gave in all; `steps` are those it
/// goes back by.
pub(in crate::rollout) fn went_back_on_signal(
    state: &RolloutState,
    signal: &Signal,
    verdict: &Verdict,
    breach: Option<Breach>,
    (exposed, steps): (u64, &[Share]),
    now: Timestamp,
) -> Sentence {
    let template = format!("Went back at {{time}}: {}; {{returns}}.{{price}}", was(verdict.reason));
    let more = params! {
        "time" => show::clock(now),
        "at" => now,
        "lasted" => lasted(signal, breach, now),
        "good" => state.stable.short(),
        "returns" => return_of_users(state, steps),
        "steps" => steps,
        "checks" => breach.map(|b| b.checks),
        "price" => price(verdict, exposed),
        "exposed" => exposed,
    };
    Sentence::render("rolled_back", &template, with(numbers(signal, verdict), more))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chances_are_said_in_words() {
        for (chance, want) in [
            (0.0025, Some("1 in 400")),
            (0.3, Some("1 in 3")),
            (0.5, Some("1 in 2")),
            (0.0099, Some("1 in 100")),
            (0.000_012, Some("1 in 83,000")),
            (1e-9, Some("less than 1 in a million")),
            (0.0, Some("less than 1 in a million")),
            (0.9, None),
            (f64::NAN, None),
            (-0.1, None),
        ] {
            assert_eq!(one_in(chance).as_deref(), want, "{chance}");
        }
    }
}
