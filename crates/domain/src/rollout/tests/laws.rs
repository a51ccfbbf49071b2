//! What must hold for every rollout, whatever is seen and told, whenever.

use super::*;
use crate::units::Share;
use proptest::prelude::*;
use proptest::sample::select;

/// One thing that happens to a rollout.
#[derive(Debug, Clone)]
enum Event {
    Look(Observation),
    Tell(Command),
    Wait(i64),
}

fn plans() -> impl Strategy<Value = RolloutPolicy> {
    let steps = vec![
        json!([{"weight": {"share": "5%"}}, {"promote": {}}]),
        json!([
            {"shadow": {"share": "50%", "until": {"requests": 20}}},
            {"weight": {"share": "5%", "hold": "2m"}},
            {"weight": {"share": "25%", "min_requests": 30}},
            {"approval": {"role": "approver"}},
            {"weight": {"share": "50%", "until": "evidence", "at_most": "10m"}},
            {"promote": {}},
        ]),
        json!([{"hold": {"time": "1m"}}, {"weight": {"share": "100%", "hold": "1m"}}, {"promote": {}}]),
        json!([{"approval": {"role": "approver"}}, {"promote": {}}]),
        json!([{"weight": {"share": "50%", "until": "evidence", "at_most": "2m"}}, {"promote": {}}]),
        json!([{"promote": {}}]),
        json!([]),
    ];
    let signals = json!([
        {"name": "error", "kind": "rate", "limit": "1.5%", "sustained": {"checks": 2}, "action": "rollback"},
        {"name": "latency_ms", "kind": "latency", "notice": {"times": 1.5}, "sustained": {"for": "2m"}, "action": "pause"},
        {"name": "cost", "kind": "amount", "limit": 0.004, "action": "require_approval"},
        {"name": "accepted", "kind": "rate", "worse": "lower", "notice": {"by": 0.05}, "action": "notify"},
    ]);
    let restore = vec![json!("immediate"), json!(["75%", "50%", "25%", "0%"]), json!(["3%", "0%"])];
    (select(steps), any::<bool>(), select(restore)).prop_map(move |(steps, back, restore)| {
        let mut policy = policy(steps, signals.clone());
        policy.after_rollback.restore = serde_json::from_value(restore).unwrap();
        policy.missing.hold_for = Span::from_secs(300);
        if back {
            policy.missing.then = crate::policy::MissingAction::Rollback;
        }
        policy
    })
}

fn numbers() -> impl Strategy<Value = ArmNumbers> {
    let value = prop_oneof![
        Just(None),
        any::<f64>().prop_map(Some),
        (0.0..1.0).prop_map(Some),
        Just(Some(f64::NAN)),
    ];
    let n = prop_oneof![0_u64..50, any::<u64>()];
    (n, value, proptest::option::of(any::<u64>())).prop_map(|(n, value, bad)| ArmNumbers {
        n,
        value,
        bad,
    })
}

/// Mostly good news, so that rollouts get somewhere.
fn outcomes() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        6 => Just(Outcome::Pass),
        2 => Just(Outcome::Hold),
        1 => Just(Outcome::Inconclusive),
        1 => Just(Outcome::NoData),
        1 => Just(Outcome::Fail),
    ]
}

fn verdicts() -> impl Strategy<Value = Vec<Verdict>> {
    let reasons =
        vec![Reason::OverLimit, Reason::WorseThanControl, Reason::Breaker, Reason::BudgetBurns];
    let one = move |name: &'static str| {
        (outcomes(), select(reasons.clone()), any::<bool>(), numbers(), numbers()).prop_map(
            move |(outcome, worse, quiet, candidate, control)| Verdict {
                signal: name.to_owned(),
                outcome,
                reason: match outcome {
                    Outcome::Fail => worse,
                    Outcome::Hold if quiet => Reason::TooFew,
                    Outcome::NoData if quiet => Reason::Stale,
                    _ => usual(outcome),
                },
                action: crate::policy::SignalAction::Notify,
                candidate,
                control,
                limit: candidate.value,
                interval: None,
                evidence: control.value,
                boundary: None,
                needed: candidate.bad,
                corrected: None,
                labels: None,
            },
        )
    };
    let all = (one("error"), one("latency_ms"), one("cost"), one("accepted"), any::<u8>());
    all.prop_map(|(a, b, c, d, drop)| {
        let mut verdicts = vec![a, b, c, d];
        // Now and then one is not judged at all.
        if drop < 16 {
            verdicts.remove(usize::from(drop % 4));
        }
        verdicts
    })
}

