//! Everything that can happen has a sentence, with every blank filled in.

use super::*;
use crate::sentence::Sentence;

const OUTCOMES: [Outcome; 5] =
    [Outcome::Pass, Outcome::Hold, Outcome::Inconclusive, Outcome::NoData, Outcome::Fail];
const REASONS: [Reason; 10] = [
    Reason::Breaker,
    Reason::BudgetBurns,
    Reason::OverLimit,
    Reason::WorseThanControl,
    Reason::NotWorse,
    Reason::TooFew,
    Reason::Nothing,
    Reason::Stale,
    Reason::Unusable,
    Reason::Undecided,
];
const CAUSES: [PauseCause; 6] = [
    PauseCause::ApprovalStep,
    PauseCause::Signal,
    PauseCause::RequireApproval,
    PauseCause::MissingData,
    PauseCause::NoEvidence,
    PauseCause::Person,
];

fn whole(sentence: &Sentence) {
    let text = &sentence.text;
    assert!(!text.contains('{') && !text.contains('}'), "a blank is open: {text}");
    assert!(!text.contains("  ") && !text.contains("null"), "{text}");
    assert!(text.ends_with('.'), "{text}");
    assert!(text.starts_with(|c: char| c.is_uppercase() || c == '`'), "{text}");
    assert!(!sentence.code.is_empty());
}

/// The lists above must name every variant: a new one fails to compile here.
#[test]
fn the_lists_are_whole() {
    for reason in REASONS {
        match reason {
            Reason::Breaker
            | Reason::BudgetBurns
            | Reason::OverLimit
            | Reason::WorseThanControl
            | Reason::NotWorse
            | Reason::TooFew
            | Reason::Nothing
            | Reason::Stale
            | Reason::Unusable
            | Reason::Undecided => {}
        }
    }
    for cause in CAUSES {
        match cause {
            PauseCause::ApprovalStep
            | PauseCause::Signal
            | PauseCause::RequireApproval
            | PauseCause::MissingData
            | PauseCause::NoEvidence
            | PauseCause::Person => {}
        }
    }
}

#[test]
fn every_outcome_reason_action_and_phase_has_a_sentence() {
    let steps = json!([
        {"shadow": {"share": "50%", "until": {"requests": 2000}}},
        {"weight": {"share": "5%", "hold": "30m", "min_requests": 2000}},
        {"weight": {"share": "50%", "until": "evidence", "at_most": "5h"}},
        {"hold": {"time": "30m"}},
        {"approval": {"role": "approver"}},
        {"promote": {}},
    ]);
    let phases =
        [Phase::Running, Phase::Promoting, Phase::RollingBack, Phase::Promoted, Phase::RolledBack]
            .into_iter()
            .chain(
                CAUSES.map(|cause| Phase::Paused { cause, role: crate::people::Role::Operator }),
            );
    let mut seen = 0;
    for phase in phases {
        for at in 0..=6 {
            for action in ["notify", "require_approval", "pause", "rollback"] {
                for kind in ["rate", "latency"] {
                    let signal = json!({"name": "latency_ms", "kind": kind, "limit": 0.1, "notice": {"times": 2}, "sustained": {"checks": 3}, "action": action});
                    let mut story = Story::of(steps.clone(), json!([signal]));
                    story.state.phase = phase.clone();
                    story.state.step = at;
                    for outcome in OUTCOMES {
                        for reason in REASONS {
                            seen += says(&mut story, outcome, reason);
                        }
                    }
                }
            }
        }
    }
    assert_eq!(seen, 11 * 7 * 4 * 2 * OUTCOMES.len() * REASONS.len());
}

/// Checks every sentence of one look, with and without numbers.
fn says(story: &mut Story, outcome: Outcome, reason: Reason) -> usize {
    story.see_because("latency_ms", outcome, reason);
    for numbers in [
        ArmNumbers::default(),
        ArmNumbers { n: 7, value: Some(f64::NAN), bad: None },
        story.seen.verdicts[0].candidate,
    ] {
        let mut seen = story.seen.clone();
        seen.verdicts[0].candidate = numbers;
        let stepped = step(&story.state, &seen, story.now);
        whole(&stepped.report.summary);
        stepped.report.signals.iter().for_each(|s| whole(&s.text));
        stepped.state.decision.iter().for_each(whole);
        for action in &stepped.actions {
            if let Action::Notify { what } | Action::OpenIncident { what } = action {
                whole(what);
            }
        }
    }
    1
}

#[test]
fn sentences_say_what_the_interface_promises() {
    let mut story = Story::of(
        json!([{"weight": {"share": "5%", "hold": "30m", "min_requests": 400}}, {"weight": {"share": "25%"}}, {"promote": {}}]),
        json!([error(), accepted()]),
    );
    story.seen.step.candidate = 100;
    story.wait("10m");
    assert_eq!(
        story.summary,
        "Not enough data yet: 100 of 400 requests measured. At today's traffic this takes about 30m; the share stays at 5% until then."
    );
    story.seen.step.candidate = 400;
    story.wait("1m");
    assert_eq!(
        story.summary,
        "Going well: the new version serves 5% of requests and every check is within its limit. Next is 25% of users, in 19m."
    );
    story.see_because("accepted", Outcome::Fail, Reason::WorseThanControl).wait("1m");
    assert_eq!(
        story.summary,
        "Paused: `accepted` is 67.1% (57 of 85) against 98.8% (82 of 83) for today's version, which is too little to go back by itself but too much to go on. An operator decides: continue or go back."
    );
}
