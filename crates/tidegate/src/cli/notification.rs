//! `notification …`: channels, messages, preferences.

use super::client::{escape, query};
use super::failure::{Exit, Failure};
use super::output::{Out, talk};
use super::paging::Paging;
use super::run::Run;
use super::text;
use clap::{Args, Subcommand, ValueEnum};
use connect::mail::Protection;
use control::notify::{
    ChannelKind, ChannelView, DeliveryView, EmailSettings, MadeChannel, NewChannel, NewPreferences,
    PreferencesView, PreviewView, Tested,
};
use control::views::Page;
use domain::ids::AppName;
use domain::notice::{Event, Mode};
use std::collections::BTreeMap;

/// Verbs on notifications.
#[derive(Debug, Subcommand)]
pub enum Notification {
    /// Ways by which people are told
    List,
    /// Make a channel
    Add(Box<Add>),
    /// Remove a channel; messages that wait for it are dropped
    Remove {
        /// Its id, from `notification list`
        channel: String,
    },
    /// Send a test by a channel now; e-mail comes to you
    Test {
        /// Its id, from `notification list`
        channel: String,
    },
    /// What a message looks like
    Preview {
        /// About what
        #[arg(long, default_value = "needs_approval")]
        event: Event,
        /// In which form
        #[arg(long, value_enum, default_value_t = Kind::Email)]
        kind: Kind,
    },
    /// Messages, newest first
    Messages {
        /// Only by this channel
        #[arg(long)]
        channel: Option<String>,
        /// Only in this state: waiting, held, sent, dead, dropped
        #[arg(long)]
        state: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
    /// Send a message again, under the id it had
    Redeliver {
        /// Its id, from `notification messages`
        message: String,
    },
    /// How you are told; with options, choose it
    Preferences {
        /// How you are told of what is not named: at_once, hourly, off
        #[arg(long)]
        mode: Option<Mode>,
        /// For one event, such as `promoted=off`; may be repeated
        #[arg(long, value_name = "EVENT=MODE", value_parser = choice)]
        event: Vec<(Event, Mode)>,
    },
}

/// A channel to make.
#[derive(Debug, Args)]
pub struct Add {
    /// What it speaks
    #[arg(value_enum)]
    kind: Kind,
    /// What people call it
    name: String,
    /// Where to (webhook, slack): an address, `env:NAME` or `file:NAME`
    #[arg(long, conflicts_with = "host")]
    url: Option<String>,
    /// A webhook's secret or the mail server's password, as `env:NAME` or
    /// `file:NAME`; without it, a webhook's is made and printed once
    #[arg(long, value_name = "REFERENCE")]
    secret: Option<String>,
    /// The mail server (email)
    #[arg(long)]
    host: Option<String>,
    /// Its port [default: the usual one]
    #[arg(long)]
    port: Option<u16>,
    /// How the connection to it is protected
    #[arg(long, value_enum, default_value_t = Tls::Starttls)]
    tls: Tls,
    /// Name to sign in with there
    #[arg(long, requires = "secret")]
    login: Option<String>,
    /// Who the mails are from
    #[arg(long, requires = "host")]
    from: Option<String>,
    /// Only of this event; may be repeated
    #[arg(long)]
    event: Vec<Event>,
    /// Only about this app; may be repeated
    #[arg(short, long)]
    app: Vec<AppName>,
    /// Its address may be inside the house
    #[arg(long)]
    allow_private: bool,
}

/// What a channel speaks.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Kind {
    /// Standard Webhooks, to a program
    Webhook,
    /// To a room of Slack, Mattermost and others
    Slack,
    /// E-mail, to each person concerned
    Email,
}

impl From<Kind> for ChannelKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Webhook => Self::Webhook,
            Kind::Slack => Self::Slack,
            Kind::Email => Self::Email,
        }
    }
}

/// How a connection to a mail server is protected.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Tls {
    /// Turns to TLS before anything is said
    Starttls,
    /// TLS from the first byte
    #[value(name = "tls")]
    Whole,
    /// Not at all
    None,
}

fn choice(text: &str) -> Result<(Event, Mode), String> {
    let (event, mode) = text.split_once('=').ok_or("write it like `promoted=off`")?;
    Ok((
        event.parse::<Event>().map_err(|e| e.to_string())?,
        mode.parse::<Mode>().map_err(|e| e.to_string())?,
    ))
}

