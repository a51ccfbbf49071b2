//! Everything a gateway needs to serve: immutable, generation-numbered, signed.
//!
//! `control` compiles one from git, aliases and rollout states; gateways verify
//! it, keep it on disk, and serve from it with everything else down. Large
//! texts (recordings) are named by digest and fetched once.

use crate::component::Component;
use crate::component::ComponentKind;
use crate::experiment::division::Division;
use crate::ids::{
    AppName, ChangeId, Digest, EnvName, ExperimentId, GatewayName, Generation, PersonName,
    ReleaseId, RolloutId,
};
use crate::keys::{PublicKey, SecretKey};
use crate::policy::SubjectKey;
use crate::rollout::Exposure;
use crate::units::{Span, Timestamp};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Version of the stored and sent form.
pub const FORMAT: u32 = 1;

/// What a gateway serves from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Always [`FORMAT`].
    pub format: u32,
    /// The environment.
    pub environment: EnvName,
    /// Grows with every publication; gateways reject older ones.
    pub generation: Generation,
    /// When it was compiled.
    pub issued_at: Timestamp,
    /// The apps.
    pub apps: BTreeMap<AppName, AppSnapshot>,
    /// Every release any app may serve.
    pub releases: BTreeMap<ReleaseId, ServedRelease>,
    /// Who may call: hex SHA-256 of the token → what it grants.
    pub tokens: BTreeMap<String, Grant>,
    /// Blobs (recordings) the releases name; fetched before the snapshot is used.
    pub blobs: BTreeSet<Digest>,
}

/// How one app is served.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AppSnapshot {
    /// What `production` points at.
    pub production: ReleaseId,
    /// Salt of the sticky assignment; belongs to the app's release line, so a
    /// retry does not expose new people.
    pub salt: String,
    /// Whose requests stick together.
    pub subject: SubjectKey,
    /// The rollout under way.
    pub rollout: Option<RolloutExposure>,
    /// The experiment under way; never beside a rollout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experiment: Option<ExperimentExposure>,
    /// Set while the kill switch is thrown.
    pub killed: Option<Kill>,
    /// Deterministic answers for the kill switch and for failures.
    pub fallback: Option<Value>,
    /// What users get when the provider fails.
    pub on_error: OnError,
    /// Longest a provider may take for one answer.
    pub timeout: Span,
    /// Largest number of retries of a failed call before the first byte.
    pub retries: u32,
}

/// What users get when the provider fails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// The error, in OpenAI's shape.
    #[default]
    Error,
    /// The fallback's answer, marked in `x-tidegate-fallback`.
    Fallback,
}

/// The candidate's exposure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutExposure {
    /// Which rollout.
    pub rollout: RolloutId,
    /// Its step: part of the key of telemetry cells.
    pub step: u32,
    /// The release on trial.
    pub candidate: ReleaseId,
    /// Shares.
    pub exposure: Exposure,
}

/// Who gets which variant of an experiment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExperimentExposure {
    /// Which experiment.
    pub experiment: ExperimentId,
    /// Salt of its assignment, its own.
    pub salt: String,
    /// The attribute of a request that names its segment.
    pub segment_by: Option<String>,
    /// The segments with a division of their own.
    pub segments: Vec<String>,
    /// The variants, in the policy's order.
    pub variants: Vec<VariantExposure>,
    /// The places of each segment, and of everybody else at the end.
    pub divisions: Vec<Division>,
}

/// One variant of an experiment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VariantExposure {
    /// Its name.
    pub name: String,
    /// The release that answers.
    pub release: ReleaseId,
}

/// A thrown kill switch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kill {
    /// Since when.
    pub since: Timestamp,
    /// Who threw it.
    pub by: PersonName,
}

/// A kill switch thrown (or released) at a gateway itself, with everything else
/// down. The gateway acts on it at once, keeps it in a journal on its own disk
/// and delivers it until control has it; delivery is at least once, [`LocalKill::id`]
/// tells repetitions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalKill {
    /// Unique: names this entry for ever.
    pub id: String,
    /// Where it was thrown.
    pub gateway: GatewayName,
    /// When.
    pub at: Timestamp,
    /// Which app.
    pub app: AppName,
    /// True if thrown, false if released.
    pub killed: bool,
    /// [`Grant::name`] of the token that did it.
    pub by: String,
    /// Why, in the operator's words.
    pub reason: String,
}

