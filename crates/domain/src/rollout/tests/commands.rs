//! What people may tell a rollout, in which phase, with what result.

use super::*;
use crate::ids::Generation;

fn running() -> Story {
    let mut story = Story::of(
        json!([{"weight": {"share": "5%", "hold": "1h"}}, {"approval": {"role": "approver"}}, {"promote": {}}]),
        json!([error(), accepted()]),
    );
    story.look();
    story
}

fn in_phase(name: &str) -> Story {
    let mut story = running();
    match name {
        "running" => {}
        "paused:person" => {
            story.tell(Command::Pause).unwrap();
        }
        "paused:signal" => {
            story.see("accepted", Outcome::Fail).wait("1m");
        }
        "paused:approval" => {
            story.wait("1h");
            assert_eq!(story.cause(), Some(PauseCause::ApprovalStep));
        }
        "approved" => {
            story.wait("1h").tell(Command::Approve).unwrap();
        }
        "promoting" | "promoted" => {
            story.tell(Command::Promote).unwrap();
            story.seen.git_settled = name == "promoted";
            story.look();
        }
        "rolling_back" | "rolled_back" => {
            story.tell(Command::Rollback).unwrap();
            (story.seen.git_settled, story.seen.gateways_settled) = (name == "rolled_back", true);
            story.look();
        }
        other => panic!("no phase {other}"),
    }
    story
}

/// Per phase: pause, resume, approve, promote, rollback. `=` changes nothing,
/// `-` is refused, a word is the phase it leads to.
#[test]
fn every_command_in_every_phase() {
    const COMMANDS: [Command; 5] =
        [Command::Pause, Command::Resume, Command::Approve, Command::Promote, Command::Rollback];
    let table = [
        ("running", ["paused", "=", "-", "promoting", "rolling_back"]),
        ("paused:person", ["=", "running", "-", "promoting", "rolling_back"]),
        ("paused:signal", ["=", "running", "-", "promoting", "rolling_back"]),
        ("paused:approval", ["=", "-", "running", "promoting", "rolling_back"]),
        ("approved", ["paused", "=", "=", "promoting", "rolling_back"]),
        ("promoting", ["-", "-", "-", "=", "rolling_back"]),
        ("promoted", ["-", "-", "-", "=", "-"]),
        ("rolling_back", ["-", "-", "-", "-", "="]),
        ("rolled_back", ["-", "-", "-", "-", "="]),
    ];
    for (phase, row) in table {
        for (command, want) in COMMANDS.iter().zip(row) {
            let story = in_phase(phase);
            let got = match apply(&story.state, command, &person("sam"), None, story.now) {
                Err(_) => "-",
                Ok((state, actions)) if state == story.state => {
                    assert_eq!(actions, vec![]);
                    "="
                }
                Ok((state, _)) => {
                    assert_eq!(state.generation, story.state.generation.next());
                    state.phase.word()
                }
            };
            assert_eq!(got, want, "{command:?} while {phase}");
        }
    }
}

#[test]
fn who_looked_too_long_ago_is_told_unless_it_is_so_already() {
    let mut story = running();
    let seen = story.state.generation;
    story.tell(Command::Pause).unwrap();
    let stale = apply(&story.state, &Command::Resume, &person("ana"), Some(seen), story.now);
    assert_eq!(stale, Err(CommandError::Stale { given: seen, now: story.state.generation }));
    let repeated = apply(&story.state, &Command::Pause, &person("sam"), Some(seen), story.now);
    assert_eq!(repeated, Ok((story.state.clone(), vec![])));
    let unseen =
        apply(&story.state, &Command::Rollback, &person("sam"), Some(Generation(999)), story.now);
    assert!(unseen.is_err());
    assert!(
        apply(
            &story.state,
            &Command::Rollback,
            &person("sam"),
            Some(story.state.generation),
            story.now
        )
        .is_ok()
    );
}

#[test]
fn a_person_behind_a_decision_is_named() {
    for (command, word) in [
        (Command::Promote, "Promoted at 14:00:00: sam decided so at 5%"),
        (Command::Rollback, "Went back at 14:00:00: sam took"),
    ] {
        let story = {
            let mut story = running();
            story.tell(command).unwrap();
            story
        };
        assert_eq!(story.state.decided_by, Some(person("sam")));
        let decision = story.state.decision.unwrap().text;
        assert!(decision.starts_with(word), "{decision}");
    }
}

#[test]
fn a_waived_signal_does_not_pause_again() {
    let mut story = in_phase("paused:signal");
    story.tell(Command::Resume).unwrap();
    assert_eq!(story.state.waived, ["accepted"]);
    story.wait("30m");
    assert_eq!(story.state.phase, Phase::Running);
    assert!(story.summary.starts_with("Going well"), "{}", story.summary);
    story.wait("1h");
    assert_eq!(story.cause(), Some(PauseCause::ApprovalStep));
    story.tell(Command::Approve).unwrap().look();
    assert_eq!(story.state.phase, Phase::Promoting, "a person accepted it");
}

#[test]
fn an_approval_does_not_outweigh_missing_data() {
    let mut story = in_phase("paused:approval");
    story.see("error", Outcome::NoData).tell(Command::Approve).unwrap().wait("5m");
    assert_eq!(story.state.phase, Phase::Running);
    story.see("error", Outcome::Hold).wait("1m");
    assert_eq!(story.state.phase, Phase::Promoting, "the yes is remembered");
}

#[test]
fn what_is_refused_says_what_to_do() {
    for (phase, command) in [
        ("running", Command::Approve),
        ("paused:approval", Command::Resume),
        ("promoting", Command::Pause),
        ("promoted", Command::Rollback),
        ("rolled_back", Command::Promote),
    ] {
        let error = in_phase(phase).tell(command.clone()).err().unwrap().to_string();
        assert!(
            error.contains("wait") || error.contains("roll") || error.contains("propose"),
            "{error}"
        );
    }
}
