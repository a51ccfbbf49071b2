//! From the audit log to messages.

use super::{ChannelKind, ChannelRecord, DeliveryRecord, Item, Place, Standing};
use crate::Control;
use crate::problem::Problem;
use crate::records::RolloutRecord;
use domain::audit::Entry;
use domain::change::Change;
use domain::ids::{ChangeId, IncidentId, PersonName, RolloutId};
use domain::incident::Incident;
use domain::notice::{
    About, Fold, Last, Notice, Planned, Preferences, Route, concerns, decide, fold, plan,
};
use domain::people::Person;
use domain::units::{Span, Timestamp};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;
use store::{AuditQuery, Cursor, Index, Kind, Query, Tx, Versioned};

/// Under which id the place in the log is kept.
pub(super) const PLACE: &str = "notices";
/// Entries read at a time.
const AT_ONCE: u32 = 100;
/// Entries of no concern after which the place is written all the same.
const WRITE_PLACE_AFTER: u64 = 200;
/// Most things in one digest; further ones are counted.
const MAX_ITEMS: usize = 50;
/// How far apart digests are.
const HOUR: Span = Span::from_secs(3600);

/// What is read once for many entries.
struct Told {
    routes: Vec<Route>,
    people: Vec<Person>,
    preferences: BTreeMap<PersonName, Preferences>,
}

/// Messages made or added to by one transaction, by what they fold by.
type Pending = BTreeMap<String, (DeliveryRecord, Option<domain::ids::Generation>)>;

impl Control {
    /// Takes every entry that is in the log by now.
    pub(super) async fn take_notices(&self) -> Result<(), Problem> {
        let Some(mut place) = self.store.get::<Place>(Kind::Meta, PLACE).await? else {
            return self.begin_telling().await;
        };
        let mut next = place.doc.next.max(self.notices_seen.load(Relaxed));
        loop {
            let entries = self.entries_from(next).await?;
            let Some(last) = entries.last().map(|(index, _)| *index) else { return Ok(()) };
            next = last + 1;
            let relevant: Vec<&Entry> = entries
                .iter()
                .filter_map(|(_, e)| e.as_ref())
                .filter(|e| concerns(&e.action))
                .collect();
            if !relevant.is_empty() || next.saturating_sub(place.doc.next) > WRITE_PLACE_AFTER {
                self.make_messages(&relevant, &place, Place { next }).await?;
                place = match self.store.get::<Place>(Kind::Meta, PLACE).await? {
                    Some(written) => written,
                    None => return Ok(()),
                };
            }
            self.notices_seen.store(next, Relaxed);
        }
    }

    /// Entries from this one on. One that a newer version wrote is passed over.
    async fn entries_from(&self, next: u64) -> Result<Vec<(u64, Option<Entry>)>, Problem> {
        let cursor = next.checked_sub(1).and_then(|last| last.to_string().parse::<Cursor>().ok());
        let query =
            AuditQuery { oldest_first: true, limit: AT_ONCE, cursor, ..AuditQuery::default() };
        let page = self.store.audit(&query).await?;
        Ok(page.items.into_iter().map(|item| (item.index, item.entry().ok())).collect())
    }

    /// Writes the messages of these entries and the new place, or nothing.
    async fn make_messages(
        &self,
        entries: &[&Entry],
        before: &Versioned<Place>,
        after: Place,
    ) -> Result<(), Problem> {
        let now = self.clock.now();
        let mut pending = Pending::new();
        let told = if entries.is_empty() { None } else { self.told().await? };
        if let Some(told) = &told {
            for entry in entries {
                if let Some(notice) = self.notice(entry, &told.people).await? {
                    for planned in plan(&notice, &told.routes, &told.people, &told.preferences) {
                        self.add_notice(&mut pending, &notice, planned, now).await?;
                    }
                }
            }
        }
        let mut tx = Tx::new(now);
        for (record, generation) in pending.into_values() {
            match generation {
                Some(generation) => {
                    tx.update(Kind::Delivery, &record.id, generation, &record, record.index());
                }
                None => {
                    tx.create(Kind::Delivery, &record.id, &record, record.index());
                    tx.effect(record.effect());
                }
            }
        }
        tx.update(Kind::Meta, PLACE, before.generation, &after, Index::none());
        self.store.commit(tx).await?;
        Ok(())
    }

    /// None if nobody can be told anything.
    async fn told(&self) -> Result<Option<Told>, Problem> {
        let channels = self.all::<ChannelRecord>(Kind::Channel).await?;
        let routes: Vec<Route> =
            channels.into_iter().filter(|c| c.doc.enabled).map(|c| route(c.doc)).collect();
        if routes.is_empty() {
            return Ok(None);
        }
        let people = self.all::<Person>(Kind::Person).await?.into_iter().map(|p| p.doc).collect();
        let preferences = self.all::<Preferences>(Kind::Preferences).await?;
        let preferences =
            preferences.into_iter().filter_map(|p| Some((p.id.parse().ok()?, p.doc))).collect();
        Ok(Some(Told { routes, people, preferences }))
    }