/// A release with its content.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct ServedRelease {
    /// The app it belongs to.
    pub app: AppName,
    /// Names, versions, digests.
    pub components: BTreeMap<ComponentKind, Component>,
    /// Resolved content, by kind. Forms: [`PromptContent`], [`ModelContent`];
    /// `parameters` is a JSON object merged into the provider's request.
    pub contents: BTreeMap<ComponentKind, Value>,
}

impl fmt::Debug for ServedRelease {
    /// Contents stay out of logs: names and versions say which they are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let labels: Vec<_> = self.components.values().map(Component::label).collect();
        write!(f, "ServedRelease({}: {})", self.app, labels.join(", "))
    }
}

/// Content of a prompt component.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromptContent {
    /// The messages, in order.
    pub messages: Vec<PromptMessage>,
    /// Shared partials the templates include, by name.
    #[serde(default)]
    pub partials: BTreeMap<String, String>,
    /// Variables the app declares.
    #[serde(default)]
    pub variables: BTreeMap<String, Variable>,
}

/// One message of a prompt: a template, or the place of the caller's own messages.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum PromptMessage {
    /// A rendered message.
    Template {
        /// `system`, `user` or `assistant`.
        role: String,
        /// File name, for errors.
        file: String,
        /// The Jinja template.
        template: String,
    },
    /// The messages of the request go here. At the end if named nowhere.
    Conversation,
}

impl fmt::Debug for PromptContent {
    /// Prompts stay out of logs: only their shape prints.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PromptContent")
            .field("messages", &self.messages)
            .field("partials", &self.partials.keys())
            .field("variables", &self.variables.keys())
            .finish()
    }
}

impl fmt::Debug for PromptMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Template { role, file, .. } => write!(f, "{role}:{file}"),
            Self::Conversation => f.write_str("conversation"),
        }
    }
}

/// A declared variable of an app.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    /// True if a request without it is an error.
    #[serde(default = "yes")]
    pub required: bool,
    /// Used when the request has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// An example, for previews and token counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub example: Option<Value>,
    /// What it holds, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

fn yes() -> bool {
    true
}

/// Content of a model component: one immutable entry of `models/<name>.yaml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelContent {
    /// Who answers.
    pub provider: Provider,
    /// The provider's own immutable model id.
    pub provider_model: String,
    /// Largest number of tokens in prompt and answer together.
    pub context_window: u32,
    /// Name of the tokenizer: `cl100k_base`, `o200k_base`.
    pub tokenizer: String,
    /// Price of a million prompt tokens, in US dollars.
    pub price_input_per_million: f64,
    /// Price of a million answer tokens, in US dollars.
    pub price_output_per_million: f64,
}

/// How a model is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum Provider {
    /// Recorded answers.
    Replay {
        /// Template over the request's variables that names a recording.
        key: String,
        /// Digest of each recordings file (JSONL), in order.
        recordings: Vec<Digest>,
        /// Wait as long as the recording did.
        #[serde(default)]
        latency: bool,
    },
    /// Any OpenAI-compatible HTTP API.
    Openai {
        /// For example `https://api.openai.com/v1`.
        base_url: String,
        /// Name of the environment variable of the gateway that holds the key.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key_env: Option<String>,
    },
    /// The deterministic rules of `fallback.yaml`.
    Rules {},
}

/// What a token grants at a gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Whose token; its name in logs.
    pub name: String,
    /// Apps it may call; all if empty.
    #[serde(default)]
    pub apps: BTreeSet<AppName>,
    /// May throw the kill switch at the gateway itself.
    #[serde(default)]
    pub operate: bool,
    /// Not valid from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Its requests are answered by a change's release, whatever is routed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<PreviewGrant>,
}

/// What the token of a preview is answered from, and how much of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviewGrant {
    /// The change.
    pub change: ChangeId,
    /// The release that answers.
    pub release: ReleaseId,
    /// Most tokens of prompts and answers together.
    pub cap: u64,
    /// Tokens that all gateways are known to have spent: at least so many, told
    /// in tenths of the cap (each telling is a snapshot), and the cap once it is
    /// reached. A gateway counts its own beside it.
    pub used: u64,
}

/// What stands before the body in the signed bytes, so that no other signed
/// form can pass for a snapshot.
const SIGNED_PREFIX: &str = "tidegate-snapshot/v1\n";

/// A snapshot as it travels: the exact bytes that were signed, and the signature.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedSnapshot {
    /// The JSON of a [`Snapshot`].
    pub body: String,
    /// Base64 Ed25519 signature over `tidegate-snapshot/v1\n` and `body`.
    pub signature: String,
}

impl fmt::Debug for SignedSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignedSnapshot({} bytes)", self.body.len())
    }
}

