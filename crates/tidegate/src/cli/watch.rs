//! `rollout watch`: the picture a person looks at while a change goes out.
//!
//! On a terminal it is redrawn in place; elsewhere every change of state is one
//! line. Ctrl-C ends the watching, never the rollout.

use super::failure::{Exit, Failure};
use super::output::{Format, Out, Style, table, talk};
use super::rollout::{Watch, resolve_for_watch, standing, step};
use super::run::{RolloutRef, Run};
use super::text;
use control::views::RolloutView;
use domain::rollout::{Phase, SignalReport};
use domain::units::Timestamp;
use domain::verdict::Outcome;
use std::collections::VecDeque;

/// Most past lines shown below the picture.
const HISTORY: usize = 3;
/// Width of the bar, in characters.
const BAR: usize = 24;
/// Width assumed when the terminal does not say.
const WIDTH: u16 = 100;

/// Runs it.
pub async fn run(run: &Run, args: Watch, deadline: Timestamp) -> Result<Exit, Failure> {
    let rollout = resolve_for_watch(run, &args.rollout, deadline).await?;
    let again = format!("tidegate rollout watch {}", rollout.id);
    run.wait_for(&again, follow(run, &args, rollout, deadline, &again)).await
}

/// Shows the rollout until it ends.
async fn follow(
    run: &Run,
    args: &Watch,
    mut rollout: RolloutView,
    deadline: Timestamp,
    again: &str,
) -> Result<Exit, Failure> {
    let picture = run.out.tty && !args.plain && run.out.format == Format::Table;
    let mut screen = Screen::new(run.out.clone(), picture);
    let by_id = RolloutRef::Id(rollout.id);
    loop {
        screen.show(&rollout, run.now())?;
        if ends(&rollout.phase, args.until_paused) {
            farewell(&rollout);
            return Ok(standing(&rollout.phase));
        }
        run.next_look(deadline, "the rollout goes on", again).await?;
        rollout = super::rollout::resolve(run, &by_id).await?;
    }
}

fn ends(phase: &Phase, until_paused: bool) -> bool {
    phase.is_final() || (until_paused && matches!(phase, Phase::Paused { .. }))
}

/// The last word: what was decided, what it cost, and where to read on.
fn farewell(rollout: &RolloutView) {
    if let Some(decision) = &rollout.decision {
        talk(&decision.text);
    }
    if rollout.phase == Phase::RolledBack {
        let harmed = text::plural(rollout.requests_harmed, "request");
        let swing = rollout
            .swing_back
            .map(|s| format!("; everyone was back after {s}"))
            .unwrap_or_default();
        talk(&format!("{harmed} of {} harmed{swing}.", text::count(rollout.requests_exposed)));
    }
    if let Some(incident) = rollout.incident {
        talk(&format!("Read on: tidegate incident get {incident}"));
    }
    if let Phase::Paused { role, .. } = rollout.phase {
        talk(&format!(
            "A person with the role {role} decides: tidegate rollout resume|rollback {}",
            rollout.id
        ));
    }
}

/// What was shown so far, so that only what is new is shown again.
struct Screen {
    out: Out,
    picture: bool,
    lines: usize,
    last: String,
    history: VecDeque<String>,
}

impl Screen {
    fn new(out: Out, picture: bool) -> Self {
        Self { out, picture, lines: 0, last: String::new(), history: VecDeque::new() }
    }

    fn show(&mut self, rollout: &RolloutView, now: Timestamp) -> Result<(), Failure> {
        let key = state_key(rollout);
        let changed = key != self.last;
        self.last = key;
        if !self.picture {
            return if changed { self.line(rollout, now) } else { Ok(()) };
        }
        if changed {
            self.history.push_front(event(rollout, now));
            self.history.truncate(HISTORY);
        }
        let width = terminal_size::terminal_size().map_or(WIDTH, |(w, _)| w.0);
        let picture =
            picture(&self.out, rollout, self.history.make_contiguous(), usize::from(width));
        let up = if self.lines > 0 { format!("\x1b[{}A\x1b[J", self.lines) } else { String::new() };
        self.lines = picture.lines().count();
        self.out.write(&format!("{up}{picture}"))
    }