fn observations() -> impl Strategy<Value = Observation> {
    (verdicts(), 0_u64..60, any::<bool>(), any::<bool>()).prop_map(
        |(verdicts, n, git, gateways)| Observation {
            verdicts,
            step: StepCounts { candidate: n, control: n, shadow: n },
            exposed: n,
            git_settled: git,
            gateways_settled: gateways,
        },
    )
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let commands = vec![
        Command::Pause,
        Command::Resume,
        Command::Approve,
        Command::Promote,
        Command::Rollback,
    ];
    let event = prop_oneof![
        20 => observations().prop_map(Event::Look),
        3 => select(commands[..3].to_vec()).prop_map(Event::Tell),
        1 => select(commands).prop_map(Event::Tell),
        12 => (-5_000_i64..200_000).prop_map(Event::Wait),
        1 => any::<i64>().prop_map(Event::Wait),
    ];
    proptest::collection::vec(event, 1..80)
}

/// What a run leaves behind for the laws to be checked on.
struct Run {
    states: Vec<RolloutState>,
    actions: Vec<Action>,
}

fn run(
    policy: RolloutPolicy,
    events: &[Event],
    mut each: impl FnMut(&RolloutState, &Event, &RolloutState, &[Action]),
) -> Run {
    let mut run = Run { states: vec![begin(policy)], actions: vec![] };
    let mut now = START;
    for event in events {
        let before = run.states.last().unwrap().clone();
        let (after, actions) = match event {
            Event::Wait(ms) => {
                now = Timestamp(now.0.saturating_add(*ms));
                continue;
            }
            Event::Look(seen) => {
                let stepped = step(&before, seen, now);
                (stepped.state, stepped.actions)
            }
            Event::Tell(command) => apply(&before, command, &person("sam"), None, now)
                .unwrap_or_else(|_| (before.clone(), vec![])),
        };
        each(&before, event, &after, &actions);
        run.actions.extend(actions);
        run.states.push(after);
    }
    run
}

fn count(run: &Run, wanted: &Action) -> usize {
    run.actions.iter().filter(|a| *a == wanted).count()
}

