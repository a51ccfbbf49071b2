//! Everything that can happen has a sentence, with every blank filled in.

use super::*;
use crate::sentence::Sentence;
use crate::verdict::{Corrected, Estimate, Labelled, Labels};

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

/// Every reason a rollout goes back for says the signal, the numbers, how sure
/// they make one, and what it took.
#[test]
fn a_decision_says_how_sure_it_is_and_what_it_took() {
    let steps = json!([{"weight": {"share": "5%", "hold": "30m"}}, {"promote": {}}]);
    let error = json!({"name": "error", "kind": "rate", "limit": "5%", "notice": {"times": 2}, "burn": {"objective": "99%"}, "action": "rollback"});
    for (reason, evidence, exposed, want) in [
        (
            Reason::WorseThanControl,
            Some(0.0004),
            312,
            "`error` was 32.9% (28 of 85) against 1.2% (1 of 83) for today's version (difference +24 to +39 percentage points), a 1 in 2,500 chance if the version made no difference; everyone gets {good} again. The new version gave 312 answers, at least 28 of them bad.",
        ),
        (
            Reason::OverLimit,
            Some(0.000_62),
            85,
            "`error` stayed over its limit (32.9% (28 of 85) against 5%), a 1 in 1,600 chance if it kept its limit; everyone gets {good} again. The new version gave 85 answers, 28 of them bad.",
        ),
        (
            Reason::Breaker,
            Some(3e-8),
            85,
            "`error` was broken: 32.9% (28 of 85) lately, against its limit of 5%, less than a 1 in a million chance if it kept its limit; everyone gets {good} again. The new version gave 85 answers, 28 of them bad.",
        ),
        (
            Reason::BudgetBurns,
            None,
            0,
            "`error` was 32.9% (28 of 85), 33 times as fast as its error budget of 1% allows; everyone gets {good} again. The new version gave 85 answers, 28 of them bad.",
        ),
    ] {
        let mut story = Story::of(steps.clone(), json!([error]));
        story.see_because("error", Outcome::Fail, reason);
        story.seen.exposed = exposed;
        story.seen.verdicts[0].evidence = evidence;
        story.seen.verdicts[0].interval = Some((0.241, 0.389));
        story.look();
        let good = story.state.stable.short();
        let want = format!("Went back at 14:00:00: {}", want.replace("{good}", &good));
        assert_eq!(story.state.decision.unwrap().text, want);
    }
}

#[test]
fn a_row_says_how_far_the_evidence_is() {
    let cost =
        json!({"name": "cost", "kind": "amount", "notice": {"times": 1.2}, "action": "pause"});
    let mut story = Story::of(json!([]), json!([cost]));
    let verdict = &mut story.seen.verdicts[0];
    verdict.candidate = ArmNumbers { n: 85, value: Some(0.0041), bad: None };
    verdict.control = ArmNumbers { n: 83, value: Some(0.0032), bad: None };
    (verdict.evidence, verdict.boundary) = (Some(0.08), Some(0.01));
    verdict.interval = Some((-0.0001, 0.0019));
    let row = step(&story.state, &story.seen, story.now).report.signals[0].text.text.clone();
    assert_eq!(
        row,
        "`cost` is $0.0041 (mean of 85) against $0.0032 (mean of 83) for today's version (difference −$0.0001 to +$0.0019): neither worse nor shown to be no worse yet (a 1 in 13 chance if the version made no difference; it takes 1 in 100)."
    );
}

