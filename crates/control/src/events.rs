//! What moved, for pages that are open: names of topics, never their content.
//!
//! Every commit of the store becomes a few events in one ring. Whoever listens
//! keeps a place in it and reads on from there; nothing is kept per listener,
//! so a slow one costs nothing. One that falls behind the ring's end is told to
//! look at everything again.
//!
//! What must stay true: an event is in the ring before anybody is woken; the
//! numbers grow by one, and a number from before a restart is known as such.

use crate::caller::Caller;
use crate::problem::{Problem, ProblemKind};
use domain::ids::{AppName, ChangeId, ExperimentId, IncidentId, RolloutId};
use domain::people::Permission;
use domain::units::{Clock, Timestamp};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use store::{Kind, Touched, TouchedObject};
use tokio::sync::watch;

/// Events kept for those who come back. At forty a second, which ten rollouts
/// that look every second make, it is over ten minutes.
pub const KEPT: usize = 32_768;

/// Most topics of one listener.
pub const MAX_TOPICS: usize = 64;

/// Something moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    /// What, for example `rollout:ro-7`.
    pub topic: String,
    /// Its new generation, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// When.
    pub at: Timestamp,
}

struct Ring {
    /// The number of the first event kept.
    first: u64,
    events: VecDeque<Event>,
}

/// All events, and the number of the newest.
pub struct Events {
    ring: Mutex<Ring>,
    newest: watch::Sender<u64>,
    clock: Clock,
    kept: usize,
}

/// What a listener missed.
#[derive(Debug, PartialEq, Eq)]
pub enum Missed {
    /// These, each topic once with its newest version; read on from the number.
    Events(Vec<Event>, u64),
    /// More than is kept: look at everything, then read on from the number.
    TooMuch(u64),
}

impl Events {
    /// None yet. Numbers begin at the time, so that those of an earlier start
    /// of the server are smaller than all of this one.
    pub(crate) fn new(clock: Clock) -> Self {
        Self::keeping(clock, KEPT)
    }

    fn keeping(clock: Clock, kept: usize) -> Self {
        let first = u64::try_from(clock.now().0).unwrap_or(0).saturating_mul(1_000);
        Self {
            ring: Mutex::new(Ring { first, events: VecDeque::new() }),
            newest: watch::Sender::new(first),
            clock,
            kept,
        }
    }

    /// Wakes whenever there are more; holds the number the next event will have.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// The number the next event will have: a place to read on from.
    pub fn place(&self) -> u64 {
        *self.newest.borrow()
    }

    /// What is of these topics from this place on.
    pub fn since(&self, place: u64, topics: &BTreeSet<String>) -> Missed {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let next = ring.first + ring.events.len() as u64;
        let behind = place.checked_sub(ring.first).and_then(|n| usize::try_from(n).ok());
        let Some(seen) = behind.filter(|seen| *seen <= ring.events.len()) else {
            return Missed::TooMuch(next);
        };
        let mut found: BTreeMap<&str, Event> = BTreeMap::new();
        for event in ring.events.range(seen..).filter(|event| topics.contains(&event.topic)) {
            // One that names no version does not take back what another named.
            let version = found.get(event.topic.as_str()).and_then(|known| known.version);
            let version = event.version.or(version);
            found.insert(&event.topic, Event { version, ..event.clone() });
        }
        Missed::Events(found.into_values().collect(), next)
    }

    /// Something without a version moved.
    pub(crate) fn say(&self, topic: &str) {
        let at = self.clock.now();
        self.add(vec![Event { topic: topic.to_owned(), version: None, at }]);
    }

    /// A commit moved things.
    pub(crate) fn note(&self, touched: &Touched) {
        let at = self.clock.now();
        let mut topics: BTreeMap<String, Option<u64>> = BTreeMap::new();
        for object in &touched.objects {
            for (topic, versioned) in topics_of(object, touched.log_size.is_some()) {
                let version = object.generation.filter(|_| versioned).map(|g| g.0);
                let known = topics.entry(topic).or_default();
                *known = version.or(*known);
            }
        }
        if touched.log_size.is_some() {
            topics.insert("audit".to_owned(), touched.log_size);
        }
        let event = |(topic, version)| Event { topic, version, at };
        self.add(topics.into_iter().map(event).collect());
    }

    fn add(&self, events: Vec<Event>) {
        if events.is_empty() {
            return;
        }
        let next = {
            let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
            ring.events.extend(events);
            while ring.events.len() > self.kept {
                ring.events.pop_front();
                ring.first += 1;
            }
            ring.first + ring.events.len() as u64
        };
        // Two that come at once may tell in another order: never backwards.
        self.newest.send_if_modified(|newest| {
            let newer = next > *newest;
            *newest = next.max(*newest);
            newer
        });
    }
}

