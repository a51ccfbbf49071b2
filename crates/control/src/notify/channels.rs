//! Channels: what admins configure.

use super::secrets::Held;
use super::views::{ChannelKind, ChannelView, EmailSettings, MadeChannel, NewChannel, Tried};
use super::{ChannelRecord, LastTry, Standing, send};
use crate::Control;
use crate::caller::Caller;
use crate::incidents::plain_entry;
use crate::problem::{Problem, ProblemKind};
use crate::views::Page;
use connect::{mail, webhook};
use domain::ids::Generation;
use domain::params;
use domain::people::Permission;
use domain::sentence::Sentence;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use store::{Index, Kind, Query, Tx, Versioned};

/// Most channels of an installation.
const MAX_CHANNELS: u64 = 50;
/// Longest name, in characters.
const MAX_NAME: usize = 80;

fn invalid(code: &str, text: impl Into<String>, hint: &str, field: &str) -> Problem {
    Problem::new(ProblemKind::Invalid, code, text, hint).at(field)
}

impl Control {
    /// Every channel.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn channels(&self, caller: &Caller) -> Result<Page<ChannelView>, Problem> {
        caller.must(Permission::Read)?;
        let counts = self.message_counts().await?;
        let mut items = Vec::new();
        for channel in self.all::<ChannelRecord>(Kind::Channel).await? {
            items.push(self.channel_view(channel, &counts).await?);
        }
        Ok(Page { items, next: None })
    }

    /// Makes a channel.
    ///
    /// # Errors
    /// `not_allowed`, `too_many_channels`, or what is wrong with it.
    pub async fn create_channel(
        &self,
        caller: &Caller,
        new: NewChannel,
    ) -> Result<MadeChannel, Problem> {
        caller.must(Permission::Administer)?;
        if self.store.count(&Query::of(Kind::Channel)).await? >= MAX_CHANNELS {
            let text = format!("there are {MAX_CHANNELS} channels already");
            return Err(invalid("too_many_channels", text, "remove one first", "name"));
        }
        let now = self.clock.now();
        let id = format!("nc-{}", self.store.allocate("channel").await?);
        let blank = ChannelRecord {
            id: id.clone(),
            name: String::new(),
            kind: new.kind,
            enabled: true,
            url: None,
            secret: None,
            target: String::new(),
            email: None,
            events: new.events.clone(),
            apps: new.apps.clone(),
            allow_private: false,
            created_at: now,
            disabled: None,
        };
        let mut made = None;
        let mut new = new;
        if new.kind == ChannelKind::Webhook && new.secret.is_none() {
            let mut bytes = [0; 32];
            getrandom::fill(&mut bytes).map_err(|e| crate::wrong("random numbers", &e))?;
            let secret = webhook::Secret::write(&bytes);
            new.secret = Some(secret.clone());
            made = Some(secret);
        }
        let record = self.filled_in(blank, new)?;
        let mut tx = Tx::new(now);
        tx.create(Kind::Channel, &id, &record, Index::none());
        tx.audit(
            plain_entry(now, caller.actor(), "channel.created", format!("channel/{id}"))
                .from(caller.source.as_deref())
                .with(params! {"after" => facts(&record)})
                .into(),
        );
        self.store.commit(tx).await?;
        Ok(MadeChannel { channel: self.channel(&id).await?, secret: made })
    }

    /// Puts a channel in the place of one. Address and secret stay as they are
    /// if none is sent.
    ///
    /// # Errors
    /// `not_allowed`, `no_such_channel`, `changed_meanwhile`, or what is wrong with it.
    pub async fn update_channel(
        &self,
        caller: &Caller,
        id: &str,
        expected: Option<Generation>,
        new: NewChannel,
    ) -> Result<ChannelView, Problem> {
        caller.must(Permission::Administer)?;
        let before = self.channel_record(id).await?;
        fresh(&before, expected)?;
        if before.doc.kind != new.kind {
            return Err(invalid(
                "other_kind",
                "a channel stays of its kind",
                "make another channel and remove this one",
                "kind",
            ));
        }
        let now = self.clock.now();
        let record = self.filled_in(before.doc.clone(), new)?;
        let mut tx = Tx::new(now);
        tx.update(Kind::Channel, id, before.generation, &record, Index::none());
        tx.audit(
            plain_entry(now, caller.actor(), "channel.changed", format!("channel/{id}"))
                .from(caller.source.as_deref())
                .with(params! {"before" => facts(&before.doc), "after" => facts(&record)})
                .into(),
        );
        self.store.commit(tx).await?;
        self.channel(id).await
    }

    /// Removes a channel. Messages that wait for it are dropped.
    ///
    /// # Errors
    /// `not_allowed`, `no_such_channel`.
    pub async fn remove_channel(&self, caller: &Caller, id: &str) -> Result<(), Problem> {
        caller.must(Permission::Administer)?;
        let before = self.channel_record(id).await?;
        let now = self.clock.now();
        let mut tx = Tx::new(now);
        tx.delete(Kind::Channel, id, before.generation);
        tx.audit(
            plain_entry(now, caller.actor(), "channel.removed", format!("channel/{id}"))
                .from(caller.source.as_deref())
                .with(params! {"before" => facts(&before.doc)})
                .into(),
        );
        self.store.commit(tx).await?;
        Ok(())
    }

    pub(super) async fn channel_record(
        &self,
        id: &str,
    ) -> Result<Versioned<ChannelRecord>, Problem> {
        self.store.get(Kind::Channel, id).await?.ok_or_else(|| {
            Problem::new(
                ProblemKind::NotFound,
                "no_such_channel",
                format!("there is no channel `{id}`"),
                "`tidegate notification list` shows what there is",
            )
        })
    }

    async fn channel(&self, id: &str) -> Result<ChannelView, Problem> {
        let counts = self.message_counts().await?;
        self.channel_view(self.channel_record(id).await?, &counts).await
    }

    /// Messages that wait and dead letters, by channel.
    async fn message_counts(&self) -> Result<BTreeMap<String, (u64, u64)>, Problem> {
        let mut counts: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        for state in [Standing::Waiting, Standing::Dead] {
            // More than a page of either is a number nobody counts by hand.
            let query =
                Query::of(Kind::Delivery).state(state.word()).newest_first().limit(store::MAX_PAGE);
            for found in self.store.list::<super::DeliveryRecord>(query).await?.items {
                let count = counts.entry(found.doc.channel).or_default();
                match state {
                    Standing::Waiting => count.0 += 1,
                    _ => count.1 += 1,
                }
            }
        }
        Ok(counts)
    }

    async fn channel_view(
        &self,
        channel: Versioned<ChannelRecord>,
        counts: &BTreeMap<String, (u64, u64)>,
    ) -> Result<ChannelView, Problem> {
        let Versioned { doc, generation, .. } = channel;
        let last = self.store.get::<LastTry>(Kind::Meta, send::last_try(&doc.id)).await?;
        let last = last.map(|l| Tried { at: l.doc.at, ok: l.doc.ok, text: l.doc.text });
        let (waiting, dead) = counts.get(&doc.id).copied().unwrap_or_default();
        let (state, state_text) = state_of(&doc, last.as_ref());
        Ok(ChannelView {
            secret: doc.secret.as_ref().map_or_else(|| "none".to_owned(), Held::shown),
            name: doc.name,
            kind: doc.kind,
            enabled: doc.enabled,
            target: doc.target,
            events: doc.events,
            apps: doc.apps,
            allow_private: doc.allow_private,
            email: doc.email,
            state: state.to_owned(),
            state_text,
            last,
            waiting,
            dead,
            created_at: doc.created_at,
            version: generation.0,
            id: doc.id,
        })
    }

    /// The record with what was sent in it, checked.
    fn filled_in(
        &self,
        mut record: ChannelRecord,
        new: NewChannel,
    ) -> Result<ChannelRecord, Problem> {
        let name = new.name.trim();
        if name.is_empty() || name.chars().count() > MAX_NAME || name.chars().any(char::is_control)
        {
            let text = format!("a channel's name has 1 to {MAX_NAME} characters, in one line");
            return Err(invalid("bad_name", text, "for example `ops room`", "name"));
        }
        record.name = name.to_owned();
        if record.kind == ChannelKind::Email {
            self.fill_in_email(&mut record, &new)?;
        } else {
            self.fill_in_address(&mut record, &new)?;
        }
        if let Some(secret) = &new.secret {
            record.secret = Some(self.hold(secret, &record.id, "secret")?);
        }
        record.events = new.events;
        record.apps = new.apps;
        record.allow_private = new.allow_private;
        record.enabled = new.enabled;
        if record.enabled {
            record.disabled = None;
        }
        Ok(record)
    }

    fn fill_in_email(&self, record: &mut ChannelRecord, new: &NewChannel) -> Result<(), Problem> {
        if new.url.is_some() {
            let hint = "send `email` with host and sender instead";
            return Err(invalid("not_for_email", "e-mail has no `url`", hint, "url"));
        }
        if let Some(settings) = &new.email {
            check_email(settings)?;
            let port = settings.port.unwrap_or(settings.tls.port());
            record.target = format!("{}:{port} as {}", settings.host, settings.from);
            record.email = Some(settings.clone());
        }
        match &record.email {
            None => Err(invalid(
                "no_server",
                "an e-mail channel needs a mail server",
                "send `email` with `host` and `from`",
                "email",
            )),
            Some(settings) if settings.login.is_some() => {
                let given = new.secret.is_some() || record.secret.is_some();
                given.then_some(()).ok_or_else(|| {
                    let hint = "send the password, or `env:NAME`, as `secret`";
                    invalid("no_password", "a login needs its password", hint, "secret")
                })
            }
            Some(_) => Ok(()),
        }
    }

    fn fill_in_address(&self, record: &mut ChannelRecord, new: &NewChannel) -> Result<(), Problem> {
        if new.email.is_some() {
            let hint = "send `url` instead";
            return Err(invalid("only_for_email", "`email` goes with e-mail", hint, "email"));
        }
        let is_slack = record.kind == ChannelKind::Slack;
        if is_slack && new.secret.is_some() {
            let hint = "the address is the secret; leave `secret` out";
            return Err(invalid("no_secret", "such a channel has no secret", hint, "secret"));
        }
        if let Some(secret) = new.secret.as_deref().filter(|s| !is_reference(s))
            && webhook::Secret::parse(secret).is_none()
        {
            let hint = "leave it out and one is made";
            let text = "the secret is not `whsec_` and 24 to 64 bytes in base64";
            return Err(invalid("bad_secret", text, hint, "secret"));
        }
        let Some(url) = new.url.as_deref() else {
            return record.url.as_ref().map(|_| ()).ok_or_else(|| {
                let hint = "send `url`, for example `https://hooks.example.com/tidegate`";
                invalid("no_address", "the channel needs an address", hint, "url")
            });
        };
        if !is_reference(url) && !webhook::is_address(url) {
            let hint = "write it like `https://hooks.example.com/tidegate`, without a login";
            return Err(invalid("bad_address", "this address cannot be posted to", hint, "url"));
        }
        record.target = if is_reference(url) { url.trim().to_owned() } else { origin(url) };
        record.url = Some(self.hold(url, &record.id, "url")?);
        Ok(())
    }
}