#[test]
fn a_row_says_what_people_would_have_measured() {
    let mut signal = json!({"name": "unhelpful", "kind": "rate", "notice": {"by": 0.03},
        "action": "pause"});
    for (want, absolute) in [
        (
            "`unhelpful` is 4.1% (35 of 850) against 3.9% (33 of 840) for today's version; corrected for the judge's errors, it is 3.1% (2% to 4.4%) against 2.8%: neither worse nor shown to be no worse yet.",
            false,
        ),
        (
            "`unhelpful` is 4.1% (35 of 850); over the whole rollout, corrected for the judge's errors, it is 3.1% (2% to 4.4%): nothing speaks against it, not enough speaks for it yet.",
            true,
        ),
    ] {
        if absolute {
            let fields = signal.as_object_mut().unwrap();
            fields.remove("notice");
            fields.insert("limit".to_owned(), json!(0.1));
        }
        let mut story = Story::of(json!([]), json!([signal]));
        story.see_because("unhelpful", Outcome::Hold, Reason::Undecided);
        let verdict = &mut story.seen.verdicts[0];
        verdict.candidate = ArmNumbers { n: 850, value: Some(35.0 / 850.0), bad: Some(35) };
        verdict.control = ArmNumbers { n: 840, value: Some(33.0 / 840.0), bad: Some(33) };
        if absolute {
            verdict.control = ArmNumbers::default();
        }
        let estimate = |value, low, high| Estimate { value, low, high };
        verdict.corrected = Some(Corrected {
            by_people: false,
            control: Some(estimate(0.028, 0.017, 0.041)),
            candidate: estimate(0.031, 0.02, 0.044),
            difference: Some(estimate(0.003, -0.02, 0.026)),
            labels: 300,
        });
        let row = step(&story.state, &story.seen, story.now).report.signals[0].text.text.clone();
        assert_eq!(row, want);
    }
}

#[test]
fn a_row_says_what_people_labelled_and_what_is_still_wanted() {
    let signal = json!({"name": "unhelpful", "kind": "rate", "notice": {"by": 0.03},
        "judge": {"human": {"share": "5%"}}, "action": "pause"});
    let mut story = Story::of(json!([]), json!([signal]));
    story.see_because("unhelpful", Outcome::Hold, Reason::Undecided);
    let verdict = &mut story.seen.verdicts[0];
    verdict.candidate = ArmNumbers { n: 850, value: Some(35.0 / 850.0), bad: Some(35) };
    verdict.control = ArmNumbers { n: 840, value: Some(33.0 / 840.0), bad: Some(33) };
    verdict.labels = Some(Labels {
        name: "unhelpful.human".to_owned(),
        share: 0.05,
        control: Labelled { judged: 840, chosen: 41, labelled: 6, wanted: 4 },
        candidate: Labelled { judged: 850, chosen: 44, labelled: 3, wanted: 7 },
        unused: 0,
    });
    let row = |story: &Story| {
        step(&story.state, &story.seen, story.now).report.signals[0].text.text.clone()
    };
    let numbers = "`unhelpful` is 4.1% (35 of 850) against 3.9% (33 of 840) for today's version";
    let undecided = "neither worse nor shown to be no worse yet.";
    assert_eq!(
        row(&story),
        format!(
            "{numbers}; too few labels of people to correct it yet (3 of 44 chosen answers of the new version, 7 more wanted; 6 of 41 chosen answers of today's version, 4 more wanted): {undecided}"
        )
    );
    let estimate = |value, low, high| Estimate { value, low, high };
    let verdict = &mut story.seen.verdicts[0];
    let labels = verdict.labels.as_mut().unwrap();
    labels.candidate = Labelled { labelled: 40, wanted: 0, ..labels.candidate };
    labels.control = Labelled { labelled: 39, wanted: 0, ..labels.control };
    verdict.corrected = Some(Corrected {
        control: Some(estimate(0.028, 0.017, 0.041)),
        candidate: estimate(0.031, 0.02, 0.044),
        difference: Some(estimate(0.003, -0.02, 0.026)),
        labels: 40,
        by_people: true,
    });
    assert_eq!(
        row(&story),
        format!(
            "{numbers}; by people's labels on 40 of its 850 judged answers, it is 3.1% (2% to 4.4%) against 2.8%: {undecided}"
        )
    );
}