/// The topics an object's write is of, and whether its generation is theirs.
/// `said`: the commit has an audit entry, so somebody did or decided something.
fn topics_of(object: &TouchedObject, said: bool) -> Vec<(String, bool)> {
    let id = object.id.as_str();
    let app = object.app.as_ref().map(|app| (format!("app:{app}"), false));
    let list = |name: &str| (name.to_owned(), false);
    let mut topics = match object.kind {
        Kind::Change => vec![(format!("change:{id}"), true), list("changes"), list("inbox")],
        Kind::Preview => vec![(format!("change:{id}"), false)],
        Kind::Mark => {
            object.parent.iter().map(|change| (format!("change:{change}"), false)).collect()
        }
        Kind::Rollout => {
            let mut topics = vec![(format!("rollout:{id}"), true), list("rollouts")];
            if said {
                topics.extend([list("apps"), list("inbox")]);
            }
            topics
        }
        Kind::Tick => {
            object.parent.iter().map(|rollout| (format!("rollout:{rollout}"), false)).collect()
        }
        Kind::Experiment => vec![(format!("experiment:{id}"), true), list("experiments")],
        Kind::App => vec![(format!("app:{id}"), true), list("apps")],
        Kind::Incident => {
            vec![(format!("incident:{id}"), true), list("incidents"), list("inbox")]
        }
        Kind::Release | Kind::Denied => vec![list("releases")],
        Kind::Person => vec![list("people"), (format!("person:{id}"), false)],
        Kind::Token => vec![list("tokens"), (format!("token:{id}"), false)],
        Kind::Session => vec![(format!("session:{id}"), false)],
        Kind::Draft => vec![(format!("draft:{id}"), true)],
        Kind::Gateway => vec![list("gateways")],
        Kind::Channel | Kind::Delivery => vec![list("notifications")],
        Kind::Preferences
        | Kind::Alias
        | Kind::Meta
        | Kind::Push
        | Kind::Password
        | Kind::SignInCode
        | Kind::SignOn
        | Kind::Once
        | Kind::Tries => Vec::new(),
    };
    let quiet = matches!(object.kind, Kind::Rollout | Kind::Draft | Kind::App) && !said;
    topics.extend(app.filter(|_| !quiet));
    topics
}

/// A listener's topics: what was asked for, by the name it has in the ring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topics {
    names: BTreeMap<String, String>,
    own: BTreeSet<String>,
    all: BTreeSet<String>,
}

impl Topics {
    /// The names to look for.
    pub fn all(&self) -> &BTreeSet<String> {
        &self.all
    }

    /// The event under the name the listener asked by; none if it only says that
    /// the listener's own right to listen may have changed.
    pub fn told(&self, event: Event) -> Option<Event> {
        let topic = self.names.get(&event.topic)?.clone();
        Some(Event { topic, ..event })
    }

    /// True if the event may have taken the right to listen away.
    pub fn concerns_listener(&self, event: &Event) -> bool {
        self.own.contains(&event.topic)
    }
}

/// Reads topics and checks that this person may listen to them. `own` are
/// topics of the listener's own sign-in.
///
/// # Errors
/// `no_such_topic`, `too_many_topics`, `not_allowed`.
pub fn topics(caller: &Caller, asked: &str, own: BTreeSet<String>) -> Result<Topics, Problem> {
    caller.must(Permission::Read)?;
    let mut names = BTreeMap::new();
    for word in asked.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        names.insert(in_ring(caller, word)?, word.to_owned());
    }
    if names.len() > MAX_TOPICS {
        return Err(Problem::new(
            ProblemKind::Invalid,
            "too_many_topics",
            format!("{} topics are too many", names.len()),
            format!("listen to at most {MAX_TOPICS}, or to a list such as `changes`"),
        )
        .at("topics"));
    }
    if names.is_empty() {
        return Err(no_such_topic(asked));
    }
    let all = names.keys().chain(&own).cloned().collect();
    Ok(Topics { names, own, all })
}

fn in_ring(caller: &Caller, word: &str) -> Result<String, Problem> {
    const LISTS: [&str; 12] = [
        "apps",
        "changes",
        "rollouts",
        "experiments",
        "incidents",
        "releases",
        "gateways",
        "audit",
        "inbox",
        "people",
        "tokens",
        "notifications",
    ];
    if LISTS.contains(&word) {
        return Ok(word.to_owned());
    }
    let read = |kind: &str, id: &str| -> Option<String> {
        match kind {
            "app" => id.parse::<AppName>().ok().map(|id| format!("app:{id}")),
            "change" => id.parse::<ChangeId>().ok().map(|id| format!("change:{id}")),
            "rollout" => id.parse::<RolloutId>().ok().map(|id| format!("rollout:{id}")),
            "experiment" => id.parse::<ExperimentId>().ok().map(|id| format!("experiment:{id}")),
            "incident" => id.parse::<IncidentId>().ok().map(|id| format!("incident:{id}")),
            // Drafts are their author's: nobody can name another's.
            "draft" => id.parse::<AppName>().ok().map(|id| format!("draft:{}/{id}", caller.name())),
            _ => None,
        }
    };
    word.split_once(':').and_then(|(kind, id)| read(kind, id)).ok_or_else(|| no_such_topic(word))
}

