//! Looking at messages: previews, tests, the list, sending again; and how a
//! person is told.

use super::views::{
    ChannelKind, DeliveryView, NewPreferences, PreferencesView, PreviewView, Tested,
};
use super::{ChannelRecord, DeliveryRecord, Item, Standing, render, send};
use crate::Control;
use crate::caller::Caller;
use crate::incidents::plain_entry;
use crate::problem::{Problem, ProblemKind};
use crate::views::Page;
use connect::mail::{self, Mail};
use domain::ids::AppName;
use domain::notice::{Event, Mode, Preferences, always};
use domain::params;
use domain::people::Permission;
use domain::sentence::Sentence;
use domain::units::Timestamp;
use std::collections::BTreeMap;
use store::{Cursor, Index, Kind, Query, Tx, Versioned};

/// Messages on a page.
const PAGE: u32 = 50;
/// Most messages looked through for one page.
const LOOK_THROUGH: usize = 5_000;
/// The app of a preview, where none is named.
const SAMPLE_APP: &str = "support-summary";

impl Control {
    /// Exactly what a message about such an event looks like.
    ///
    /// # Errors
    /// `not_allowed`.
    pub fn preview_message(
        &self,
        caller: &Caller,
        event: Event,
        kind: ChannelKind,
        app: Option<AppName>,
    ) -> Result<PreviewView, Problem> {
        caller.must(Permission::Read)?;
        let record = self.sample_message(event, kind, app, caller)?;
        let Some(item) = record.items.first() else {
            return Err(crate::wrong("a preview", &"it is empty"));
        };
        let mut headers = BTreeMap::new();
        let (content_type, body) = match kind {
            ChannelKind::Email => {
                let mail = Mail {
                    from: "Tidegate <tidegate@example.com>".to_owned(),
                    name: caller.person.display.clone(),
                    address: caller.person.email.clone(),
                    subject: render::subject(&record),
                    text: render::text(&record, &self.config.origin),
                    id: format!("{}@example.com", self.message_id(&record.id)),
                };
                let text = mail::preview(&mail).map_err(|e| crate::wrong("a preview", &e))?;
                ("message/rfc822", text)
            }
            ChannelKind::Slack => ("application/json", text_of(render::slack(&record))),
            ChannelKind::Webhook => {
                let body = render::webhook(&record, &self.config.origin);
                headers.insert("webhook-id".to_owned(), self.message_id(&record.id));
                let at = self.clock.now().second().to_string();
                headers.insert("webhook-timestamp".to_owned(), at);
                headers.insert("webhook-signature".to_owned(), "v1,…".to_owned());
                ("application/json", text_of(body))
            }
        };
        Ok(PreviewView {
            event,
            channel: kind,
            subject: render::subject(&record),
            text: render::what(item),
            url: item.url.clone(),
            content_type: content_type.to_owned(),
            body,
            headers,
        })
    }

    /// Sends one message by a channel now and says how it went. E-mail goes to
    /// the caller.
    ///
    /// # Errors
    /// `not_allowed`, `no_such_channel`.
    pub async fn test_channel(&self, caller: &Caller, id: &str) -> Result<Tested, Problem> {
        caller.must(Permission::Administer)?;
        let channel = self.channel_record(id).await?.doc;
        let began = self.clock.now();
        let mut record = self.sample_message(Event::Promoted, channel.kind, None, caller)?;
        record.id = format!("test/{id}/{}", began.0);
        for item in &mut record.items {
            item.subject = "A test from Tidegate".to_owned();
            item.what = Sentence::render(
                "test",
                "{person} tests the channel {name}. Nothing happened.",
                params! {"person" => caller.person.display, "name" => channel.name},
            );
            item.ask = None;
            item.asked = Vec::new();
            item.url = self.url("settings");
        }
        let outcome = match self.dress(&channel, &record, Some(&caller.person)) {
            Ok(ready) => send::go(ready).await,
            Err(why) => Err(why),
        };
        let now = self.clock.now();
        let (ok, text) = match outcome {
            Ok(text) => (true, text),
            Err(why) => (false, why.to_string()),
        };
        self.note_try(&channel, now, ok, &text).await?;
        let mut tx = Tx::new(now);
        tx.audit(
            plain_entry(now, caller.actor(), "channel.tested", format!("channel/{id}"))
                .from(caller.source.as_deref())
                .with(params! {"ok" => ok, "text" => text})
                .into(),
        );
        self.store.commit(tx).await?;
        self.events.say("notifications");
        Ok(Tested { ok, text, took_ms: now.since(began).millis() })
    }

