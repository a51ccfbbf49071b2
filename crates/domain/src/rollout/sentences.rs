//! Every sentence a rollout says, written once.
//!
//! One decision, one sentence: the metric, its value, what it was compared
//! with, on how many answers, and what follows. Codes are stable; parameters
//! carry the numbers.

mod signals;

pub use signals::found;
pub(super) use signals::{is_unmeasured, row, went_back_on_signal};

use super::step::Machine;
use super::{PauseCause, Phase, RolloutState, StepCounts, Waiting, show};
use crate::ids::PersonName;
use crate::params;
use crate::people::Role;
use crate::policy::{MissingAction, Signal, Step};
use crate::sentence::Sentence;
use crate::units::{Share, Span, Timestamp};
use crate::verdict::{Outcome, Verdict};
use signals::{consequence, is, numbers, progress, return_of_users, with};

fn who(role: Role) -> &'static str {
    match role {
        Role::Editor => "An editor",
        Role::Approver => "An approver",
        Role::Operator => "An operator",
        Role::Auditor => "An auditor",
        Role::Admin => "An administrator",
        Role::Agent => "An agent",
        Role::Finance => "Finance",
    }
}

pub(super) fn went_back_on_silence(
    state: &RolloutState,
    names: &[String],
    since: Timestamp,
    now: Timestamp,
) -> Sentence {
    Sentence::render(
        "rolled_back_without_data",
        "Went back at {time}: {names} had no usable measurements for {span}, and the plan goes back after {limit}; {returns}.",
        params! {
            "returns" => return_of_users(state, &state.steps_back()),
            "steps" => state.steps_back(),
            "time" => show::clock(now),
            "at" => now,
            "names" => show::names(names),
            "metrics" => names,
            "span" => show::span(now.since(since)),
            "limit" => show::span(state.policy.missing.hold_for),
            "good" => state.stable.short(),
        },
    )
}

pub(super) fn went_back_by_person(
    state: &RolloutState,
    by: &PersonName,
    now: Timestamp,
) -> Sentence {
    Sentence::render(
        "rolled_back_by_person",
        "Went back at {time}: {person} took {candidate} back at {weight}; everyone gets {good} again.",
        params! {
            "time" => show::clock(now),
            "at" => now,
            "person" => by,
            "candidate" => state.candidate.short(),
            "weight" => state.exposure.weight.to_string(),
            "good" => state.stable.short(),
        },
    )
}

pub(super) fn promoted_by_plan(machine: &Machine<'_>) -> Sentence {
    let state = &machine.state;
    let shown: Vec<_> = state
        .policy
        .signals
        .iter()
        .filter_map(|s| machine.verdict(s).map(|v| (s, v)))
        .take(3)
        .map(|(s, v)| match v.control.value {
            Some(_) => format!(
                "`{}` {} against {}",
                s.name,
                show::arm(s, &v.candidate),
                show::arm(s, &v.control)
            ),
            None => format!("`{}` {}", s.name, show::arm(s, &v.candidate)),
        })
        .collect();
    Sentence::render(
        "promoting",
        "Promoted at {time}: the plan is done and no check speaks against it ({shown}); {candidate} becomes the version for everyone.",
        params! {
            "time" => show::clock(machine.now),
            "at" => machine.now,
            "shown" => shown.join(", "),
            "candidate" => state.candidate.short(),
        },
    )
}

pub(super) fn promoted_by_person(
    state: &RolloutState,
    by: &PersonName,
    now: Timestamp,
) -> Sentence {
    Sentence::render(
        "promoted_by_person",
        "Promoted at {time}: {person} decided so at {weight}, ahead of the plan; {candidate} becomes the version for everyone.",
        params! {
            "time" => show::clock(now),
            "at" => now,
            "person" => by,
            "weight" => state.exposure.weight.to_string(),
            "candidate" => state.candidate.short(),
        },
    )
}