fn is_reference(text: &str) -> bool {
    text.trim().starts_with("env:") || text.trim().starts_with("file:")
}

/// Host and scheme: the rest of an address may be its secret.
fn origin(url: &str) -> String {
    let url = url.trim();
    let end = url.find("://").map_or(0, |at| at + 3);
    let host = url.get(end..).and_then(|rest| rest.find(['/', '?', '#']));
    match host.and_then(|at| url.get(..end + at)) {
        Some(origin) => format!("{origin}/…"),
        None => url.to_owned(),
    }
}

fn check_email(settings: &EmailSettings) -> Result<(), Problem> {
    let host = &settings.host;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
    if host.is_empty() || host.len() > 253 || !host.chars().all(plain) {
        let hint = "write its name, for example `smtp.example.com`";
        return Err(invalid("bad_host", format!("`{host}` is no mail server"), hint, "email.host"));
    }
    if settings.port == Some(0) {
        let hint = "leave it out for the usual one";
        return Err(invalid("bad_port", "0 is no port", hint, "email.port"));
    }
    if !mail::is_sender(&settings.from) {
        let text = format!("`{}` cannot stand as sender", settings.from);
        let hint = "write it like `Tidegate <tidegate@example.com>`";
        return Err(invalid("bad_sender", text, hint, "email.from"));
    }
    Ok(())
}

