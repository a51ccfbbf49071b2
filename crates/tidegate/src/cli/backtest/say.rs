//! What a verdict on a trace says in one sentence.

use super::super::text;
use analysis::backtest::{Action, Decision, START};
use domain::policy::{RolloutPolicy, Signal};
use domain::rollout::show;
use domain::units::Timestamp;
use domain::verdict::{Outcome, Reason, Verdict};

/// Why this was decided.
pub fn reason(policy: &RolloutPolicy, decision: &Decision) -> String {
    let at = decision.at.map_or_else(String::new, after);
    let found = |signal: &Signal, verdict: &Verdict| {
        let now = decision.at.unwrap_or(START);
        domain::rollout::found(signal, verdict, decision.breach, now).text
    };
    let stopped =
        decision.signal.and_then(|i| Some((policy.signals.get(i)?, decision.verdicts.get(i)?)));
    match (decision.action, stopped) {
        (Action::Rollback, Some((signal, verdict))) => {
            format!("Went back after {at}: {}.", found(signal, verdict))
        }
        (Action::Pause, Some((signal, verdict))) => {
            format!("Paused after {at}: {}.", found(signal, verdict))
        }
        (Action::Promote, _) => {
            let names = names(policy.signals.iter().filter(|signal| signal.notice.is_some()));
            format!("Promoted after {at}: {names} shown to be not worse than the baseline.")
        }
        _ => undecided(policy, decision),
    }
}

fn undecided(policy: &RolloutPolicy, decision: &Decision) -> String {
    if decision.seen.candidate == 0 || decision.seen.baseline == 0 {
        return format!(
            "The recording ended with {} of the candidate and {} of the baseline: there was nothing to compare.",
            text::plural(decision.seen.candidate, "outcome"),
            text::plural(decision.seen.baseline, "outcome"),
        );
    }
    let open: Vec<String> = policy
        .signals
        .iter()
        .zip(&decision.verdicts)
        .filter_map(|(signal, verdict)| still(signal, verdict))
        .collect();
    let open = if open.is_empty() { String::new() } else { format!(": {}", open.join("; ")) };
    format!("The recording ended without enough evidence either way{open}.")
}

/// What is open about a signal that compares, or fails without stopping.
fn still(signal: &Signal, verdict: &Verdict) -> Option<String> {
    let name = &signal.name;
    let what = match verdict.outcome {
        Outcome::Fail => "fails, which did not stop it".to_owned(),
        _ if signal.notice.is_none() => return None,
        Outcome::Pass => "is not worse".to_owned(),
        Outcome::NoData if verdict.reason == Reason::Stale => {
            "was no longer measured on the candidate".to_owned()
        }
        Outcome::NoData => "was not measured".to_owned(),
        Outcome::Inconclusive => "cannot be judged".to_owned(),
        Outcome::Hold => match verdict.needed {
            Some(needed) => {
                format!("needs about {} more of the candidate", text::plural(needed, "outcome"))
            }
            None => "is neither worse nor shown to be no worse".to_owned(),
        },
    };
    Some(format!("`{name}` {what}"))
}

fn names<'a>(signals: impl Iterator<Item = &'a Signal>) -> String {
    let quoted: Vec<_> = signals.map(|signal| format!("`{}`", signal.name)).collect();
    match quoted.split_last() {
        None => "nothing was".to_owned(),
        Some((only, [])) => format!("{only} was"),
        Some((last, rest)) => format!("{} and {last} were", rest.join(", ")),
    }
}

/// A time since the start as a length.
fn after(at: Timestamp) -> String {
    show::span(at.since(START))
}