pub(super) fn paused_by_signal(
    state: &RolloutState,
    signal: &Signal,
    verdict: &Verdict,
    cause: PauseCause,
    role: Role,
) -> Sentence {
    let (code, rest) = match cause {
        PauseCause::RequireApproval => (
            "approval_required",
            "and the plan asks for a yes to that. {who} decides: approve or go back.",
        ),
        _ => (
            "paused_for_review",
            "which is too little to go back by itself but too much to go on. {who} decides: continue or go back.",
        ),
    };
    let more = params! {"who" => who(role), "role" => role, "share" => share(state)};
    let template = format!("Paused: {}, {rest}", is(verdict.reason));
    Sentence::render(code, &template, with(numbers(signal, verdict), more))
}

pub(super) fn paused_by_silence(
    machine: &Machine<'_>,
    names: &[String],
    since: Timestamp,
) -> Sentence {
    Sentence::render(
        "paused_without_data",
        "Paused: {names} have had no usable measurements since {time}.{never} The share stays at {share}; an operator decides: wait on or go back.",
        params! {
            "names" => show::names(names),
            "metrics" => names,
            "time" => show::moment(since, machine.now),
            "since" => since,
            "never" => never_measured(machine),
            "share" => share(&machine.state),
        },
    )
}

pub(super) fn paused_by_person(state: &RolloutState, by: &PersonName) -> Sentence {
    Sentence::render(
        "paused_by_person",
        "Paused: {person} stopped it at {share}. Limits stay armed; an operator decides: continue or go back.",
        params! {"person" => by, "share" => share(state)},
    )
}

pub(super) fn approval_step(state: &RolloutState, role: Role) -> Sentence {
    Sentence::render(
        "waiting_for_approval",
        "Waiting for approval: the plan asks for a yes before {next}. {who} decides: approve or go back; the share stays at {share} and limits stay armed.",
        params! {
            "who" => who(role),
            "role" => role,
            "next" => next_step(state),
            "share" => share(state),
        },
    )
}

pub(super) fn no_evidence(state: &RolloutState, open: &[String]) -> Sentence {
    let most = match state.current_step() {
        Some(Step::Weight(weight)) => weight.at_most.unwrap_or_default(),
        _ => Span::ZERO,
    };
    Sentence::render(
        "no_evidence",
        "Paused: after {most} at {share}, {names} is still not shown to be good enough. An approver decides: wait on, promote or go back.",
        params! {
            "most" => show::span(most),
            "share" => share(state),
            "names" => show::names(open),
            "metrics" => open,
        },
    )
}

/// A pause that carries no sentence of its own.
fn paused(cause: PauseCause, role: Role) -> Sentence {
    let why = match cause {
        PauseCause::ApprovalStep => "the plan asks for a yes here",
        PauseCause::Signal => "a signal got worse",
        PauseCause::RequireApproval => "a signal asks for an approver's yes",
        PauseCause::MissingData => "measurements stayed away",
        PauseCause::NoEvidence => "the evidence did not come in time",
        PauseCause::Person => "a person stopped it",
    };
    Sentence::render(
        "paused",
        "Paused: {why}. {who} decides.",
        params! {"why" => why, "who" => who(role), "cause" => cause, "role" => role},
    )
}

/// The share in words: `5%`, or `a mirrored 50%` while no user sees answers.
fn share(state: &RolloutState) -> String {
    let exposure = state.exposure;
    match (exposure.weight.bp(), exposure.shadow.bp()) {
        (0, shadow) if shadow > 0 => format!("a mirrored {}", exposure.shadow),
        _ => exposure.weight.to_string(),
    }
}

/// What the step after this one does.
fn next_step(state: &RolloutState) -> String {
    match state.policy.steps.get(state.step.saturating_add(1)) {
        Some(Step::Shadow(shadow)) => format!("mirroring {}", shadow.share),
        Some(Step::Weight(weight)) => format!("{} of users", weight.share),
        Some(Step::Hold(_)) => "holding".to_owned(),
        Some(Step::Approval(_)) => "an approval".to_owned(),
        Some(Step::Promote(_)) => "promotion".to_owned(),
        None => "nothing more".to_owned(),
    }
}