fn is_silent(policy: &RolloutPolicy, seen: &Observation, exposure: Exposure) -> bool {
    policy.signals.iter().any(|s| {
        let measurable = exposure.weight.bp() > 0 || (exposure.shadow.bp() > 0 && s.is_built_in());
        let verdict = seen.verdicts.iter().find(|v| v.signal == s.name);
        let silent =
            verdict.is_none_or(|v| matches!(v.outcome, Outcome::NoData | Outcome::Inconclusive));
        measurable && silent
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn weight_never_falls_except_to_zero_or_by_the_plans_steps(policy in plans(), events in events()) {
        let run = run(policy, &events, |_, _, _, _| {});
        for pair in run.states.windows(2) {
            let (before, after) = (pair[0].exposure.weight, pair[1].exposure.weight);
            let planned = pair[1].going_back.contains(&after);
            prop_assert!(after >= before || after.bp() == 0 || planned, "{before} → {after}");
            if after < before {
                prop_assert!(matches!(pair[1].phase, Phase::RollingBack));
            }
        }
    }

    #[test]
    fn weight_never_rises_while_it_goes_back_and_ends_at_nobody(policy in plans(), events in events(), late in 0_i64..100) {
        let history = run(policy, &events, |_, _, _, _| {});
        let back = |s: &RolloutState| matches!(s.phase, Phase::RollingBack | Phase::RolledBack);
        for pair in history.states.windows(2).filter(|pair| back(&pair[0])) {
            prop_assert!(pair[1].exposure.weight <= pair[0].exposure.weight);
            prop_assert_eq!(pair[1].exposure.shadow, Share::NONE);
        }
        let mut state = history.states.last().unwrap().clone();
        if state.phase != Phase::RollingBack || state.decided_at.is_none_or(|at| at.0 > i64::MAX / 2) {
            return Ok(());
        }
        let settled = Observation { git_settled: true, gateways_settled: true, ..Observation::default() };
        let decided = state.decided_at.unwrap();
        for minute in 0..=late + 5 {
            let now = decided.plus(Span::from_secs(60 * minute));
            let next = step(&state, &settled, now).state;
            prop_assert!(next.exposure.weight <= state.exposure.weight);
            state = next;
        }
        prop_assert_eq!((state.phase, state.exposure), (Phase::RolledBack, Exposure::default()));
    }

    #[test]
    fn a_decision_is_made_once_and_a_final_phase_is_final(policy in plans(), events in events()) {
        let run = run(policy, &events, |before, _, after, actions| {
            if before.phase.is_final() {
                assert_eq!(before, after);
                assert!(actions.is_empty(), "{actions:?} after {:?}", before.phase);
            }
        });
        let (promoted, reverted) = (count(&run, &Action::CommitPromotion), count(&run, &Action::RevertChange));
        prop_assert!(promoted <= 1 && reverted <= 1, "{promoted} promotions, {reverted} reverts");
        let incidents = run.actions.iter().filter(|a| matches!(a, Action::OpenIncident { .. })).count();
        prop_assert_eq!(incidents, reverted);
        let last = run.states.last().unwrap();
        let ends_promoted = matches!(last.phase, Phase::Promoting | Phase::Promoted);
        prop_assert_eq!(promoted == 1 && reverted == 0, ends_promoted);
        prop_assert_eq!(reverted == 1, matches!(last.phase, Phase::RollingBack | Phase::RolledBack));
        prop_assert_eq!(last.decision.is_some(), promoted + reverted > 0);
    }

    #[test]
    fn exposure_changes_only_with_a_publication(policy in plans(), events in events()) {
        run(policy, &events, |before, _, after, actions| {
            if before.exposure != after.exposure {
                assert!(actions.contains(&Action::Publish));
            }
        });
    }

    #[test]
    fn nothing_advances_without_data(policy in plans(), events in events()) {
        run(policy.clone(), &events, |before, event, after, _| {
            let Event::Look(seen) = event else { return };
            if is_silent(&policy, seen, before.exposure) {
                assert!(after.exposure.weight <= before.exposure.weight, "{} grew", after.exposure.weight);
                assert_eq!(before.step, after.step);
                assert!(before.phase == after.phase || after.phase != Phase::Promoting);
            }
        });
    }

    #[test]
    fn the_plan_promotes_only_with_samples_and_without_bad_news(policy in plans(), events in events()) {
        run(policy, &events, |before, event, after, _| {
            let Event::Look(seen) = event else { return };
            if before.phase == Phase::Promoting || after.phase != Phase::Promoting {
                return;
            }
            for signal in &after.policy.signals {
                let verdict = seen.verdicts.iter().find(|v| v.signal == signal.name).unwrap();
                assert!(after.sampled.contains(&signal.name));
                match verdict.outcome {
                    Outcome::Pass => {}
                    Outcome::Hold => {
                        assert!(verdict.reason != Reason::TooFew || after.is_waived(&signal.name));
                    }
                    Outcome::Fail => assert!(after.is_waived(&signal.name)),
                    Outcome::NoData | Outcome::Inconclusive => panic!("{:?}", verdict.outcome),
                }
            }
        });
    }

    #[test]
    fn a_failing_rollback_signal_is_never_overlooked(policy in plans(), events in events()) {
        run(policy, &events, |before, event, after, _| {
            let Event::Look(seen) = event else { return };
            let worse = seen.verdicts.iter().any(|v| {
                v.signal == "error" && v.outcome == Outcome::Fail && v.reason.acts_at_once()
            });
            let looked = before.last_check != after.last_check;
            if worse && looked && before.phase.is_open() {
                assert_eq!(after.phase, Phase::RollingBack);
            }
        });
    }

    #[test]
    fn the_same_history_gives_the_same_rollout(policy in plans(), events in events()) {
        let first = run(policy.clone(), &events, |_, _, _, _| {});
        let second = run(policy, &events, |_, _, _, _| {});
        prop_assert_eq!(first.states, second.states);
        prop_assert_eq!(first.actions, second.actions);
    }

    #[test]
    fn a_rollback_command_always_ends_at_zero(policy in plans(), events in events()) {
        let history = run(policy, &events, |_, _, _, _| {});
        let state = history.states.last().unwrap().clone();
        let promoted = state.phase == Phase::Promoted;
        let told = apply(&state, &Command::Rollback, &person("sam"), Some(state.generation), START);
        prop_assert_eq!(told.is_err(), promoted);
        let Ok((state, _)) = told else { return Ok(()) };
        prop_assert_eq!(state.exposure, Exposure::default());
        let settled = Observation { git_settled: true, gateways_settled: true, ..Observation::default() };
        let end = step(&state, &settled, START).state;
        prop_assert_eq!(end.phase, Phase::RolledBack);
        prop_assert_eq!(end.exposure, Exposure::default());
    }

    #[test]
    fn between_checks_only_breakers_change_anything(policy in plans(), events in events(), seen in observations(), ms in 0_i64..60_000) {
        let history = run(policy, &events, |_, _, _, _| {});
        let state = history.states.last().unwrap();
        let Some(last) = state.last_check.filter(|l| l.0 < i64::MAX - 60_000) else { return Ok(()) };
        if state.phase.is_open() {
            let now = Timestamp(last.0 + ms);
            let stepped = step(state, &seen, now);
            let breaks = |signal: &&Signal| {
                let verdict = seen.verdicts.iter().find(|v| v.signal == signal.name);
                state.would_stop_for(&signal.name)
                    && verdict.is_some_and(|v| (v.outcome, v.reason) == (Outcome::Fail, Reason::Breaker))
            };
            if state.policy.signals.iter().any(|s| breaks(&s)) {
                prop_assert!(stepped.state.phase != Phase::Running && !stepped.actions.is_empty());
                prop_assert_eq!(&stepped.state.breaches, &state.breaches);
                // Once: the next turn has nothing to add but what git and gateways did.
                let unsettled =
                    Observation { git_settled: false, gateways_settled: false, ..seen.clone() };
                let again = step(&stepped.state, &unsettled, now);
                prop_assert_eq!((again.state, again.actions), (stepped.state, vec![]));
            } else {
                prop_assert_eq!(&stepped.state, state);
                prop_assert_eq!(stepped.actions, vec![]);
            }
        }
    }

    #[test]
    fn states_survive_their_stored_form_and_grow_in_generation(policy in plans(), events in events()) {
        run(policy, &events, |before, _, after, _| {
            let changed = RolloutState { last_check: after.last_check, generation: after.generation, ..before.clone() } != *after;
            let grown = after.generation > before.generation;
            assert!(grown || !changed, "a change without a new generation");
            assert_eq!(matches!(after.phase, Phase::Paused { .. }), after.pause.is_some());
            let stored = serde_json::to_string(after).unwrap();
            assert_eq!(&serde_json::from_str::<RolloutState>(&stored).unwrap(), after);
        });
    }
}

/// The generators reach every end, or the laws above would prove little.
#[test]
fn random_rollouts_reach_every_phase() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut reached = std::collections::BTreeMap::new();
    for _ in 0..150 {
        let events = events().new_tree(&mut runner).unwrap().current();
        let policy = plans().new_tree(&mut runner).unwrap().current();
        let run = run(policy, &events, |before, event, after, _| {
            if matches!(event, Event::Look(_)) && before.phase != after.phase {
                *reached.entry(format!("by look: {}", after.phase.word())).or_insert(0) += 1;
            }
        });
        for state in &run.states {
            let name = match state.phase {
                Phase::Paused { cause, .. } => format!("paused: {cause:?}"),
                _ => state.phase.word().to_owned(),
            };
            *reached.entry(name).or_insert(0) += 1;
            if state.phase == Phase::RollingBack && state.exposure.weight.bp() > 0 {
                *reached.entry("going back by steps".to_owned()).or_insert(0) += 1;
            }
        }
    }
    for wanted in [
        "running",
        "promoted",
        "rolled_back",
        "paused: ApprovalStep",
        "paused: Signal",
        "paused: RequireApproval",
        "paused: MissingData",
        "paused: NoEvidence",
        "paused: Person",
        "by look: promoting",
        "by look: rolling_back",
        "going back by steps",
    ] {
        assert!(reached.get(wanted).is_some_and(|n| *n >= 1), "{wanted}: {reached:?}");
    }
}
