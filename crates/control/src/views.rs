//! What people and programs read and send: the resources of `/api/v1`.
//!
//! One shape for the page, the command line and scripts. Every object carries
//! the generation to send back in `If-Match` where it can be written, and the
//! sentences people read are rendered here, once.

use domain::approval::{Approval, Decision, Requirement};
use domain::change::ChangeState;
use domain::finding::GateReport;
use domain::ids::{
    AppName, ChangeId, Digest, EnvName, ExperimentId, Generation, IncidentId, PersonName,
    ReleaseId, RequestId, RolloutId,
};
use domain::manifest::{ComponentDiff, Manifest};
use domain::people::Role;
use domain::rollout::{Exposure, Phase, Report};
use domain::sentence::Sentence;
use domain::telemetry::RequestRecord;
use domain::units::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// One page of a list. Send `next` back as `cursor` for the page after it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Cursor of the next page; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Something a person could do now, and why not if not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllowedAction {
    /// The word to send, for example `pause`.
    pub kind: String,
    /// True if it would be accepted.
    pub enabled: bool,
    /// Otherwise why, and who could.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
    /// What would happen, in a sentence.
    pub consequence: String,
    /// How much is asked of whoever does it: `C1` one click, `C2` a dialog that
    /// names who and what, `C3` a written reason as well.
    #[serde(default)]
    pub confirm_level: String,
}

impl AllowedAction {
    /// An action that is open unless something speaks against it.
    pub(crate) fn new(kind: &str, why_not: Option<String>, consequence: &str) -> Self {
        // Slow is only the risky direction: stopping harm asks for little.
        let confirm = match kind {
            "pause" => "C1",
            "promote" | "unkill" => "C3",
            _ => "C2",
        };
        Self {
            kind: kind.to_owned(),
            enabled: why_not.is_none(),
            why_not,
            consequence: consequence.to_owned(),
            confirm_level: confirm.to_owned(),
        }
    }
}

/// An app as lists show it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AppView {
    /// Name.
    pub name: AppName,
    /// Who answers for it.
    pub owner: String,
    /// `low`, `medium` or `high`.
    pub risk: String,
    /// Environment shown.
    pub environment: EnvName,
    /// What `production` points at.
    pub production: Option<ReleaseId>,
    /// Prompt and model of production, for people: `summary@1.0.0`.
    pub labels: BTreeMap<String, String>,
    /// The rollout under way.
    pub rollout: Option<RolloutId>,
    /// The experiment under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experiment: Option<ExperimentId>,
    /// Set while the kill switch is thrown.
    pub killed: Option<Timestamp>,
    /// No new rollout before then.
    pub cool_down_until: Option<Timestamp>,
    /// What the reader may do.
    #[serde(default)]
    pub allowed_actions: Vec<AllowedAction>,
    /// For `If-Match`.
    pub generation: Generation,
    /// Its page.
    pub url: String,
}

/// One file of a proposed change.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// Path in the ops repo.
    pub path: String,
    /// The new text; absent removes the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
}

impl std::fmt::Debug for Edit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Edit({}, {} bytes)", self.path, self.content.as_ref().map_or(0, String::len))
    }
}

/// `POST /api/v1/changes`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewChange {
    /// The app it is for.
    pub app: AppName,
    /// One line; made from `why` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Why, at least ten characters.
    pub why: String,
    /// The files. Either these …
    #[serde(default)]
    pub edits: Vec<Edit>,
    /// … or an existing, already pushed branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// Raise the version of every prompt whose text changes, so that the
    /// author need not: `patch`, `minor` or `major`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bump: Option<String>,
}

/// `PATCH /api/v1/changes/{id}`: new content under the same number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateChange {
    /// The files that differ from the branch as it is.
    pub edits: Vec<Edit>,
    /// As in [`NewChange`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bump: Option<String>,
}

/// `POST /api/v1/changes/{id}/approvals`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewApproval {
    /// Yes or no.
    pub decision: Decision,
    /// Why; needed for a no.
    #[serde(default)]
    pub comment: String,
    /// The content that was looked at, from [`ChangeView::content`].
    pub content: Digest,
}