    fn line(&self, rollout: &RolloutView, now: Timestamp) -> Result<(), Failure> {
        match self.out.format {
            // One object a line for both: a watch never ends one document.
            Format::Json | Format::Jsonl => self.out.json_line(rollout),
            Format::Table => {
                let at = rollout.report.as_ref().map_or(now, |r| r.at);
                self.out.write(&format!(
                    "{}\t{}\t{}\tstep {}\t{}\t{}\n",
                    at.iso(),
                    rollout.id,
                    rollout.phase.word(),
                    step(rollout),
                    rollout.exposure.weight,
                    said(rollout)
                ))
            }
        }
    }
}

/// What makes a state another one, for people: not every look, not every count.
fn state_key(rollout: &RolloutView) -> String {
    let code = rollout.report.as_ref().map_or("", |r| r.summary.code.as_str());
    format!(
        "{} {} {} {code} {}",
        rollout.phase.word(),
        rollout.step,
        rollout.exposure.weight,
        rollout.decision.is_some()
    )
}

fn said(rollout: &RolloutView) -> String {
    match (&rollout.decision, &rollout.report) {
        (Some(decision), _) => decision.text.clone(),
        (_, Some(report)) => report.summary.text.clone(),
        _ => "Waiting for the first look.".to_owned(),
    }
}

fn event(rollout: &RolloutView, now: Timestamp) -> String {
    let at = rollout.report.as_ref().map_or(now, |r| r.at);
    format!("{} {} {} {}", at.clock(), rollout.phase.word(), rollout.exposure.weight, said(rollout))
}

/// The whole picture. Lines are cut to the width: a wrapped line would break
/// redrawing in place.
fn picture(out: &Out, rollout: &RolloutView, history: &[String], width: usize) -> String {
    let mut lines = vec![
        format!("{}  {} \"{}\"  {}", rollout.app, rollout.change, rollout.title, rollout.url),
        out.paint(level(rollout), &text::shorten(&said(rollout), width)),
        progress(rollout),
    ];
    let (new, today) = counts(rollout);
    lines.push(format!(
        "├─ new    {}  {}  {}",
        rollout.candidate.short(),
        text::labels(&rollout.candidate_labels),
        text::plural(new, "request")
    ));
    lines.push(format!(
        "├─ today  {}  {}  {}",
        rollout.stable.short(),
        text::labels(&rollout.stable_labels),
        text::plural(today, "request")
    ));
    lines.push("└─ checks".to_owned());
    lines.extend(checks(out, rollout));
    lines.extend(history.iter().map(|line| out.paint(Style::Dim, &text::shorten(line, width))));
    lines
        .iter()
        .map(|line| if line.contains('\x1b') { line.clone() } else { text::shorten(line, width) } + "\n")
        .collect()
}

fn level(rollout: &RolloutView) -> Style {
    match rollout.phase {
        Phase::RolledBack | Phase::RollingBack => Style::Bad,
        Phase::Paused { .. } => Style::Warn,
        Phase::Promoted | Phase::Promoting => Style::Good,
        Phase::Running => Style::Bold,
    }
}

fn progress(rollout: &RolloutView) -> String {
    let bp = usize::from(rollout.exposure.weight.bp());
    let full = bp.saturating_mul(BAR).div_ceil(usize::from(domain::units::FULL)).min(BAR);
    let bar = format!("{}{}", "█".repeat(full), "░".repeat(BAR - full));
    let mirrored = match rollout.exposure.shadow.bp() {
        0 => String::new(),
        _ => format!("  mirrored {}", rollout.exposure.shadow),
    };
    format!(
        "{} {}  step {}  {} {bar}{mirrored}  {}",
        mark(&rollout.phase),
        rollout.id,
        step(rollout),
        rollout.exposure.weight,
        waiting(rollout)
    )
}

