//! From an audit entry to a notice. The log is the one account of everything
//! that happened, so nothing that is written there can be forgotten here.

use super::{Event, Notice};
use crate::audit::Entry;
use crate::change::{Change, ChangeState};
use crate::ids::PersonName;
use crate::incident::{Incident, IncidentKind};
use crate::params;
use crate::people::{Permission, Person, Role, may};
use crate::rollout::{PauseCause, Phase, RolloutState};
use crate::sentence::Sentence;
use std::collections::{BTreeMap, BTreeSet};

/// What an entry is about, as it stands now.
#[derive(Debug, Clone, Copy)]
pub enum About<'a> {
    /// A change.
    Change(&'a Change),
    /// A rollout, and the change it carries out.
    Rollout(&'a RolloutState, &'a Change),
    /// An incident, and the change that was on its way, if one was.
    Incident(&'a Incident, Option<&'a Change>),
    /// Nothing that has a record.
    Nothing,
}

/// True if an entry with this action may be one to tell people of: only then
/// need anybody look up what it is about.
pub fn concerns(action: &str) -> bool {
    matches!(
        action,
        "change.checked"
            | "change.sent_back"
            | "change.asked_to_change"
            | "change.merged"
            | "rollout.paused"
            | "rollout.promoted"
            | "incident.opened"
            | "incident.reason_overdue"
            | "git.needs_person"
            | "forge.merged_there"
    ) || action.starts_with("budget.")
}

/// Whom this entry concerns. What is no longer so when people come to be told
/// is not told: nobody is asked for what is decided already.
pub fn decide(entry: &Entry, about: About<'_>, people: &[Person]) -> Option<Notice> {
    match (entry.action.as_str(), about) {
        ("change.checked", About::Change(change)) => match change.state {
            ChangeState::NeedsApproval => Some(needs_approval(entry, change, people)),
            ChangeState::NeedsFixes => checks_failed(entry, change),
            _ => None,
        },
        ("change.asked_to_change", About::Change(change)) => asked_to_change(entry, change),
        ("change.sent_back", About::Change(change)) => checks_failed(entry, change),
        ("change.merged", About::Change(change)) if change.state == ChangeState::Live => {
            let what = Sentence::render(
                "change_live",
                "{title} is live: it changes nothing that a small test could judge.",
                params! {"title" => change.title},
            );
            let place = format!("changes/{}", change.id.0);
            Some(live(entry, change, what, place, people))
        }
        ("rollout.paused", About::Rollout(state, change)) => paused(entry, state, change, people),
        ("rollout.promoted", About::Rollout(state, change)) => {
            let what = state.decision.clone()?;
            Some(live(entry, change, what, format!("rollouts/{}", state.id), people))
        }
        ("incident.opened", About::Incident(incident, change)) => {
            Some(opened(entry, incident, change, people))
        }
        ("incident.reason_overdue", About::Incident(incident, _)) => overdue(entry, incident),
        ("forge.merged_there", About::Change(change)) => Some(merged_there(entry, change, people)),
        ("git.needs_person", about) => needs_person(entry, about, people),
        (action, _) if action.starts_with("budget.") => budget(entry, people),
        _ => None,
    }
}

fn bare(entry: &Entry, event: Event, change: &Change, what: Sentence) -> Notice {
    Notice {
        event,
        app: change.app.clone(),
        cause: format!("{event}/{}", change.id),
        about: format!("{}, change #{}", change.app, change.id.0),
        what,
        place: format!("changes/{}", change.id.0),
        asked: BTreeMap::new(),
        told: BTreeSet::new(),
        at: entry.at,
    }
}

fn needs_approval(entry: &Entry, change: &Change, people: &[Person]) -> Notice {
    let params = params! {"author" => change.author, "title" => change.title};
    let what = Sentence::render(
        "sent_for_approval",
        "{author} sent a change for approval: {title}",
        params,
    );
    let wanted = people.iter().filter(|person| change.wants_word_of(person));
    let asked = wanted.map(|p| (p.name.clone(), ask("approve", "Say yes or no to it."))).collect();
    let told = change.authors();
    Notice { asked, told, ..bare(entry, Event::NeedsApproval, change, what) }
}

