//! Who is told of what.

use super::*;
use crate::approval::{Approval, Decision, Requirement};
use crate::audit::{Actor, Entry};
use crate::change::{Change, ChangeState};
use crate::ids::{ChangeId, Digest, Generation, IncidentId, ReleaseId};
use crate::incident::{Incident, IncidentKind};
use crate::params;
use crate::people::Person;

const NOW: Timestamp = Timestamp(1_000_000);

fn name(text: &str) -> PersonName {
    text.parse().unwrap()
}

fn names(list: &[&str]) -> BTreeSet<PersonName> {
    list.iter().map(|n| name(n)).collect()
}

fn person(who: &str, roles: &[Role]) -> Person {
    Person {
        name: name(who),
        display: who.to_uppercase(),
        email: format!("{who}@example.com"),
        roles: roles.iter().copied().collect(),
    }
}

fn people() -> Vec<Person> {
    vec![
        person("ana", &[Role::Editor]),
        person("priya", &[Role::Approver]),
        person("sam", &[Role::Approver, Role::Editor]),
        person("lea", &[Role::Finance]),
        person("omar", &[Role::Operator]),
        person("irina", &[Role::Auditor]),
        person("bot", &[Role::Agent, Role::Approver]),
    ]
}

fn content() -> Digest {
    Digest::of(b"content")
}

fn change(state: ChangeState) -> Change {
    Change {
        id: ChangeId(41),
        app: "mail".parse().unwrap(),
        title: "Shorter".to_owned(),
        why: "why".to_owned(),
        author: name("ana"),
        contributors: names(&["sam"]),
        branch: "b".to_owned(),
        head: "h".to_owned(),
        base: "b".to_owned(),
        release: None,
        production: None,
        content: content(),
        state,
        report: None,
        evals: None,
        eval_cases: None,
        requirements: vec![Requirement {
            role: Role::Approver,
            count: 1,
            reason: "always".to_owned(),
            policy: None,
        }],
        facts: None,
        approvals: Vec::new(),
        merge_commit: None,
        rollout: None,
        revert_commit: None,
        created_at: NOW,
        updated_at: NOW,
        generation: Generation(1),
    }
}

fn entry(action: &str, object: &str) -> Entry {
    Entry {
        api_version: "tidegate/v1".to_owned(),
        at: NOW,
        actor: Actor::System,
        action: action.to_owned(),
        object: object.to_owned(),
        app: Some("mail".parse().unwrap()),
        reason: None,
        source: None,
        details: serde_json::Value::Null,
    }
}

fn incident(kind: IncidentKind) -> Incident {
    Incident {
        id: IncidentId(3),
        app: "mail".parse().unwrap(),
        kind,
        opened_at: NOW,
        opened_by: None,
        what: Sentence::render("rolled_back", "Went back.", params! {"metric" => "error"}),
        rollout: None,
        suspect: None,
        restored: None,
        differences: Vec::new(),
        requests_exposed: 0,
        requests_harmed: 0,
        swing_back: None,
        reason: None,
        reason_due: None,
        revert_commit: None,
        closed_at: None,
    }
}

fn asked(notice: &Notice) -> BTreeSet<PersonName> {
    notice.asked.keys().cloned().collect()
}

#[test]
fn approval_is_asked_of_those_whose_word_counts_and_is_wanted() {
    let mut change = change(ChangeState::NeedsApproval);
    let checked = entry("change.checked", "change/ch-41");
    let told = |change: &Change| decide(&checked, About::Change(change), &people());
    let notice = told(&change).unwrap();
    // Not the authors, not an agent, not finance, which nobody asks here.
    assert_eq!(asked(&notice), names(&["priya"]));
    assert_eq!(notice.told, names(&["ana", "sam"]));
    assert_eq!(notice.subject(true), "Needs you: mail, change #41");
    assert_eq!(notice.place, "changes/41");
    change.requirements.push(Requirement {
        role: Role::Finance,
        count: 1,
        reason: "cost".to_owned(),
        policy: None,
    });
    assert_eq!(asked(&told(&change).unwrap()), names(&["priya", "lea"]));
    let yes = |by: &str, role| Approval {
        by: name(by),
        role,
        decision: Decision::Approve,
        comment: String::new(),
        at: NOW,
        content: content(),
        release: ReleaseId(content()),
    };
    change.approvals = vec![yes("priya", Role::Approver)];
    assert_eq!(asked(&told(&change).unwrap()), names(&["lea"]));
    // Decided meanwhile: nobody is asked for what is over.
    change.state = ChangeState::Merging;
    assert_eq!(told(&change), None);
}