    fn sample_message(
        &self,
        event: Event,
        kind: ChannelKind,
        app: Option<AppName>,
        caller: &Caller,
    ) -> Result<DeliveryRecord, Problem> {
        let now = self.clock.now();
        let app = match app {
            Some(app) => app,
            None => SAMPLE_APP.parse().map_err(|e| crate::wrong("a preview", &e))?,
        };
        let (about, what, ask, place) = sample_words(event);
        let ask = ask.map(|(code, text)| Sentence::render(code, text, params! {}));
        let personal = kind == ChannelKind::Email;
        let title = if personal && ask.is_some() { "Needs you" } else { event.title() };
        let asked = match (&ask, personal) {
            (Some(_), false) => vec![caller.name().clone()],
            _ => Vec::new(),
        };
        let item = Item {
            event,
            cause: "preview".to_owned(),
            subject: format!("{title}: {}", about.replace("APP", app.as_str())),
            what: Sentence::render(event.key(), what, params! {"app" => app}),
            ask: ask.filter(|_| personal),
            asked,
            url: self.url(place),
            at: now,
            again: 0,
            app,
        };
        Ok(DeliveryRecord {
            id: "preview".to_owned(),
            channel: String::new(),
            to: personal.then(|| caller.name().clone()),
            fold: String::new(),
            items: vec![item],
            left_out: 0,
            state: Standing::Waiting,
            attempts: 0,
            round: 0,
            next_at: now,
            created_at: now,
            done_at: None,
            error: None,
        })
    }

    /// Messages, newest first. Admins see all, others what went to them.
    ///
    /// # Errors
    /// `not_allowed`, or the store could not be read.
    pub async fn deliveries(
        &self,
        caller: &Caller,
        channel: Option<&str>,
        state: Option<&str>,
        limit: Option<u32>,
        cursor: Option<Cursor>,
    ) -> Result<Page<DeliveryView>, Problem> {
        caller.must(Permission::Read)?;
        let everything = caller.must(Permission::Administer).is_ok();
        let now = self.clock.now();
        let names = self.channel_names().await?;
        let limit = limit.unwrap_or(PAGE).clamp(1, store::MAX_PAGE);
        let mut query = Query::of(Kind::Delivery).newest_first().limit(limit).after(cursor);
        match state {
            Some("held") => query = query.state(Standing::Waiting.word()),
            Some(state) => query = query.state(state),
            None => {}
        }
        let (mut items, mut seen) = (Vec::new(), 0);
        let mut next = None;
        // Pages are filled from what may be seen, but never by reading for ever.
        while items.len() < limit as usize && seen < LOOK_THROUGH {
            let page = self.store.list::<DeliveryRecord>(query.clone()).await?;
            seen += page.items.len();
            let shown = page.items.into_iter().filter(|found| {
                (everything || found.doc.to.as_ref() == Some(caller.name()))
                    && channel.is_none_or(|channel| found.doc.channel == channel)
            });
            let views = shown.filter_map(|found| self.delivery_view(found.doc, &names, now));
            items.extend(views.filter(|view| state.is_none_or(|state| view.state == state)));
            next = page.next;
            match next {
                Some(cursor) => query = query.after(Some(cursor)),
                None => break,
            }
        }
        Ok(Page { items, next: next.map(|cursor| cursor.to_string()) })
    }

