//! What people see of channels and messages, and what they send. No secret is
//! in any of it but the one that was just made.

use connect::mail::Protection;
use domain::ids::{AppName, PersonName};
use domain::notice::{Event, Mode};
use domain::sentence::Sentence;
use domain::units::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What a channel speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChannelKind {
    /// Standard Webhooks 1.0, to a program.
    Webhook,
    /// `{"text": …}`, to a room of Slack, Mattermost and others.
    Slack,
    /// E-mail, to each person concerned.
    Email,
}

/// A team's mail server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmailSettings {
    /// Its name.
    pub host: String,
    /// Its port; the usual one of `tls` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// How the connection is protected.
    #[serde(default)]
    pub tls: Protection,
    /// Name to sign in with; the channel's secret is the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<String>,
    /// Who the mails are from.
    pub from: String,
}

/// A channel as sent by an admin.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewChannel {
    /// What it speaks.
    pub kind: ChannelKind,
    /// What people call it.
    pub name: String,
    /// Where to (webhook, slack): an address, `env:NAME` or `file:NAME`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// A webhook's `whsec_…`, or the mail server's password; or `env:NAME`, `file:NAME`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// The mail server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<EmailSettings>,
    /// Only of these; of all if empty.
    #[serde(default)]
    pub events: BTreeSet<Event>,
    /// Only about these apps; about all if empty.
    #[serde(default)]
    pub apps: BTreeSet<AppName>,
    /// Its address may be inside the house.
    #[serde(default)]
    pub allow_private: bool,
    /// False: nothing is sent.
    #[serde(default = "yes")]
    pub enabled: bool,
}

fn yes() -> bool {
    true
}

/// How a channel does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// When.
    pub at: Timestamp,
    /// It arrived.
    pub ok: bool,
    /// What the receiver said.
    pub text: String,
}

/// A channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChannelView {
    /// Its id, for example `nc-1`.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// What it speaks.
    pub kind: ChannelKind,
    /// False: nothing is sent.
    pub enabled: bool,
    /// Where to, as far as it may be shown.
    pub target: String,
    /// Where its secret is: `env:NAME`, `file:NAME`, `kept here`, `none`.
    pub secret: String,
    /// Only of these; of all if empty.
    pub events: BTreeSet<Event>,
    /// Only about these apps; about all if empty.
    pub apps: BTreeSet<AppName>,
    /// Its address may be inside the house.
    pub allow_private: bool,
    /// The mail server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<EmailSettings>,
    /// `unused`, `ok`, `failing`, `disabled`.
    pub state: String,
    /// The same in a sentence.
    pub state_text: Sentence,
    /// The last try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Tried>,
    /// Messages that wait.
    pub waiting: u64,
    /// Dead letters.
    pub dead: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// For `If-Match`.
    pub version: u64,
}

/// A channel just made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MadeChannel {
    /// The channel.
    pub channel: ChannelView,
    /// The secret that was made for it: shown once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// How a test went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tested {
    /// It arrived.
    pub ok: bool,
    /// What the receiver said, or why it was not reached.
    pub text: String,
    /// How long it took, in milliseconds.
    pub took_ms: i64,
}

/// Exactly what a message looks like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviewView {
    /// Of what.
    pub event: Event,
    /// By what kind of channel.
    pub channel: ChannelKind,
    /// Its subject line.
    pub subject: String,
    /// What it says.
    pub text: String,
    /// Its one link.
    pub url: String,
    /// The form of `body`.
    pub content_type: String,
    /// What would be sent.
    pub body: String,
    /// Headers beside it.
    pub headers: BTreeMap<String, String>,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryView {
    /// Its id, for example `nd-7`.
    pub id: String,
    /// What it tells of; the first thing of a digest.
    pub event: Event,
    /// The app.
    pub app: AppName,
    /// By which channel.
    pub channel: String,
    /// What people call that.
    pub channel_name: String,
    /// What it speaks; absent if it was removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ChannelKind>,
    /// To whom; absent for a room or a program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<PersonName>,
    /// Its subject.
    pub subject: String,
    /// The sentence.
    pub text: String,
    /// What is asked of the person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ask: Option<String>,
    /// The link.
    pub url: String,
    /// `waiting`, `held` (for a digest, or for repeats), `sent`, `dead`, `dropped`.
    pub state: String,
    /// Tries so far.
    pub attempts: u32,
    /// When it is tried next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done_at: Option<Timestamp>,
    /// Why the last try failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The id receivers know it by; the same however often it is sent.
    pub message_id: String,
    /// Things folded into it beside the first.
    pub folded: u32,
}

/// How a person is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreferencesView {
    /// Of what is not named.
    pub mode: Mode,
    /// By event.
    pub events: BTreeMap<Event, Mode>,
    /// What comes at once whatever is chosen, because of the person's roles.
    pub always: Vec<Event>,
    /// Where mails go.
    pub email: String,
}

/// What a person chooses.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewPreferences {
    /// Of what is not named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// By event; those not named are as `mode` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<BTreeMap<Event, Mode>>,
}
