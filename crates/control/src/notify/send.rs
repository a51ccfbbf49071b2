//! Messages on their way: each try is an effect of the outbox.

use super::{ChannelKind, ChannelRecord, DeliveryRecord, KIND, LastTry, Standing, render};
use crate::Control;
use crate::incidents::plain_entry;
use crate::problem::{Problem, ProblemKind};
use connect::guard::Reach;
use connect::mail::{self, Mail, Server};
use connect::webhook::{self, NotSent, Secret};
use domain::audit::Actor;
use domain::notice::{TRIES, retry_after};
use domain::params;
use domain::people::Person;
use domain::sentence::Sentence;
use domain::units::{Span, Timestamp};
use futures_util::StreamExt as _;
use store::{Effect, Index, Kind, Tx, Versioned};

/// Messages taken from the outbox at a time.
const AT_ONCE: u32 = 200;
/// Messages on their way at the same time.
const CONCURRENT: usize = 8;

/// Ready to go out.
pub(super) enum Ready {
    Post { url: String, headers: Vec<(&'static str, String)>, body: Vec<u8>, reach: Reach },
    Mail { server: Server, mail: Mail },
}

impl Control {
    /// Tries every message whose time has come.
    pub(super) async fn send_due(&self) -> Result<(), Problem> {
        let due = self.store.due_effects(KIND, self.clock.now(), AT_ONCE).await?;
        let done: Vec<Result<(), Problem>> = futures_util::stream::iter(due)
            .map(|effect| async move { self.try_effect(&effect).await })
            .buffer_unordered(CONCURRENT)
            .collect()
            .await;
        // One that met another writer is tried at the next round.
        let real = |problem: &Problem| problem.kind != ProblemKind::Conflict;
        done.into_iter().filter_map(Result::err).find(real).map_or(Ok(()), Err)
    }

    async fn try_effect(&self, effect: &Effect) -> Result<(), Problem> {
        let id = effect.payload.get("delivery").and_then(|id| id.as_str()).unwrap_or_default();
        let found = self.store.get::<DeliveryRecord>(Kind::Delivery, id).await?;
        let Some(mut record) = found.filter(|found| found.doc.state == Standing::Waiting) else {
            return self.nothing_to_do(effect).await;
        };
        let channel = self.store.get::<ChannelRecord>(Kind::Channel, &record.doc.channel).await?;
        let Some(channel) = channel else {
            record.doc.error = Some("its channel was removed".to_owned());
            return self.close(effect, record, Standing::Dropped).await;
        };
        if !channel.doc.enabled {
            record.doc.error = Some("its channel is switched off".to_owned());
            return self.close(effect, record, Standing::Dead).await;
        }
        // Counted before it is sent: from here on nothing may join it, since
        // what joins a message that has left would be lost.
        record.doc.attempts = record.doc.attempts.saturating_add(1);
        let mut tx = Tx::new(self.clock.now());
        let (doc, generation) = (&record.doc, record.generation);
        tx.update(Kind::Delivery, &doc.id, generation, doc, doc.index());
        self.store.commit(tx).await?;
        record.generation = generation.next();
        let outcome = match self.ready(&channel.doc, &record.doc).await? {
            Ok(ready) => go(ready).await,
            Err(why) => Err(why),
        };
        self.note_outcome(effect, record, &channel, outcome).await
    }

    async fn note_outcome(
        &self,
        effect: &Effect,
        mut record: Versioned<DeliveryRecord>,
        channel: &Versioned<ChannelRecord>,
        outcome: Result<String, NotSent>,
    ) -> Result<(), Problem> {
        let now = self.clock.now();
        let failure = match &outcome {
            Ok(text) => {
                record.doc.error = None;
                self.note_try(&channel.doc, now, true, text).await?;
                return self.close(effect, record, Standing::Sent).await;
            }
            Err(failure) => failure,
        };
        record.doc.error = Some(failure.to_string());
        self.note_try(&channel.doc, now, false, &failure.to_string()).await?;
        if *failure == NotSent::Gone {
            self.switch_off(channel, now).await?;
            return self.close(effect, record, Standing::Dead).await;
        }
        let wait = retry_after(record.doc.attempts, jitter()?);
        let Some(wait) = wait.filter(|_| !failure.is_final()) else {
            return self.close(effect, record, Standing::Dead).await;
        };
        let asked = match failure {
            NotSent::Status { wait: Some(asked), .. } => *asked,
            _ => Span::ZERO,
        };
        record.doc.next_at = now.plus(wait.max(asked));
        let mut tx = Tx::new(now);
        let (doc, generation) = (&record.doc, record.generation);
        tx.update(Kind::Delivery, &doc.id, generation, doc, doc.index());
        tx.effect_done(effect.id);
        tx.effect(doc.effect());
        self.store.commit(tx).await?;
        Ok(())
    }

    /// It is over, for now or for ever.
    async fn close(
        &self,
        effect: &Effect,
        mut record: Versioned<DeliveryRecord>,
        state: Standing,
    ) -> Result<(), Problem> {
        let now = self.clock.now();
        record.doc.state = state;
        record.doc.done_at = Some(now);
        let mut tx = Tx::new(now);
        let (doc, generation) = (&record.doc, record.generation);
        tx.update(Kind::Delivery, &doc.id, generation, doc, doc.index());
        if state == Standing::Dead {
            let object = format!("delivery/{}", doc.id);
            let details = params! {
                "channel" => doc.channel, "to" => doc.to, "error" => doc.error,
                "tries" => format!("{} of {TRIES}", doc.attempts),
            };
            tx.audit(plain_entry(now, Actor::System, "delivery.dead", object).with(details).into());
        }
        tx.effect_done(effect.id);
        self.store.commit(tx).await?;
        Ok(())
    }

    async fn nothing_to_do(&self, effect: &Effect) -> Result<(), Problem> {
        let mut tx = Tx::new(self.clock.now());
        tx.effect_done(effect.id);
        self.store.commit(tx).await?;
        Ok(())
    }

    /// How a channel's last try went, for whoever looks at the channel.
    pub(super) async fn note_try(
        &self,
        channel: &ChannelRecord,
        at: Timestamp,
        ok: bool,
        text: &str,
    ) -> Result<(), Problem> {
        let last = LastTry { at, ok, text: text.to_owned() };
        let mut tx = Tx::new(at);
        tx.put(Kind::Meta, last_try(&channel.id), &last, Index::none());
        self.store.commit(tx).await?;
        Ok(())
    }

    /// The receiver said 410: it wants no more.
    async fn switch_off(
        &self,
        channel: &Versioned<ChannelRecord>,
        now: Timestamp,
    ) -> Result<(), Problem> {
        let mut doc = channel.doc.clone();
        let text =
            "{name} was switched off: its receiver answered that it wants no more messages (410).";
        doc.enabled = false;
        doc.disabled = Some(Sentence::render("gone", text, params! {"name" => doc.name}));
        let mut tx = Tx::new(now);
        tx.update(Kind::Channel, &doc.id, channel.generation, &doc, Index::none());
        let object = format!("channel/{}", doc.id);
        tx.audit(plain_entry(now, Actor::System, "channel.switched_off", object).into());
        match self.store.commit(tx).await {
            // Somebody edited it meanwhile: the next answer is about what it is now.
            Ok(_) | Err(store::CommitError::Conflict { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// What goes out for a message; the reason if it cannot.
    pub(super) async fn ready(
        &self,
        channel: &ChannelRecord,
        record: &DeliveryRecord,
    ) -> Result<Result<Ready, NotSent>, Problem> {
        let person = match &record.to {
            Some(name) => self.store.get::<Person>(Kind::Person, name).await?,
            None => None,
        };
        Ok(self.dress(channel, record, person.map(|person| person.doc).as_ref()))
    }

    /// The message in the channel's own form.
    pub(super) fn dress(
        &self,
        channel: &ChannelRecord,
        record: &DeliveryRecord,
        person: Option<&Person>,
    ) -> Result<Ready, NotSent> {
        let secret = |held: &Option<super::Held>| match held {
            Some(held) => self.reveal(held, &channel.id).map(Some).map_err(NotSent::Unreachable),
            None => Ok(None),
        };
        let reach = if channel.allow_private { Reach::Anywhere } else { Reach::Public };
        let id = self.message_id(&record.id);
        if channel.kind == ChannelKind::Email {
            let settings = channel.email.as_ref();
            let settings = settings.ok_or_else(|| NotSent::Wrong("it has no server".to_owned()))?;
            let person =
                person.ok_or_else(|| NotSent::Wrong("the person no longer exists".to_owned()))?;
            let password = secret(&channel.secret)?;
            let server = Server {
                host: settings.host.clone(),
                port: settings.port.unwrap_or(settings.tls.port()),
                protection: settings.tls,
                login: settings.login.clone().zip(password),
                reach,
            };
            let host = self.config.origin.split('/').next().unwrap_or("tidegate");
            let mail = Mail {
                from: settings.from.clone(),
                name: person.display.clone(),
                address: person.email.clone(),
                subject: render::subject(record),
                text: render::text(record, &self.config.origin),
                id: format!("{id}@{host}"),
            };
            return Ok(Ready::Mail { server, mail });
        }
        let url = secret(&channel.url)?.unwrap_or_default();
        if channel.kind == ChannelKind::Slack {
            return Ok(Ready::Post {
                url,
                headers: Vec::new(),
                body: render::slack(record),
                reach,
            });
        }
        let body = render::webhook(record, &self.config.origin);
        let kept = secret(&channel.secret)?.unwrap_or_default();
        let signer = Secret::parse(&kept).ok_or_else(|| {
            NotSent::Unreachable(
                "its secret is not `whsec_` and 24 to 64 bytes in base64".to_owned(),
            )
        })?;
        let headers = signer.headers(&id, self.clock.now(), &body);
        Ok(Ready::Post { url, headers, body, reach })
    }

    /// The id of a message: the same however often it is sent.
    pub(super) fn message_id(&self, delivery: &str) -> String {
        let digest =
            domain::ids::Digest::of(format!("{}\0{delivery}", self.config.origin).as_bytes());
        format!("msg_{}", &digest.hex()[..24])
    }
}

/// Sends it; what the receiver said, in words.
pub(super) async fn go(ready: Ready) -> Result<String, NotSent> {
    match ready {
        Ready::Post { url, headers, body, reach } => webhook::post(&url, &headers, body, reach)
            .await
            .map(|status| format!("the receiver answered with status {status}")),
        Ready::Mail { server, mail } => {
            mail::send(&server, &mail).await.map(|()| "the mail server took it".to_owned())
        }
    }
}

pub(super) fn last_try(channel: &str) -> String {
    format!("channel/{channel}")
}

/// Evenly from [0, 1).
fn jitter() -> Result<f64, Problem> {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes).map_err(|e| crate::wrong("random numbers", &e))?;
    Ok(f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0))
}