/// A change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChangeView {
    /// Number.
    pub id: ChangeId,
    /// App.
    pub app: AppName,
    /// One line.
    pub title: String,
    /// Why.
    pub why: String,
    /// Who proposed it.
    pub author: PersonName,
    /// Everyone who wrote part of it; none of them may approve.
    pub contributors: BTreeSet<PersonName>,
    /// State.
    pub state: ChangeState,
    /// The state in a sentence, with what comes next.
    pub summary: Sentence,
    /// Branch in the ops repo.
    pub branch: String,
    /// Last looked-at commit.
    pub head: String,
    /// What approvals bind to.
    pub content: Digest,
    /// Composed release.
    pub release: Option<ReleaseId>,
    /// What it would replace.
    pub production: Option<ReleaseId>,
    /// The difference between the two.
    pub differences: Vec<ComponentDiff>,
    /// What the gates said.
    pub report: Option<GateReport>,
    /// What is asked of whom.
    pub requirements: Vec<Requirement>,
    /// What policies were told, when it was checked last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<domain::facts::Facts>,
    /// Of these, what is still missing.
    pub missing: Vec<Requirement>,
    /// Decisions, void ones included.
    pub approvals: Vec<Approval>,
    /// Who asks for changes, while that is what it waits for.
    #[serde(default)]
    pub asked: Option<Approval>,
    /// Merge commit.
    pub merge_commit: Option<String>,
    /// Rollout.
    pub rollout: Option<RolloutId>,
    /// Revert commit.
    pub revert_commit: Option<String>,
    /// When proposed.
    pub created_at: Timestamp,
    /// When it last moved.
    pub updated_at: Timestamp,
    /// What the reader may do.
    #[serde(default)]
    pub allowed_actions: Vec<AllowedAction>,
    /// For `If-Match`.
    pub generation: Generation,
    /// Its page.
    pub url: String,
    /// Its pull request, where there is a forge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_request: Option<crate::forge::PullView>,
}

/// A rollout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RolloutView {
    /// Number.
    pub id: RolloutId,
    /// App.
    pub app: AppName,
    /// Change it carries out.
    pub change: ChangeId,
    /// Title of that change.
    pub title: String,
    /// Release on trial.
    pub candidate: ReleaseId,
    /// Release everyone has now.
    pub stable: ReleaseId,
    /// `prompt summary@1.1.0  model …` of each.
    pub candidate_labels: BTreeMap<String, String>,
    /// The same of the stable one.
    pub stable_labels: BTreeMap<String, String>,
    /// Phase.
    pub phase: Phase,
    /// Index of the step under way, from 0.
    pub step: usize,
    /// Steps in words, for example `weight 5%, 30m`.
    pub steps: Vec<String>,
    /// What gateways are told.
    pub exposure: Exposure,
    /// The newest look.
    pub report: Option<Report>,
    /// The final decision in a sentence.
    pub decision: Option<Sentence>,
    /// When it was taken.
    pub decided_at: Option<Timestamp>,
    /// From the decision until every gateway had taken it up.
    pub swing_back: Option<Span>,
    /// Candidate answers to users so far.
    pub requests_exposed: u64,
    /// Of these, bad ones by the signal that decided.
    pub requests_harmed: u64,
    /// Incident it opened.
    pub incident: Option<IncidentId>,
    /// Commit that promoted or reverted it in git.
    pub git_commit: Option<String>,
    /// When it began.
    pub started_at: Timestamp,
    /// What the reader may do.
    #[serde(default)]
    pub allowed_actions: Vec<AllowedAction>,
    /// For `If-Match`.
    pub generation: Generation,
    /// Its page.
    pub url: String,
}

/// `POST /api/v1/rollouts/{id}/actions` and `POST /api/v1/apps/{app}/actions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewAction {
    /// Rollouts: `pause`, `resume`, `approve`, `promote`, `rollback`.
    /// Apps: `rollback`, `kill`, `unkill`.
    pub kind: String,
    /// Why. Needed for `promote` and `unkill`; may follow within the hour for
    /// `rollback` and `kill`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// `rollback` of an app: to this earlier release instead of the last one
    /// (full id or unique prefix).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// What an action led to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ActionResult {
    /// What happened, in a sentence.
    pub done: Sentence,
    /// The rollout concerned.
    pub rollout: Option<RolloutId>,
    /// The incident opened.
    pub incident: Option<IncidentId>,
    /// Snapshot generation that carries it.
    pub snapshot: Generation,
    /// Gateways that already serve it, of all that are connected.
    pub gateways: (usize, usize),
}

/// A release.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReleaseView {
    /// Id.
    pub id: ReleaseId,
    /// App.
    pub app: AppName,
    /// Manifest.
    pub manifest: Manifest,
    /// DSSE envelope over the canonical manifest.
    pub envelope: serde_json::Value,
    /// Change that brought it.
    pub change: Option<ChangeId>,
    /// Commit it was composed from.
    pub commit: String,
    /// When it was composed.
    pub created_at: Timestamp,
    /// True while pushes of it are refused.
    pub denied: Option<String>,
    /// True if production points at it.
    pub live: bool,
    /// Its page.
    pub url: String,
}