/// The whole in a sentence.
pub(super) fn summary(machine: &Machine<'_>, waiting: &Waiting) -> Sentence {
    let state = &machine.state;
    let decided = || state.decision.as_ref().map_or(String::new(), |d| format!("{} ", d.text));
    match &state.phase {
        Phase::Running => running(machine, waiting),
        Phase::Paused { cause, role } => {
            state.pause.as_ref().map_or_else(|| paused(*cause, *role), |p| p.why.clone())
        }
        Phase::Promoting => Sentence::render(
            "promoting",
            "{decision}Git is being told.",
            params! {"decision" => decided(), "candidate" => state.candidate.short()},
        ),
        Phase::RollingBack => {
            let template = match state.exposure.weight {
                Share::NONE => "{decision}Gateways and git are being told.",
                _ => "{decision}The share is {share} now.",
            };
            let params = params! {
                "decision" => decided(),
                "good" => state.stable.short(),
                "share" => state.exposure.weight,
            };
            Sentence::render("rolling_back", template, params)
        }
        Phase::Promoted => Sentence::render(
            "promoted",
            "Live for everyone: {candidate}. {decision}Git says so too.",
            params! {"decision" => decided(), "candidate" => state.candidate.short()},
        ),
        Phase::RolledBack => Sentence::render(
            "rolled_back",
            "{decision}Every gateway and git agree.",
            params! {"decision" => decided(), "good" => state.stable.short()},
        ),
    }
}

fn running(machine: &Machine<'_>, waiting: &Waiting) -> Sentence {
    let state = &machine.state;
    let failing = state
        .policy
        .signals
        .iter()
        .find(|s| machine.outcome(s) == Outcome::Fail && !state.is_waived(&s.name));
    if let Some((signal, verdict)) = failing.and_then(|s| machine.verdict(s).map(|v| (s, v))) {
        return watching(machine, signal, verdict);
    }
    // Right after a move nobody has answered yet: that is no silent source.
    let fresh = counted(state, machine.counts) == 0 && waiting.requests.is_some();
    if let Some(since) = state.missing_since.filter(|_| !fresh) {
        return source_down(machine, since);
    }
    match (waiting.requests, waiting.evidence.as_slice()) {
        (Some(left), _) => not_enough_data(machine, left),
        (None, []) => going_well(state, waiting),
        (None, open) => waiting_for_evidence(machine, open),
    }
}

fn watching(machine: &Machine<'_>, signal: &Signal, verdict: &Verdict) -> Sentence {
    let state = &machine.state;
    let breach = state.breaches.get(&signal.name).copied();
    let more = params! {
        "follows" => consequence(signal.action),
        "progress" => progress(signal, breach, machine.now),
        "share" => share(state),
        "checks" => breach.map(|b| b.checks),
    };
    let is = is(verdict.reason);
    let template = match progress(signal, breach, machine.now) {
        Some(_) if !verdict.reason.acts_at_once() => {
            "Watching: `{metric}` has been {side} its limit ({value} against {limit}) for {progress}; then {follows}. The share stays at {share} meanwhile."
        }
        _ => &format!("Watching: {is}. The share stays at {{share}} meanwhile."),
    };
    Sentence::render("watching", template, with(numbers(signal, verdict), more))
}

fn source_down(machine: &Machine<'_>, since: Timestamp) -> Sentence {
    let state = &machine.state;
    let names: Vec<_> = machine.overdue().iter().map(|s| s.name.clone()).collect();
    let then = match state.policy.missing.then {
        MissingAction::Pause => "it pauses for a decision",
        MissingAction::Rollback => "it goes back",
    };
    Sentence::render(
        "source_down",
        "No usable measurements of {names} since {time}.{never} The share stays at {share} and nothing is promoted until they are there; at {deadline} {then}.",
        params! {
            "names" => show::names(&names),
            "metrics" => names,
            "time" => show::moment(since, machine.now),
            "since" => since,
            "never" => never_measured(machine),
            "share" => share(state),
            "deadline" => show::moment(since.plus(state.policy.missing.hold_for), machine.now),
            "then" => then,
        },
    )
}