fn mark(phase: &Phase) -> &'static str {
    match phase {
        Phase::Running => "⟳",
        Phase::Paused { .. } => "‖",
        Phase::Promoting | Phase::Promoted => "✓",
        Phase::RollingBack | Phase::RolledBack => "↩",
    }
}

fn waiting(rollout: &RolloutView) -> String {
    let Some(report) = &rollout.report else { return String::new() };
    let mut parts = Vec::new();
    parts.extend(report.waiting.time.map(|t| t.to_string()));
    parts.extend(report.waiting.requests.map(|n| text::plural(n, "request")));
    if !report.waiting.evidence.is_empty() {
        parts.push(format!("evidence on {}", report.waiting.evidence.join(", ")));
    }
    let left =
        if parts.is_empty() { String::new() } else { format!("{} left", parts.join(" and ")) };
    match report.waiting.person {
        Some(role) => format!("{left} waits for a person: {role}").trim().to_owned(),
        None => left,
    }
}

/// Requests the two arms answered in the step under way.
fn counts(rollout: &RolloutView) -> (u64, u64) {
    rollout
        .report
        .as_ref()
        .map_or((0, 0), |r| (r.counts.candidate.saturating_add(r.counts.shadow), r.counts.control))
}

fn checks(out: &Out, rollout: &RolloutView) -> Vec<String> {
    let signals = rollout.report.as_ref().map(|r| r.signals.as_slice()).unwrap_or_default();
    let titles = ["", "CHECK", "NEW", "TODAY", "LIMIT", "OVER", "THEN"].map(str::to_owned);
    let rows: Vec<Vec<String>> = signals.iter().map(row).collect();
    table(&titles, &rows, true)
        .lines()
        .enumerate()
        .map(|(i, line)| {
            let style = i.checked_sub(1).and_then(|i| signals.get(i)).map(|s| s.verdict.outcome);
            let line = format!("   {line}");
            match style {
                Some(Outcome::Fail) => out.paint(Style::Bad, &line),
                Some(Outcome::Pass) => out.paint(Style::Good, &line),
                _ => line,
            }
        })
        .collect()
}