fn state_of(channel: &ChannelRecord, last: Option<&Tried>) -> (&'static str, Sentence) {
    let say =
        |code, text: &str, why: &str| (code, Sentence::render(code, text, params! {"why" => why}));
    if !channel.enabled {
        return match &channel.disabled {
            Some(why) => ("disabled", why.clone()),
            None => say("disabled", "Switched off: nothing is sent.", ""),
        };
    }
    match last {
        None => say("unused", "Nothing was sent by it yet.", ""),
        Some(last) if last.ok => say("ok", "The last message arrived: {why}.", &last.text),
        Some(last) => say("failing", "The last message did not arrive: {why}.", &last.text),
    }
}

/// What the audit log says of a channel.
fn facts(channel: &ChannelRecord) -> Map<String, Value> {
    params! {
        "name" => channel.name, "kind" => channel.kind, "target" => channel.target,
        "enabled" => channel.enabled, "events" => channel.events, "apps" => channel.apps,
        "allow_private" => channel.allow_private,
        "secret" => channel.secret.as_ref().map(Held::shown),
    }
}

fn fresh(channel: &Versioned<ChannelRecord>, expected: Option<Generation>) -> Result<(), Problem> {
    match expected.filter(|expected| *expected != channel.generation) {
        None => Ok(()),
        Some(expected) => Err(Problem::new(
            ProblemKind::Conflict,
            "changed_meanwhile",
            format!(
                "{} moved on: you looked at version {expected}, it is now {}",
                channel.doc.name, channel.generation
            ),
            "look again before you act",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::origin;

    #[test]
    fn only_host_and_scheme_of_an_address_are_shown() {
        for (url, shown) in [
            ("https://hooks.slack.com/services/T0/B0/secret", "https://hooks.slack.com/…"),
            ("https://hooks.example.com?key=secret", "https://hooks.example.com/…"),
            ("http://127.0.0.1:9000", "http://127.0.0.1:9000"),
        ] {
            assert_eq!(origin(url), shown);
        }
    }
}