    async fn channel_names(&self) -> Result<BTreeMap<String, (String, ChannelKind)>, Problem> {
        let all = self.all::<ChannelRecord>(Kind::Channel).await?;
        Ok(all.into_iter().map(|c| (c.doc.id, (c.doc.name, c.doc.kind))).collect())
    }

    fn delivery_view(
        &self,
        record: DeliveryRecord,
        names: &BTreeMap<String, (String, ChannelKind)>,
        now: Timestamp,
    ) -> Option<DeliveryView> {
        let subject = render::subject(&record);
        let untouched = record.untouched();
        let waiting = record.state == Standing::Waiting;
        let state = if untouched && record.next_at > now { "held" } else { record.state.word() };
        let message_id = self.message_id(&record.id);
        let again: u32 = record.items.iter().map(|item| item.again).sum();
        let more = u32::try_from(record.items.len().saturating_sub(1)).unwrap_or(u32::MAX);
        let first = record.items.into_iter().next()?;
        let channel = names.get(&record.channel);
        Some(DeliveryView {
            id: record.id,
            event: first.event,
            text: render::what(&first),
            app: first.app,
            channel_name: channel
                .map_or_else(|| "a channel that was removed".to_owned(), |c| c.0.clone()),
            kind: channel.map(|channel| channel.1),
            channel: record.channel,
            to: record.to,
            subject,
            ask: first.ask.map(|ask| ask.text),
            url: first.url,
            state: state.to_owned(),
            attempts: record.attempts,
            next_at: waiting.then_some(record.next_at),
            created_at: record.created_at,
            done_at: record.done_at,
            error: record.error,
            message_id,
            folded: again.saturating_add(more).saturating_add(record.left_out),
        })
    }

    /// Sends a message again, under the id it had: a dead letter, or one that
    /// arrived and was lost there.
    ///
    /// # Errors
    /// `not_allowed`, `no_such_delivery`, `under_way`, `changed_meanwhile`.
    pub async fn redeliver(&self, caller: &Caller, id: &str) -> Result<DeliveryView, Problem> {
        caller.must(Permission::Administer)?;
        let found = self.store.get::<DeliveryRecord>(Kind::Delivery, id).await?;
        let Some(Versioned { mut doc, generation, .. }) = found else {
            return Err(Problem::new(
                ProblemKind::NotFound,
                "no_such_delivery",
                format!("there is no message `{id}`"),
                "`tidegate notification messages` shows what there is",
            ));
        };
        if doc.state == Standing::Waiting {
            return Err(Problem::new(
                ProblemKind::Refused,
                "under_way",
                format!("{id} is still tried by itself"),
                "wait until it is sent or a dead letter",
            ));
        }
        let now = self.clock.now();
        doc.state = Standing::Waiting;
        doc.round = doc.round.saturating_add(1);
        doc.attempts = 0;
        doc.next_at = now;
        doc.done_at = None;
        let mut tx = Tx::new(now);
        tx.update(Kind::Delivery, id, generation, &doc, doc.index());
        tx.effect(doc.effect());
        tx.audit(
            plain_entry(now, caller.actor(), "delivery.sent_again", format!("delivery/{id}"))
                .from(caller.source.as_deref())
                .with(params! {"channel" => doc.channel, "to" => doc.to})
                .into(),
        );
        self.store.commit(tx).await?;
        let names = self.channel_names().await?;
        self.delivery_view(doc, &names, now)
            .ok_or_else(|| crate::wrong("the message", &"it is empty"))
    }