/// Runs a verb.
pub async fn run(run: &Run, verb: Notification) -> Result<Exit, Failure> {
    match verb {
        Notification::List => list(run).await?,
        Notification::Add(add) => create(run, *add).await?,
        Notification::Remove { channel } => {
            run.confirm(&format!("Nobody is told anything by `{channel}` any more."))?;
            run.api.delete(&format!("notifications/channels/{}", escape(&channel))).await?;
            talk(&format!("Removed `{channel}`."));
        }
        Notification::Test { channel } => {
            let path = format!("notifications/channels/{}/test", escape(&channel));
            let tested: Tested = run.api.post(&path, &(), None).await?;
            run.out.one(&tested, |_| format!("{}\n", tested.text))?;
            return Ok(if tested.ok { Exit::Ok } else { Exit::Failed });
        }
        Notification::Preview { event, kind } => preview(run, event, kind.into()).await?,
        Notification::Messages { channel, state, paging } => {
            let parameters = [("channel", channel), ("state", state)];
            let rows =
                paging.fetch::<DeliveryView>(run, "notifications/deliveries", &parameters).await?;
            run.out
                .list(&rows.items)
                .column("MESSAGE", |d, _| d.id.clone())
                .column("CREATED", |d, out: &Out| out.time(d.created_at))
                .column("BY", |d, _| d.channel_name.clone())
                .column("TO", |d, _| d.to.as_ref().map(ToString::to_string).unwrap_or_default())
                .column("STATE", |d, _| d.state.clone())
                .column("TRIES", |d, _| d.attempts.to_string())
                .column("SUBJECT", |d, out: &Out| {
                    if out.tty { text::shorten(&d.subject, 50) } else { d.subject.clone() }
                })
                .column("ERROR", |d, _| d.error.clone().unwrap_or_default())
                .print()?;
            rows.say();
        }
        Notification::Redeliver { message } => {
            let path = format!("notifications/deliveries/{}/redeliver", escape(&message));
            let delivery: DeliveryView = run.api.post(&path, &(), None).await?;
            run.out.one(&delivery, |_| format!("{} is sent again.\n", delivery.id))?;
        }
        Notification::Preferences { mode, event } => preferences(run, mode, event).await?,
    }
    Ok(Exit::Ok)
}

async fn list(run: &Run) -> Result<(), Failure> {
    let page: Page<ChannelView> = run.api.get("notifications/channels").await?;
    run.out
        .list(&page.items)
        .column("CHANNEL", |c, _| c.id.clone())
        .column("NAME", |c, _| c.name.clone())
        .column("KIND", |c, _| word(c.kind).to_owned())
        .column("TO", |c, _| c.target.clone())
        .column("EVENTS", |c, _| {
            let names: Vec<_> = c.events.iter().map(|event| event.key()).collect();
            if names.is_empty() { "all".to_owned() } else { names.join(",") }
        })
        .column("STATE", |c, _| c.state.clone())
        .column("WAITING", |c, _| c.waiting.to_string())
        .column("DEAD", |c, _| c.dead.to_string())
        .print()
}

fn word(kind: ChannelKind) -> &'static str {
    match kind {
        ChannelKind::Webhook => "webhook",
        ChannelKind::Slack => "slack",
        ChannelKind::Email => "email",
    }
}

async fn create(run: &Run, add: Add) -> Result<(), Failure> {
    let email = match (add.host, add.from) {
        (Some(host), Some(from)) => {
            let tls = match add.tls {
                Tls::Starttls => Protection::Starttls,
                Tls::Whole => Protection::Tls,
                Tls::None => Protection::None,
            };
            Some(EmailSettings { host, port: add.port, tls, login: add.login, from })
        }
        (Some(_), None) => {
            return Err(Failure::usage("nobody is named as sender of the mails")
                .fix("add `--from 'Tidegate <tidegate@example.com>'`"));
        }
        (None, _) => None,
    };
    let new = NewChannel {
        kind: add.kind.into(),
        name: add.name,
        url: add.url,
        secret: add.secret,
        email,
        events: add.event.into_iter().collect(),
        apps: add.app.into_iter().collect(),
        allow_private: add.allow_private,
        enabled: true,
    };
    let made: MadeChannel = run.api.post("notifications/channels", &new, None).await?;
    if made.secret.is_some() {
        talk("This secret is shown once. Receivers check messages with it.");
    }
    run.out.one(&made, |out| {
        out.facts(&[
            ("channel", made.channel.id.clone()),
            ("name", made.channel.name.clone()),
            ("to", made.channel.target.clone()),
            ("secret", made.secret.clone().unwrap_or_else(|| made.channel.secret.clone())),
        ])
    })
}

async fn preview(run: &Run, event: Event, kind: ChannelKind) -> Result<(), Failure> {
    let parameters =
        [("event", Some(event.key().to_owned())), ("channel", Some(word(kind).to_owned()))];
    let path = format!("notifications/preview{}", query(&parameters));
    let preview: PreviewView = run.api.get(&path).await?;
    run.out.one(&preview, |_| {
        let headers: String =
            preview.headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
        format!("{headers}{}\n", preview.body.replace("\r\n", "\n"))
    })
}

async fn preferences(
    run: &Run,
    mode: Option<Mode>,
    events: Vec<(Event, Mode)>,
) -> Result<(), Failure> {
    let path = "notifications/preferences";
    let mut now: PreferencesView = run.api.get(path).await?;
    if mode.is_some() || !events.is_empty() {
        let mut all: BTreeMap<Event, Mode> = now.events.clone();
        all.extend(events);
        let new = NewPreferences { mode, events: Some(all) };
        now = run.api.put(path, &new, None).await?;
    }
    run.out.one(&now, |out| {
        let events: Vec<_> = now
            .events
            .iter()
            .map(|(event, mode)| format!("{event}={}", mode_word(*mode)))
            .collect();
        let always: Vec<_> = now.always.iter().map(|event| event.key()).collect();
        out.facts(&[
            ("mode", mode_word(now.mode).to_owned()),
            ("events", events.join("\n")),
            ("always at once", always.join(", ")),
            ("e-mail", now.email.clone()),
        ])
    })
}

fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::AtOnce => "at_once",
        Mode::Hourly => "hourly",
        Mode::Off => "off",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_an_event_and_a_mode() {
        assert_eq!(choice("promoted=off"), Ok((Event::Promoted, Mode::Off)));
        for bad in ["promoted", "promoted=never", "lunch=off", "="] {
            assert!(choice(bad).is_err(), "{bad}");
        }
    }
}