/// `GET /api/v1/requests/{id}/explain`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WhyView {
    /// The request.
    pub id: RequestId,
    /// The answer the user got.
    pub served: RequestRecord,
    /// The mirrored answer, if there was one.
    pub shadow: Option<RequestRecord>,
    /// Why this release answered, in a sentence with the bucket.
    pub summary: Sentence,
    /// Release that answered.
    pub release: ReleaseView,
    /// The last good release: what served everyone else.
    pub last_good: Option<ReleaseView>,
    /// How the two differ, component by component.
    pub differences: Vec<ComponentDiff>,
    /// Unified diff of each changed component's content, by kind.
    pub texts: BTreeMap<String, String>,
    /// What people said about the answer, by name.
    pub feedback: Vec<FeedbackView>,
    /// Change that brought the release.
    pub change: Option<ChangeId>,
    /// Commit of that change on `main`.
    pub commit: Option<String>,
    /// What became of its rollout.
    pub outcome: Option<Sentence>,
}

/// One remark about an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeedbackView {
    /// Signal.
    pub name: String,
    /// Number.
    pub value: f64,
    /// When it became known.
    pub at: Timestamp,
    /// True if about the mirrored answer.
    pub shadow: bool,
}

/// A judged answer that people are asked to label. Who answered is not said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SampleView {
    /// The request.
    pub request: RequestId,
    /// True if the mirrored answer is meant: post with `shadow`.
    pub shadow: bool,
    /// The signal whose judge is corrected by it.
    pub signal: String,
    /// Name of the feedback to post.
    pub post_as: String,
    /// True if it is labelled already.
    pub labelled: bool,
    /// When the judge's word became known.
    pub at: Timestamp,
    /// The rendered messages, redacted, if they are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// The answer, redacted, if it is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
}

/// A person, with no secret in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PersonView {
    /// Name for signing in.
    pub name: PersonName,
    /// Name as people say it.
    #[serde(default)]
    pub display: String,
    /// E-mail: the identity of the person's commits.
    #[serde(default)]
    pub email: String,
    /// Roles.
    pub roles: BTreeSet<Role>,
}

/// `POST /api/v1/tokens`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// For a person: acts with the person's roles on the control port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<PersonName>,
    /// For programs: may only call these apps through the gateway.
    #[serde(default)]
    pub apps: BTreeSet<AppName>,
    /// Also lets a gateway process join (fetch snapshots, ship telemetry).
    #[serde(default)]
    pub gateway: bool,
    /// What it is for, for lists.
    #[serde(default)]
    pub note: String,
    /// Not valid after so long; one year if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<Span>,
}

/// A token as lists show it: never the secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenView {
    /// First characters of the hash, to revoke it by.
    pub id: String,
    /// Whose it is.
    pub person: Option<PersonName>,
    /// Apps it may call.
    pub apps: BTreeSet<AppName>,
    /// True if gateways join with it.
    pub gateway: bool,
    /// What it is for.
    pub note: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Not valid from then on.
    pub expires_at: Timestamp,
}

/// A token just made: the only time its secret is shown.
#[derive(Clone, Serialize, Deserialize)]
pub struct MadeToken {
    /// The secret.
    pub secret: String,
    /// The rest.
    pub token: TokenView,
}

impl std::fmt::Debug for MadeToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MadeToken({})", self.token.id)
    }
}

/// Who is asking.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhoAmI {
    /// The person.
    pub person: PersonView,
    /// Name of the installation: the origin of its audit log.
    pub origin: String,
    /// The audit log's verification key.
    pub log_key: String,
    /// Environment.
    pub environment: EnvName,
    /// Where gateways listen, if this process runs one.
    pub gateway_url: Option<String>,
}

/// One row of the audit log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditView {
    /// Place in the log, from 0.
    pub index: u64,
    /// The entry.
    pub entry: domain::audit::Entry,
}

/// `GET /api/v1/audit/verify`: the server's own check of its log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditVerification {
    /// True if every hash and signature holds.
    pub whole: bool,
    /// Entries checked.
    pub entries: u64,
    /// Root recomputed from the entries, base64.
    pub root: String,
    /// The result in a sentence.
    pub summary: Sentence,
}

/// `GET /api/v1/git`: does git say what is live?
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GitView {
    /// Newest commit of `main`.
    pub head: String,
    /// Where to clone from.
    pub clone_url: String,
    /// Differences between git and what is live, per app, in sentences.
    pub drift: Vec<Sentence>,
    /// Effects on git still under way.
    pub pending: Vec<String>,
    /// How the forge does, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forge: Option<crate::forge::ForgeView>,
}

/// A gateway as control sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayView {
    /// Name.
    pub name: String,
    /// Generation it serves.
    pub serving: Generation,
    /// Newest generation.
    pub newest: Generation,
    /// When it was last heard of.
    pub seen_at: Timestamp,
}