fn checks_failed(entry: &Entry, change: &Change) -> Option<Notice> {
    if change.state != ChangeState::NeedsFixes {
        return None;
    }
    let errors = change.report.iter().flat_map(|report| &report.gates);
    let first = errors
        .flat_map(|gate| &gate.findings)
        .find(|finding| finding.severity == crate::finding::Severity::Error)
        .map_or_else(|| "a check did not pass".to_owned(), |finding| finding.message.clone());
    let what = Sentence::render(
        "checks_failed",
        "{title} has something to mend before anybody is asked: {first}",
        params! {"title" => change.title, "first" => first},
    );
    let mend = ask("mend", "Mend it and send it again.");
    let asked = change.authors().into_iter().map(|name| (name, mend.clone())).collect();
    Some(Notice { asked, ..bare(entry, Event::ChecksFailed, change, what) })
}

fn asked_to_change(entry: &Entry, change: &Change) -> Option<Notice> {
    let word = change.asked().filter(|_| change.state == ChangeState::NeedsFixes)?;
    let what = Sentence::render(
        "asked_to_change",
        "{by} asks for changes to {title}: {comment}",
        params! {"by" => word.by, "title" => change.title, "comment" => word.comment},
    );
    let mend = ask("mend", "Mend it and send it again.");
    let asked = change.authors().into_iter().map(|name| (name, mend.clone())).collect();
    Some(Notice { asked, ..bare(entry, Event::ChecksFailed, change, what) })
}

fn paused(
    entry: &Entry,
    state: &RolloutState,
    change: &Change,
    people: &[Person],
) -> Option<Notice> {
    let Phase::Paused { role, cause } = &state.phase else { return None };
    let pause = state.pause.as_ref()?;
    let authors = change.authors();
    let permission =
        if *role == Role::Operator { Permission::Operate } else { Permission::Approve };
    let decides = |person: &&Person| {
        person.roles.contains(role)
            && may(&person.roles, permission)
            && !authors.contains(&person.name)
    };
    let word = match cause {
        PauseCause::ApprovalStep => "Decide whether it goes on.",
        _ => "Decide whether it goes on or goes back.",
    };
    let asked: BTreeMap<_, _> = people
        .iter()
        .filter(decides)
        .map(|person| (person.name.clone(), ask("decide", word)))
        .collect();
    let told = also(authors, operators(people), &asked);
    Some(Notice {
        cause: format!("paused/{}/{}", state.id, pause.since.0),
        place: format!("rollouts/{}", state.id),
        asked,
        told,
        ..bare(entry, Event::Paused, change, pause.why.clone())
    })
}

fn live(
    entry: &Entry,
    change: &Change,
    what: Sentence,
    place: String,
    people: &[Person],
) -> Notice {
    let mut told = change.authors();
    told.extend(said_yes(change));
    told.extend(operators(people));
    Notice { place, told, ..bare(entry, Event::Promoted, change, what) }
}

fn opened(
    entry: &Entry,
    incident: &Incident,
    change: Option<&Change>,
    people: &[Person],
) -> Notice {
    let event = match incident.kind {
        IncidentKind::RolledBack | IncidentKind::BreakGlassRollback => Event::WentBack,
        IncidentKind::Killed => Event::Killed,
        IncidentKind::VariantDropped => Event::Incident,
    };
    let mut concerned = change.map(Change::authors).unwrap_or_default();
    concerned.extend(change.map(said_yes).unwrap_or_default());
    let asked: BTreeMap<_, _> = incident
        .opened_by
        .iter()
        .filter(|_| incident.reason.is_none())
        .map(|name| (name.clone(), ask("give_reason", "Say why you did this.")))
        .collect();
    let told = also(concerned, operators(people), &asked);
    let metric = incident.what.params.get("metric").and_then(|metric| metric.as_str());
    let about = match metric {
        Some(metric) => format!("{} ({metric})", incident.app),
        None => incident.app.to_string(),
    };
    Notice { asked, told, about, ..of_incident(entry, event, incident) }
}