    async fn notice(&self, entry: &Entry, people: &[Person]) -> Result<Option<Notice>, Problem> {
        let Some((kind, id)) = entry.object.split_once('/') else {
            return Ok(decide(entry, About::Nothing, people));
        };
        match kind {
            "change" => {
                let Ok(id) = id.parse::<ChangeId>() else { return Ok(None) };
                let change = self.store.get::<Change>(Kind::Change, id).await?;
                Ok(change.and_then(|change| decide(entry, About::Change(&change.doc), people)))
            }
            "rollout" => {
                let Ok(id) = id.parse::<RolloutId>() else { return Ok(None) };
                let Some(rollout) = self.store.get::<RolloutRecord>(Kind::Rollout, id).await?
                else {
                    return Ok(None);
                };
                let state = &rollout.doc.state;
                let change = self.store.get::<Change>(Kind::Change, state.change).await?;
                let about = |change: &Change| decide(entry, About::Rollout(state, change), people);
                Ok(change.and_then(|change| about(&change.doc)))
            }
            "incident" => {
                let Ok(id) = id.parse::<IncidentId>() else { return Ok(None) };
                let Some(incident) = self.store.get::<Incident>(Kind::Incident, id).await? else {
                    return Ok(None);
                };
                let change = self.change_of(&incident.doc).await?;
                let about = About::Incident(&incident.doc, change.as_ref());
                Ok(decide(entry, about, people))
            }
            _ => Ok(decide(entry, About::Nothing, people)),
        }
    }

    /// The change that was on its way when the incident was opened.
    async fn change_of(&self, incident: &Incident) -> Result<Option<Change>, Problem> {
        let Some(id) = incident.rollout else { return Ok(None) };
        let Some(rollout) = self.store.get::<RolloutRecord>(Kind::Rollout, id).await? else {
            return Ok(None);
        };
        let change = self.store.get::<Change>(Kind::Change, rollout.doc.state.change).await?;
        Ok(change.map(|change| change.doc))
    }

    /// Adds one notice for one receiver: to a message that waits, or a new one.
    async fn add_notice(
        &self,
        pending: &mut Pending,
        notice: &Notice,
        planned: Planned,
        now: Timestamp,
    ) -> Result<(), Problem> {
        let item = self.item(notice, &planned);
        let to = planned.to.as_ref().map_or("", PersonName::as_str);
        let under = if planned.hourly { "hourly" } else { &notice.cause };
        let key = format!("{}/{to}/{under}", planned.channel);
        if let Some((record, _)) = pending.get_mut(&key) {
            join(record, item);
            return Ok(());
        }
        let newest = Query::of(Kind::Delivery).parent(&key).newest_first().limit(1);
        let last = self.store.list::<DeliveryRecord>(newest).await?.items.into_iter().next();
        let facts =
            last.as_ref().map(|l| Last { untouched: l.doc.untouched(), at: l.doc.created_at });
        let mut not_before = match (fold(facts, now), last) {
            (Fold::Join, Some(last)) => {
                let mut record = last.doc;
                join(&mut record, item);
                pending.insert(key, (record, Some(last.generation)));
                return Ok(());
            }
            (Fold::Hold(until), _) => until,
            _ => now,
        };
        if planned.hourly {
            not_before = next_hour(now);
        }
        let record = DeliveryRecord {
            id: format!("nd-{}", self.store.allocate("delivery").await?),
            channel: planned.channel,
            to: planned.to,
            fold: key.clone(),
            items: vec![item],
            left_out: 0,
            state: Standing::Waiting,
            attempts: 0,
            round: 0,
            next_at: not_before,
            created_at: now,
            done_at: None,
            error: None,
        };
        pending.insert(key, (record, None));
        Ok(())
    }

    fn item(&self, notice: &Notice, planned: &Planned) -> Item {
        let asked =
            if planned.to.is_some() { Vec::new() } else { notice.asked.keys().cloned().collect() };
        Item {
            event: notice.event,
            app: notice.app.clone(),
            cause: notice.cause.clone(),
            subject: notice.subject(planned.ask.is_some()),
            what: notice.what.clone(),
            ask: planned.ask.clone(),
            asked,
            url: self.url(&notice.place),
            at: notice.at,
            again: 0,
        }
    }
}

/// Full hours, so that digests of one installation come together.
fn next_hour(now: Timestamp) -> Timestamp {
    let hour = HOUR.millis();
    Timestamp(now.0.div_euclid(hour).saturating_add(1).saturating_mul(hour))
}

/// A repeat takes the place of what it repeats and counts it.
fn join(record: &mut DeliveryRecord, item: Item) {
    let full = record.items.len() >= MAX_ITEMS;
    match record.items.iter_mut().find(|known| known.cause == item.cause) {
        Some(known) => *known = Item { again: known.again.saturating_add(1), ..item },
        None if !full => record.items.push(item),
        None => record.left_out = record.left_out.saturating_add(1),
    }
}

fn route(channel: ChannelRecord) -> Route {
    Route {
        personal: channel.kind == ChannelKind::Email,
        channel: channel.id,
        events: channel.events,
        apps: channel.apps,
        since: channel.created_at,
    }
}