fn no_such_topic(word: &str) -> Problem {
    Problem::new(
        ProblemKind::Invalid,
        "no_such_topic",
        format!("`{word}` is nothing to listen to"),
        "for example `topics=apps,incidents,change:41,rollout:ro-7,app:NAME`",
    )
    .at("topics")
}

impl crate::Control {
    /// What moved.
    pub fn events(&self) -> &Events {
        &self.events
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::ids::Generation;
    use domain::people::{Person, Role};

    fn ring(kept: usize) -> Events {
        Events::keeping(Clock::new(|| Timestamp(5)), kept)
    }

    fn want(topics: &[&str]) -> BTreeSet<String> {
        topics.iter().map(|t| (*t).to_owned()).collect()
    }

    fn names(missed: Missed) -> (Vec<String>, u64) {
        match missed {
            Missed::Events(events, next) => (events.into_iter().map(|e| e.topic).collect(), next),
            Missed::TooMuch(next) => (vec!["!".to_owned()], next),
        }
    }

    #[test]
    fn a_listener_reads_on_from_its_place_and_each_topic_once() {
        let events = ring(10);
        let begin = events.place();
        for topic in ["a", "b", "a", "c"] {
            events.say(topic);
        }
        let (found, next) = names(events.since(begin, &want(&["a", "b"])));
        assert_eq!(found, ["a", "b"]);
        assert_eq!(next, begin + 4);
        assert_eq!(names(events.since(next, &want(&["a"]))), (vec![], next));
        events.say("a");
        assert_eq!(names(events.since(next, &want(&["a"]))).0, ["a"]);
    }

    #[test]
    fn who_falls_behind_or_comes_from_before_a_restart_looks_at_everything() {
        let events = ring(3);
        let begin = events.place();
        for _ in 0..4 {
            events.say("a");
        }
        assert_eq!(names(events.since(begin, &want(&["a"]))).0, ["!"]);
        assert_eq!(names(events.since(begin + 1, &want(&["a"]))).0, ["a"], "just kept");
        for from_elsewhere in [0, begin - 1, begin + 5, u64::MAX] {
            assert_eq!(names(events.since(from_elsewhere, &want(&["a"]))).0, ["!"]);
        }
        let ring = events.ring.lock().unwrap();
        assert_eq!(ring.events.len(), 3, "bounded");
    }

    #[test]
    fn a_look_moves_its_rollout_and_a_decision_the_lists_too() {
        let events = ring(100);
        let begin = events.place();
        let object = TouchedObject {
            kind: Kind::Rollout,
            id: "ro-7".to_owned(),
            generation: Some(Generation(9)),
            app: Some("mail".parse().unwrap()),
            parent: None,
        };
        let mut touched = Touched { objects: vec![object], log_size: None };
        let all = want(&["rollout:ro-7", "rollouts", "apps", "inbox", "audit", "app:mail"]);
        events.note(&touched);
        let (found, next) = names(events.since(begin, &all));
        assert_eq!(found, ["rollout:ro-7", "rollouts"]);
        touched.log_size = Some(12);
        events.note(&touched);
        assert_eq!(names(events.since(next, &all)).0.len(), all.len());
    }

    #[test]
    fn topics_are_read_and_drafts_are_ones_own() {
        let caller = Caller {
            person: Person {
                name: "ana".parse().unwrap(),
                display: String::new(),
                email: String::new(),
                roles: [Role::Editor].into(),
            },
            source: None,
            session: None,
            token: None,
        };
        let read = topics(&caller, "change:41, rollout:ro-7,apps,draft:mail", want(&["token:x"]));
        let read = read.unwrap();
        assert!(read.all().contains("draft:ana/mail") && read.all().contains("change:ch-41"));
        let event =
            |topic: &str| Event { topic: topic.to_owned(), version: None, at: Timestamp(0) };
        assert_eq!(read.told(event("change:ch-41")).unwrap().topic, "change:41", "as asked");
        assert!(read.concerns_listener(&event("token:x")));
        assert_eq!(read.told(event("token:x")), None, "its own sign-in is nobody's news");
        for bad in ["", "nothing", "change:", "change:x", "draft:ana/mail", "session:x", "token:x"]
        {
            assert_eq!(topics(&caller, bad, BTreeSet::new()).unwrap_err().code, "no_such_topic");
        }
        let many = (0..80).map(|i| format!("change:{i}")).collect::<Vec<_>>().join(",");
        let problem = topics(&caller, &many, BTreeSet::new()).unwrap_err();
        assert_eq!(problem.code, "too_many_topics");
        let nobody =
            Caller { person: Person { roles: BTreeSet::new(), ..caller.person }, ..caller };
        assert_eq!(topics(&nobody, "apps", BTreeSet::new()).unwrap_err().code, "not_allowed");
    }
}