fn not_enough_data(machine: &Machine<'_>, left: u64) -> Sentence {
    let state = &machine.state;
    let counted = counted(state, machine.counts);
    let params = params! {
        "n" => counted,
        "need" => counted.saturating_add(left),
        "eta" => eta(machine, counted, left),
        "share" => share(state),
        "never" => never_measured(machine),
    };
    let started = machine.now.since(state.step_since) > Span::ZERO;
    let template = if counted == 0 || !started {
        "Not enough data yet: {n} of {need} requests measured. The share stays at {share} until they are.{never}"
    } else {
        "Not enough data yet: {n} of {need} requests measured. At today's traffic this takes about {eta}; the share stays at {share} until then.{never}"
    };
    Sentence::render("not_enough_data", template, params)
}

/// Signals without a single measurement, once answers enough were given to have
/// one: they block promotion for ever, and nobody would know why. Begins with a
/// blank, or is empty.
fn never_measured(machine: &Machine<'_>) -> String {
    let signals = machine.never_measured();
    signals.iter().map(|signal| format!(" {}", signals::never_measured(signal))).collect()
}

fn counted(state: &RolloutState, counts: StepCounts) -> u64 {
    if state.exposure.weight.bp() > 0 { counts.candidate } else { counts.shadow }
}

/// Time until `left` more answers at the pace of this step.
fn eta(machine: &Machine<'_>, counted: u64, left: u64) -> String {
    let passed = machine.now.since(machine.state.step_since).secs();
    let seconds = passed * left as f64 / counted.max(1) as f64;
    // A float saturates; ten years are the longest span there is.
    show::span(Span::from_secs(seconds.ceil().min(316_000_000.0) as i64))
}

fn waiting_for_evidence(machine: &Machine<'_>, open: &[String]) -> Sentence {
    let state = &machine.state;
    // Others may come to pass; what is never measured will not.
    let never = machine.never_measured();
    let (first, then): (Vec<_>, Vec<_>) = state
        .policy
        .signals
        .iter()
        .filter(|s| open.contains(&s.name))
        .partition(|s| never.iter().any(|n| n.name == s.name));
    let rows: Vec<_> = first
        .into_iter()
        .chain(then)
        .take(2)
        .map(|s| row(state, s, machine.verdict(s), machine.now).text)
        .collect();
    let deadline = match state.current_step() {
        Some(Step::Weight(w)) => w.at_most.map(|most| state.step_since.plus(most)),
        _ => None,
    };
    let template = match deadline {
        Some(_) => {
            "Not enough evidence yet for {next}: {rows} The share stays at {share}; at {deadline} an approver decides."
        }
        None => {
            "Not enough evidence yet for {next}: {rows} The share stays at {share} until there is."
        }
    };
    Sentence::render(
        "waiting_for_evidence",
        template,
        params! {
            "next" => next_step(state),
            "rows" => rows.join(" "),
            "metrics" => open,
            "share" => share(state),
            "deadline" => deadline.map(|at| show::moment(at, machine.now)),
        },
    )
}

fn going_well(state: &RolloutState, waiting: &Waiting) -> Sentence {
    let exposure = state.exposure;
    let serves = match (exposure.weight.bp(), exposure.shadow.bp()) {
        (0, 0) => "nobody gets the new version yet".to_owned(),
        (0, _) => format!(
            "the new version answers copies of {} of requests, which no user sees,",
            exposure.shadow
        ),
        _ => format!("the new version serves {} of requests", exposure.weight),
    };
    let template = match waiting.time {
        Some(_) => {
            "Going well: {serves} and every check is within its limit. Next is {next}, in {time}."
        }
        None => "Going well: {serves} and every check is within its limit. Next is {next}.",
    };
    Sentence::render(
        "going_well",
        template,
        params! {
            "serves" => serves,
            "pct" => exposure.weight.to_string(),
            "next" => next_step(state),
            "time" => waiting.time.map(show::span),
        },
    )
}