fn of_incident(entry: &Entry, event: Event, incident: &Incident) -> Notice {
    Notice {
        event,
        app: incident.app.clone(),
        cause: format!("{event}/{}", incident.id),
        about: incident.app.to_string(),
        what: incident.what.clone(),
        place: format!("incidents/{}", incident.id),
        asked: BTreeMap::new(),
        told: BTreeSet::new(),
        at: entry.at,
    }
}

fn overdue(entry: &Entry, incident: &Incident) -> Option<Notice> {
    if incident.reason.is_some() {
        return None;
    }
    let who = incident.opened_by.clone()?;
    let what = Sentence::render(
        "reason_overdue",
        "Nobody said yet why this was done: {what}",
        params! {"what" => incident.what.text},
    );
    let asked = [(who, ask("give_reason", "Say why you did this."))].into();
    let cause = format!("reason/{}", incident.id);
    Some(Notice { what, asked, cause, ..of_incident(entry, Event::Incident, incident) })
}

fn needs_person(entry: &Entry, about: About<'_>, people: &[Person]) -> Option<Notice> {
    let About::Change(change) = about else { return None };
    let what = Sentence::render(
        "git_needs_person",
        "Git cannot take {title} back by itself, because later changes touch the same lines. \
         Users are not affected; the files on `main` are.",
        params! {"title" => change.title},
    );
    let mend = ask("mend_files", "Mend the files, or see that somebody does.");
    let asked = operators(people).into_iter().map(|name| (name, mend.clone())).collect();
    Some(Notice {
        asked,
        told: change.authors(),
        cause: format!("git/{}", change.id),
        ..bare(entry, Event::Incident, change, what)
    })
}

fn merged_there(entry: &Entry, change: &Change, people: &[Person]) -> Notice {
    let what = Sentence::render(
        "merged_there",
        "{title} was merged on the forge before it was approved here. Nothing moved: \
         approvals are given here, and the forge's branch now differs.",
        params! {"title" => change.title},
    );
    let mut told = change.authors();
    told.extend(operators(people));
    Notice {
        told,
        cause: format!("forge/{}", change.id),
        ..bare(entry, Event::Incident, change, what)
    }
}

/// Budgets have no record of their own here: the entry says it all.
fn budget(entry: &Entry, people: &[Person]) -> Option<Notice> {
    let app = entry.app.clone()?;
    let said = entry.details.get("text").and_then(|text| text.as_str());
    let text = said.or(entry.reason.as_deref())?;
    let what = Sentence { code: "budget".to_owned(), params: params! {}, text: text.to_owned() };
    let pays = |p: &&Person| p.roles.contains(&Role::Finance);
    let mut told = operators(people);
    told.extend(people.iter().filter(pays).map(|person| person.name.clone()));
    Some(Notice {
        event: Event::Budget,
        cause: format!("{}/{}", entry.action, entry.object),
        about: app.to_string(),
        what,
        place: "costs".to_owned(),
        asked: BTreeMap::new(),
        told,
        at: entry.at,
        app,
    })
}

fn ask(code: &str, text: &str) -> Sentence {
    Sentence::render(code, text, params! {})
}

/// Those who may stop harm.
fn operators(people: &[Person]) -> BTreeSet<PersonName> {
    let stops = |p: &&Person| p.roles.contains(&Role::Operator);
    people.iter().filter(stops).map(|person| person.name.clone()).collect()
}

fn said_yes(change: &Change) -> BTreeSet<PersonName> {
    change.approvals.iter().map(|approval| approval.by.clone()).collect()
}

fn also(
    mut some: BTreeSet<PersonName>,
    more: BTreeSet<PersonName>,
    asked: &BTreeMap<PersonName, Sentence>,
) -> BTreeSet<PersonName> {
    some.extend(more);
    some.retain(|name| !asked.contains_key(name));
    some
}