/// A signal nobody sends blocks promotion for ever: every sentence of waiting says
/// which, and what to do.
#[test]
fn a_signal_that_is_never_measured_is_named_with_what_to_do() {
    let mend = "`accepted` has never been measured, and nothing is promoted until it is: send feedback named `accepted`, or take the signal out of the plan.";
    let steps =
        json!([{"weight": {"share": "5%", "hold": "30m", "min_requests": 2000}}, {"promote": {}}]);
    let mut story = Story::of(
        steps,
        json!([error(), {"name": "cost", "kind": "amount",
        "notice": {"times": 1.2}, "action": "pause"}, accepted()]),
    );
    let unmeasured = |story: &mut Story, name: &str| {
        story.see("accepted", Outcome::Hold).see(name, Outcome::NoData);
        let verdict = story.seen.verdicts.iter_mut().find(|v| v.signal == name).unwrap();
        (verdict.candidate, verdict.control) = Default::default();
    };
    unmeasured(&mut story, "accepted");
    story.seen.exposed = 19;
    story.seen.step.control = 19;
    story.look();
    assert!(!story.summary.contains("accepted"), "too early: {}", story.summary);
    story.seen.exposed = 20;
    story.wait("1m");
    assert!(story.summary.starts_with("Not enough data yet: 1000 of 2000"), "{}", story.summary);
    assert!(story.summary.ends_with(mend), "{}", story.summary);
    // Two others wait for evidence too; this one comes first.
    story.seen.step.candidate = 2000;
    story.wait("31m");
    assert!(
        story.summary.starts_with("Not enough evidence yet for promotion: "),
        "{}",
        story.summary
    );
    assert!(story.summary.contains(mend), "{}", story.summary);
    // So many answers that some word was due: the source is down.
    story.seen.exposed = 5000;
    story.wait("1m");
    assert!(story.summary.starts_with("No usable measurements of `accepted`"), "{}", story.summary);
    assert!(story.summary.contains(mend), "{}", story.summary);
    story.wait("31m");
    assert_eq!(story.cause(), Some(PauseCause::MissingData));
    assert!(story.summary.contains(mend), "{}", story.summary);
    let row = step(&story.state, &story.seen, story.now).report.signals[2].text.text.clone();
    assert_eq!(row, mend);
}

#[test]
fn what_gateways_measure_needs_no_mend() {
    let steps = json!([{"weight": {"share": "5%", "hold": "30m"}}, {"promote": {}}]);
    let mut story = Story::of(steps, json!([error()]));
    story.see("error", Outcome::NoData);
    let verdict = &mut story.seen.verdicts[0];
    (verdict.candidate, verdict.control) = Default::default();
    story.seen.exposed = 5000;
    story.look();
    assert!(!story.summary.contains("never been measured"), "{}", story.summary);
}

#[test]
fn what_nobody_can_send_has_another_mend() {
    let signals = json!([
        {"name": "schema_failure", "kind": "rate", "limit": 0.1, "action": "pause"},
        {"name": "queue", "kind": "rate", "limit": 0.5, "source": {"prometheus": "avg(queue)"}, "action": "pause"},
        {"name": "error", "kind": "rate", "limit": 0.1, "action": "pause"},
    ]);
    let mut story = Story::of(json!([]), signals);
    for name in ["schema_failure", "queue", "error"] {
        story.see(name, Outcome::NoData);
    }
    for verdict in &mut story.seen.verdicts {
        (verdict.candidate, verdict.control) = Default::default();
    }
    let rows = step(&story.state, &story.seen, story.now).report.signals;
    for (row, end) in rows.iter().zip([
        "until it is: write a schema under `answer` in `app.yaml`, or take the signal out of the plan.",
        "until it is: see that its `source` yields a number, or take the signal out of the plan.",
        "`error` has not been measured; nothing is promoted until it is.",
    ]) {
        assert!(row.text.text.ends_with(end), "{}", row.text.text);
    }
}

#[test]
fn a_deadline_on_another_day_has_its_date() {
    let steps = json!([{"weight": {"share": "50%", "until": "evidence", "at_most": "20h"}}, {"promote": {}}]);
    let mut story = Story::of(steps, json!([accepted()]));
    story.look();
    let (today, deadline) = (story.now.date(), story.now.plus("20h".parse().unwrap()));
    assert_ne!(deadline.date(), today);
    let at = format!("at {} {} an approver decides.", deadline.date(), deadline.clock());
    assert!(story.summary.ends_with(&at), "{}", story.summary);
    story.wait("15h");
    assert!(story.summary.ends_with(&format!("at {} an approver decides.", deadline.clock())));
}