    /// How the caller is told.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn preferences(&self, caller: &Caller) -> Result<PreferencesView, Problem> {
        caller.must(Permission::Read)?;
        let found = self.store.get::<Preferences>(Kind::Preferences, caller.name()).await?;
        let wish = found.map(|found| found.doc).unwrap_or_default();
        Ok(PreferencesView {
            mode: wish.mode,
            events: wish.events,
            always: always(&caller.person.roles).to_vec(),
            email: caller.person.email.clone(),
        })
    }

    /// The caller's choice of how to be told.
    ///
    /// # Errors
    /// `always_told` for what somebody with these roles cannot silence.
    pub async fn set_preferences(
        &self,
        caller: &Caller,
        new: NewPreferences,
    ) -> Result<PreferencesView, Problem> {
        caller.must(Permission::Read)?;
        let locked = always(&caller.person.roles);
        let lowers =
            |(event, mode): &(&Event, &Mode)| locked.contains(event) && **mode != Mode::AtOnce;
        if let Some((event, _)) = new.events.iter().flatten().find(lowers) {
            return Err(Problem::new(
                ProblemKind::Invalid,
                "always_told",
                format!("who may stop harm is told of `{event}` at once"),
                "leave it at `at_once`",
            )
            .at("events"));
        }
        let found = self.store.get::<Preferences>(Kind::Preferences, caller.name()).await?;
        let before = found.as_ref().map(|found| found.doc.clone()).unwrap_or_default();
        let after = Preferences {
            mode: new.mode.unwrap_or(before.mode),
            events: new.events.unwrap_or_else(|| before.events.clone()),
        };
        let now = self.clock.now();
        let mut tx = Tx::new(now);
        let name = caller.name();
        match &found {
            Some(found) => {
                tx.update(Kind::Preferences, name, found.generation, &after, Index::none());
            }
            None => {
                tx.create(Kind::Preferences, name, &after, Index::none());
            }
        }
        let object = format!("person/{name}");
        tx.audit(
            plain_entry(now, caller.actor(), "preferences.changed", object)
                .from(caller.source.as_deref())
                .with(params! {"before" => before, "after" => after})
                .into(),
        );
        self.store.commit(tx).await?;
        self.preferences(caller).await
    }

    /// Dead letters, newest first, for the inbox of an admin.
    pub(crate) async fn dead_letters(&self, most: u32) -> Result<Vec<DeliveryView>, Problem> {
        let query =
            Query::of(Kind::Delivery).state(Standing::Dead.word()).newest_first().limit(most);
        let names = self.channel_names().await?;
        let found = self.store.list::<DeliveryRecord>(query).await?.items;
        let now = self.clock.now();
        Ok(found.into_iter().filter_map(|f| self.delivery_view(f.doc, &names, now)).collect())
    }
}

fn text_of(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Whom it is about, the sentence, what is asked, and the page.
type Sample = (&'static str, &'static str, Option<(&'static str, &'static str)>, &'static str);

fn sample_words(event: Event) -> Sample {
    match event {
        Event::NeedsApproval => (
            "APP, change #41",
            "ana sent a change for approval: Shorter summaries",
            Some(("approve", "Say yes or no to it.")),
            "changes/41",
        ),
        Event::ChecksFailed => (
            "APP, change #41",
            "Shorter summaries has something to mend before anybody is asked: `customer_nam` is not a variable of this app",
            Some(("mend", "Mend it and send it again.")),
            "changes/41",
        ),
        Event::Paused => (
            "APP, change #41",
            "Paused: cost per request got worse, which is too little to go back by itself but too much to go on.",
            Some(("decide", "Decide whether it goes on or goes back.")),
            "rollouts/ro-7",
        ),
        Event::WentBack => (
            "APP (latency_ms)",
            "Went back: slow answers stayed over their limit for 2 checks in a row. Everyone has the last good release again.",
            None,
            "incidents/inc-3",
        ),
        Event::Killed => (
            "APP",
            "Omar threw the kill switch of {app}: users get the fallback answer.",
            None,
            "incidents/inc-3",
        ),
        Event::Promoted => (
            "APP, change #41",
            "Live for everyone: every check of Shorter summaries passed.",
            None,
            "rollouts/ro-7",
        ),
        Event::Incident => (
            "APP",
            "Nobody said yet why this was done: Omar rolled {app} back.",
            Some(("give_reason", "Say why you did this.")),
            "incidents/inc-3",
        ),
        Event::Budget => ("APP", "{app} has used 80% of its budget of this month.", None, "costs"),
    }
}