#[test]
fn authors_mend_and_nobody_else_hears_of_it() {
    let change = change(ChangeState::NeedsFixes);
    for action in ["change.checked", "change.sent_back"] {
        let entry = entry(action, "change/ch-41");
        let notice = decide(&entry, About::Change(&change), &people()).unwrap();
        assert_eq!(notice.event, Event::ChecksFailed);
        assert_eq!(asked(&notice), names(&["ana", "sam"]));
        assert!(notice.told.is_empty());
    }
}

#[test]
fn harm_is_told_to_operators_and_those_behind_the_change() {
    let mut change = change(ChangeState::RollingOut);
    change.approvals = vec![Approval {
        by: name("priya"),
        role: Role::Approver,
        decision: Decision::Approve,
        comment: String::new(),
        at: NOW,
        content: content(),
        release: ReleaseId(content()),
    }];
    let opened = entry("incident.opened", "incident/inc-3");
    for (kind, event) in [
        (IncidentKind::RolledBack, Event::WentBack),
        (IncidentKind::BreakGlassRollback, Event::WentBack),
        (IncidentKind::Killed, Event::Killed),
        (IncidentKind::VariantDropped, Event::Incident),
    ] {
        let mut incident = incident(kind);
        let about = About::Incident(&incident, Some(&change));
        let notice = decide(&opened, about, &people()).unwrap();
        assert_eq!(notice.event, event);
        assert_eq!(notice.told, names(&["ana", "omar", "priya", "sam"]));
        assert!(notice.asked.is_empty());
        assert_eq!(notice.subject(false), format!("{}: mail (error)", event.title()));
        // Who acted without a reason is asked for it, and told once.
        incident.opened_by = Some(name("omar"));
        let notice = decide(&opened, About::Incident(&incident, None), &people()).unwrap();
        assert_eq!((asked(&notice), notice.told), (names(&["omar"]), names(&[])));
    }
}

#[test]
fn every_action_of_concern_is_decided_on_and_others_are_not() {
    for action in ["change.created", "session.opened", "rollout.advanced", "channel.created"] {
        assert!(!concerns(action), "{action}");
        let entry = entry(action, "change/ch-41");
        let change = change(ChangeState::NeedsApproval);
        assert_eq!(decide(&entry, About::Change(&change), &people()), None, "{action}");
    }
    let mut spent = entry("budget.soft", "budget/mail");
    spent.details = serde_json::json!({"text": "80% of this month is spent."});
    assert!(concerns(&spent.action));
    let notice = decide(&spent, About::Nothing, &people()).unwrap();
    assert_eq!((notice.event, notice.told), (Event::Budget, names(&["lea", "omar"])));
}

fn routes() -> Vec<Route> {
    let route = |channel: &str, personal| Route {
        channel: channel.to_owned(),
        personal,
        events: BTreeSet::new(),
        apps: BTreeSet::new(),
        since: Timestamp(0),
    };
    vec![route("room", false), route("mail", true)]
}