fn row(signal: &SignalReport) -> Vec<String> {
    let v = &signal.verdict;
    let is_rate = v.candidate.bad.is_some() || v.control.bad.is_some();
    let mark = match v.outcome {
        Outcome::Pass => "✓",
        Outcome::Fail => "!",
        Outcome::Hold | Outcome::NoData => "…",
        Outcome::Inconclusive => "?",
    };
    let over = match (v.needed, signal.over_needed) {
        (Some(needed), _) if needed > 0 && v.outcome != Outcome::Fail => {
            format!(
                "{} of {} samples",
                text::count(v.candidate.n),
                text::count(v.candidate.n.saturating_add(needed))
            )
        }
        (_, 0) => signal.over.to_string(),
        (_, of) => format!("{}/{of}", signal.over),
    };
    let then = serde_json::to_value(v.action)
        .ok()
        .and_then(|a| a.as_str().map(|a| a.replace('_', " ")))
        .unwrap_or_default();
    vec![
        mark.to_owned(),
        v.signal.clone(),
        text::amount(&v.signal, is_rate, v.candidate.value),
        text::amount(&v.signal, is_rate, v.control.value),
        v.limit.map_or_else(|| "–".to_owned(), |l| text::amount(&v.signal, is_rate, Some(l))),
        over,
        then,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn view(phase: serde_json::Value) -> RolloutView {
        let release = |c: &str| format!("sha256:{}", c.repeat(64));
        serde_json::from_value(json!({
            "id": "ro-128", "app": "support-summary", "change": "ch-41", "title": "Shorter summaries",
            "candidate": release("7"), "stable": release("4"),
            "candidate_labels": {"prompt": "summary@1.1.0"}, "stable_labels": {"prompt": "summary@1.0.0"},
            "phase": phase, "step": 1, "steps": ["shadow 50%", "weight 25%, 30m", "promote"],
            "exposure": {"weight": "25%", "shadow": "0%"},
            "report": {
                "rollout": "ro-128", "generation": 7, "at": 1_795_270_865_000_i64, "phase": "running",
                "step": 1, "steps": 3, "exposure": {"weight": "25%", "shadow": "0%"},
                "counts": {"candidate": 1982, "control": 1975, "shadow": 0},
                "waiting": {"time": "18m", "requests": 188, "evidence": [], "person": null},
                "signals": [
                    {"verdict": {"signal": "cost", "outcome": "fail", "reason": "over_limit", "action": "pause",
                        "control": {"n": 1975, "value": 0.0026, "bad": null},
                        "candidate": {"n": 1982, "value": 0.0029, "bad": null},
                        "limit": 0.0028, "interval": null, "evidence": null, "boundary": null, "needed": null},
                     "over": 1, "over_needed": 3, "text": {"code": "x", "params": {}, "text": "t"}},
                    {"verdict": {"signal": "error", "outcome": "pass", "reason": "not_worse", "action": "rollback",
                        "control": {"n": 1975, "value": 0.0041, "bad": 8},
                        "candidate": {"n": 1982, "value": 0.0044, "bad": 9},
                        "limit": 0.01, "interval": null, "evidence": null, "boundary": null, "needed": null},
                     "over": 0, "over_needed": 2, "text": {"code": "x", "params": {}, "text": "t"}},
                    {"verdict": {"signal": "accepted", "outcome": "no_data", "reason": "too_few", "action": "pause",
                        "control": {"n": 0, "value": null, "bad": null},
                        "candidate": {"n": 12, "value": null, "bad": null},
                        "limit": null, "interval": null, "evidence": null, "boundary": null, "needed": 388},
                     "over": 0, "over_needed": 0, "text": {"code": "x", "params": {}, "text": "t"}}],
                "summary": {"code": "watching", "params": {},
                    "text": "Watching: cost has been over its limit ($0.0029 against $0.0028) for 1 of the 3 checks in a row that would pause."},
            },
            "decision": null, "decided_at": null, "swing_back": null, "requests_exposed": 1982,
            "requests_harmed": 0, "incident": null, "git_commit": null, "started_at": 0,
            "generation": 7, "url": "http://localhost:8080/rollouts/ro-128",
        }))
        .unwrap()
    }

    #[test]
    fn the_picture_shows_arms_checks_and_what_it_waits_for() {
        let out = Out { format: Format::Table, tty: true, color: false, now: Timestamp(0) };
        let rollout = view(json!({"name": "running"}));
        let history = [event(&rollout, Timestamp(0))];
        insta::assert_snapshot!(picture(&out, &rollout, &history, 110));
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let out = Out { format: Format::Table, tty: true, color: false, now: Timestamp(0) };
        let picture = picture(&out, &view(json!({"name": "running"})), &[], 40);
        assert!(picture.lines().all(|l| l.chars().count() <= 40), "{picture}");
    }

    #[test]
    fn a_promoted_rollout_has_all_its_steps_behind() {
        let at = |phase: &str| step(&view(json!({ "name": phase })));
        assert_eq!((at("running"), at("rolled_back")), ("2/3".to_owned(), "2/3".to_owned()));
        assert_eq!((at("promoting"), at("promoted")), ("3/3".to_owned(), "3/3".to_owned()));
    }

    #[test]
    fn only_an_end_ends_watching_unless_a_pause_is_asked_for() {
        let paused = view(json!({"name": "paused", "cause": "signal", "role": "approver"})).phase;
        let done = view(json!({"name": "rolled_back"})).phase;
        assert!(!ends(&paused, false) && ends(&paused, true) && ends(&done, false));
        assert_eq!((standing(&paused), standing(&done)), (Exit::Paused, Exit::RolledBack));
    }
}