/// Why a received snapshot is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSnapshot {
    /// Not signed by the installation's key, or altered on the way.
    #[error("the snapshot's signature does not fit the key {0}; it is not used")]
    Forged(String),
    /// Signed, but not readable.
    #[error("the signed snapshot cannot be read: {0}")]
    Unreadable(String),
    /// A form this program does not know.
    #[error("the snapshot has form {0}, this program reads form 1; update this gateway")]
    OtherFormat(u32),
}

impl SignedSnapshot {
    /// Signs a snapshot.
    ///
    /// # Errors
    /// [`BadSnapshot::Unreadable`] if it has no JSON form (a price that is not
    /// a number).
    pub fn sign(snapshot: &Snapshot, key: &SecretKey) -> Result<Self, BadSnapshot> {
        let body =
            serde_json::to_string(snapshot).map_err(|e| BadSnapshot::Unreadable(e.to_string()))?;
        let signature = BASE64.encode(key.sign(&signed_bytes(&body)));
        Ok(Self { body, signature })
    }

    /// Verifies the signature, and only then reads the body.
    ///
    /// # Errors
    /// [`BadSnapshot`].
    pub fn open(&self, key: &PublicKey) -> Result<Snapshot, BadSnapshot> {
        let signature = BASE64.decode(&self.signature).unwrap_or_default();
        if !key.verify(&signed_bytes(&self.body), &signature) {
            return Err(BadSnapshot::Forged(key.id()));
        }
        let unreadable = |e: serde_json::Error| BadSnapshot::Unreadable(e.to_string());
        let form: Form = serde_json::from_str(&self.body).map_err(unreadable)?;
        if form.format != FORMAT {
            return Err(BadSnapshot::OtherFormat(form.format));
        }
        serde_json::from_str(&self.body).map_err(unreadable)
    }
}

/// What is read first, so that a later form is refused by its number.
#[derive(Deserialize)]
struct Form {
    format: u32,
}

fn signed_bytes(body: &str) -> Vec<u8> {
    [SIGNED_PREFIX, body].concat().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty() -> Snapshot {
        Snapshot {
            format: FORMAT,
            environment: "production".parse().unwrap(),
            generation: Generation(3),
            issued_at: Timestamp(7),
            apps: BTreeMap::new(),
            releases: BTreeMap::new(),
            tokens: BTreeMap::new(),
            blobs: BTreeSet::new(),
        }
    }

    #[test]
    fn a_snapshot_opens_only_with_its_key_and_unaltered() {
        let key = SecretKey::from_random([1; 32]);
        let signed = SignedSnapshot::sign(&empty(), &key).unwrap();
        assert_eq!(signed.open(&key.public()), Ok(empty()));
        let other = SecretKey::from_random([2; 32]).public();
        assert_eq!(signed.open(&other), Err(BadSnapshot::Forged(other.id())));
        let altered = SignedSnapshot {
            body: signed.body.replace("\"generation\":3", "\"generation\":4"),
            ..signed.clone()
        };
        assert_ne!(altered, signed);
        assert!(matches!(altered.open(&key.public()), Err(BadSnapshot::Forged(_))));
        let unsigned = SignedSnapshot { signature: String::new(), ..signed };
        assert!(matches!(unsigned.open(&key.public()), Err(BadSnapshot::Forged(_))));
    }

    #[test]
    fn prompts_do_not_print() {
        let prompt = PromptContent {
            messages: vec![PromptMessage::Template {
                role: "system".to_owned(),
                file: "system.j2".to_owned(),
                template: "secret sauce".to_owned(),
            }],
            partials: [("tone".to_owned(), "secret tone".to_owned())].into(),
            variables: BTreeMap::new(),
        };
        let shown = format!("{prompt:?}");
        assert!(shown.contains("system.j2") && !shown.contains("secret"), "{shown}");
    }

    #[test]
    fn a_later_form_is_refused_by_its_number() {
        let key = SecretKey::from_random([1; 32]);
        let body = r#"{"format":2,"news":[]}"#.to_owned();
        let signature = BASE64.encode(key.sign(&signed_bytes(&body)));
        let signed = SignedSnapshot { body, signature };
        assert_eq!(signed.open(&key.public()), Err(BadSnapshot::OtherFormat(2)));
    }

    #[test]
    fn a_signature_over_the_bare_body_does_not_count() {
        let key = SecretKey::from_random([1; 32]);
        let body = serde_json::to_string(&empty()).unwrap();
        let signature = BASE64.encode(key.sign(body.as_bytes()));
        assert!(SignedSnapshot { body, signature }.open(&key.public()).is_err());
    }
}
