//! What is remembered about one request, and what people say about it later.

use crate::ids::{
    AppName, ChangeId, Digest, GatewayName, Generation, ReleaseId, RequestId, RolloutId,
};
use crate::routing::{Arm, Drawn};
use crate::units::{Share, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How an answer ended, for counting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerStatus {
    /// A whole answer.
    Ok,
    /// The provider refused or failed before the first byte.
    ProviderError,
    /// The provider took longer than the app allows.
    Timeout,
    /// The stream was cut after the first byte.
    Cut,
    /// The request was wrong (missing variable, unknown app). Not the release's
    /// fault: never counted against an arm.
    BadRequest,
    /// Answered by the fallback because the kill switch is thrown. Not counted
    /// against an arm.
    Killed,
    /// The caller hung up. Not counted against an arm.
    Cancelled,
}

impl AnswerStatus {
    /// True if this counts as an error of the arm.
    pub fn is_error(self) -> bool {
        matches!(self, Self::ProviderError | Self::Timeout | Self::Cut)
    }

    /// True if this says anything about the arm.
    pub fn counts(self) -> bool {
        !matches!(self, Self::BadRequest | Self::Killed | Self::Cancelled)
    }
}

/// The metadata of one answer: always kept. Personal data is hashed or redacted
/// before this leaves the gateway.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct RequestRecord {
    /// Its id; a mirrored copy carries the id of the request it copies.
    pub id: RequestId,
    /// When it arrived.
    pub at: Timestamp,
    /// Which gateway.
    pub gateway: GatewayName,
    /// The app.
    pub app: AppName,
    /// The release that answered.
    pub release: ReleaseId,
    /// How it counts.
    pub arm: Arm,
    /// The rollout under way.
    pub rollout: Option<RolloutId>,
    /// Its step.
    pub step: u32,
    /// The probability with which this request could have gone to the
    /// candidate; none while the candidate only answers mirrored copies. In an
    /// experiment that of its variant.
    pub share: Share,
    /// The draw of an experiment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drawn: Option<Drawn>,
    /// Snapshot it was served from.
    pub generation: Generation,
    /// Place of the subject in [0, 10 000).
    pub bucket: u16,
    /// Keyed hash of the subject.
    pub subject: String,
    /// Keyed hash of the tenant, if the request named one.
    pub tenant: Option<String>,
    /// Keyed hash of variables and messages: equal inputs are one piece of evidence.
    pub input: Digest,
    /// How it ended.
    pub status: AnswerStatus,
    /// The error in words, redacted.
    pub error: Option<String>,
    /// `none`, `rules` or `message`.
    pub fallback: String,
    /// True if answered as a stream.
    pub streamed: bool,
    /// From arrival to the last byte, in microseconds.
    pub latency_us: u64,
    /// From arrival to the first byte of the answer, in microseconds.
    pub ttft_us: u64,
    /// Retries spent.
    pub retries: u32,
    /// Tokens of the prompt.
    pub prompt_tokens: u64,
    /// Tokens of the answer.
    pub completion_tokens: u64,
    /// Cost in billionths of a US dollar.
    pub cost_nano_usd: u64,
    /// True if the answer is not what the app's schema wants; absent where none
    /// was checked: the app has no schema, or no model answered in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_failed: Option<bool>,
    /// Model id as the provider names it in the answer.
    pub served_model: Option<String>,
    /// The rendered messages, redacted; absent if not sampled.
    pub prompt: Option<String>,
    /// The answer, redacted; absent if not sampled.
    pub answer: Option<String>,
    /// The change whose preview answered; such a record is no evidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<ChangeId>,
}

impl RequestRecord {
    /// What its outcomes are kept under: the rollout or the experiment.
    pub fn trial(&self) -> Option<RolloutId> {
        self.rollout.or_else(|| self.drawn.as_ref().map(|drawn| drawn.experiment.trial()))
    }
}

impl fmt::Debug for RequestRecord {
    /// Texts of people and models stay out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestRecord")
            .field("id", &self.id)
            .field("release", &self.release)
            .field("arm", &self.arm)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// The name of an answer in outcomes: the first 64 bits of the SHA-256 of its
/// request id. By it a label finds what a judge said of the same answer, and by
/// its size it is told which answers people are asked to label.
pub fn answer_hash(request: &str) -> u64 {
    let digest = Digest::of(request.as_bytes());
    digest.as_bytes().iter().take(8).fold(0, |all, byte| all << 8 | u64::from(*byte))
}

/// Most characters of a feedback name.
pub const MAX_FEEDBACK_NAME: usize = 64;

/// What somebody says about an answer later: a user's rejection, a business
/// outcome, a human label.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feedback {
    /// Which answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
    /// Or: whose latest answer of `app`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The app, needed with `subject`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppName>,
    /// Name of the signal it counts for, for example `accepted`.
    pub name: String,
    /// The number; 0 or 1 for rates.
    pub value: f64,
    /// In words, redacted before it is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// With `shadow`: the label is about the mirrored answer.
    #[serde(default)]
    pub shadow: bool,
}

impl fmt::Debug for Feedback {
    /// Subjects and comments stay out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feedback")
            .field("request_id", &self.request_id)
            .field("name", &self.name)
            .field("value", &self.value)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_wrote_does_not_print() {
        let feedback = Feedback {
            request_id: None,
            subject: Some("ana@example.com".to_owned()),
            app: None,
            name: "accepted".to_owned(),
            value: 1.0,
            comment: Some("call me".to_owned()),
            shadow: false,
        };
        let shown = format!("{feedback:?}");
        assert!(shown.contains("accepted"), "{shown}");
        assert!(!shown.contains("ana") && !shown.contains("call"), "{shown}");
    }

    #[test]
    fn an_answer_is_named_as_any_language_can() {
        // printf req_1 | sha256sum
        assert_eq!(format!("{:016x}", answer_hash("req_1")), "dfe7be6cee3b99ca");
    }

    #[test]
    fn only_the_arms_own_faults_count() {
        use AnswerStatus as S;
        for (status, counts, error) in [
            (S::Ok, true, false),
            (S::ProviderError, true, true),
            (S::Timeout, true, true),
            (S::Cut, true, true),
            (S::BadRequest, false, false),
            (S::Killed, false, false),
            (S::Cancelled, false, false),
        ] {
            assert_eq!((status.counts(), status.is_error()), (counts, error), "{status:?}");
        }
    }
}