#[test]
fn rooms_hear_everything_they_chose_and_people_what_concerns_them() {
    let change = change(ChangeState::NeedsApproval);
    let checked = entry("change.checked", "change/ch-41");
    let notice = decide(&checked, About::Change(&change), &people()).unwrap();
    let none = BTreeMap::new();
    let to = |routes: &[Route], wishes: &BTreeMap<PersonName, Preferences>| -> Vec<String> {
        plan(&notice, routes, &people(), wishes)
            .into_iter()
            .map(|p| match p.to {
                Some(to) => format!("{to}{}", if p.ask.is_some() { " asked" } else { "" }),
                None => p.channel,
            })
            .collect()
    };
    assert_eq!(to(&routes(), &none), ["room", "ana", "priya asked", "sam"]);
    let mut narrow = routes();
    narrow[0].events = [Event::Killed].into();
    narrow[1].apps = ["other".parse().unwrap()].into();
    assert!(to(&narrow, &none).is_empty());
    let mut late = routes();
    late[1].since = Timestamp(NOW.0 + 1);
    assert_eq!(to(&late, &none), ["room"], "nobody is told the past");
    let off = Preferences { mode: Mode::Off, events: BTreeMap::new() };
    let wishes = BTreeMap::from([(name("ana"), off), (name("sam"), Preferences::default())]);
    assert_eq!(to(&routes(), &wishes), ["room", "priya asked", "sam"]);
    let mut nameless = people();
    nameless.iter_mut().for_each(|p| p.email = format!("{}@tidegate.invalid", p.name));
    assert_eq!(plan(&notice, &routes(), &nameless, &none).len(), 1, "only the room");
}

#[test]
fn operators_cannot_silence_harm() {
    let silent =
        Preferences { mode: Mode::Off, events: BTreeMap::from([(Event::Killed, Mode::Hourly)]) };
    let operator = [Role::Operator].into();
    let editor = [Role::Editor].into();
    for event in Event::ALL {
        let harm = matches!(event, Event::WentBack | Event::Killed | Event::Incident);
        let want = if harm { Mode::AtOnce } else { Mode::Off };
        assert_eq!(silent.mode(event, &operator), want, "{event}");
    }
    assert_eq!(silent.mode(Event::Killed, &editor), Mode::Hourly);
    assert_eq!(silent.mode(Event::WentBack, &editor), Mode::Off);
}

#[test]
fn repeats_join_what_waits_and_wait_after_what_was_sent() {
    let last = |untouched, ago| Some(Last { untouched, at: Timestamp(NOW.0 - ago) });
    assert_eq!(fold(None, NOW), Fold::Send);
    assert_eq!(fold(last(true, 5_000), NOW), Fold::Join);
    assert_eq!(fold(last(true, 50_000_000), NOW), Fold::Join);
    let until = Timestamp(NOW.0 - 5_000).plus(plan::FOLD_WITHIN);
    assert_eq!(fold(last(false, 5_000), NOW), Fold::Hold(until));
    assert_eq!(fold(last(false, plan::FOLD_WITHIN.millis()), NOW), Fold::Send);
    // A clock set back holds nothing up.
    assert_eq!(fold(last(false, -5_000), NOW), Fold::Send);
}

#[test]
fn tries_come_ever_later_and_end() {
    let waits: Vec<i64> =
        (1..TRIES).map(|failed| retry_after(failed, 0.0).unwrap().millis() / 1000).collect();
    let hours = [2, 5, 10, 14, 20, 24].map(|h| h * 3600);
    assert_eq!(waits, [&[5, 300, 1800], hours.as_slice()].concat());
    assert_eq!(retry_after(TRIES, 0.0), None);
    assert_eq!(retry_after(u32::MAX, 0.5), None);
    for failed in 1..TRIES {
        let (least, most) = (retry_after(failed, 0.0).unwrap(), retry_after(failed, 1.0).unwrap());
        assert!(most > least && most.secs() <= least.secs() * 1.21, "{failed}");
        assert!(retry_after(failed, f64::NAN).unwrap() >= least);
    }
}

#[test]
fn every_event_reads_back() {
    for event in Event::ALL {
        assert_eq!(event.key().parse(), Ok(event));
        assert_eq!(serde_json::to_value(event).unwrap(), event.key());
    }
    assert!("nothing".parse::<Event>().is_err());
}
