//! Recorded answers instead of a model.
//!
//! A recordings file is parsed once per gateway, whatever number of models and
//! releases use it; a model's provider holds its files in order, and the last
//! file that has a key wins. A key without a recording is an error that names
//! it: an invented answer would be worse than none.

use super::local::{self, Answer};
use super::{Call, Failure, FailureKind, PrepareError, Reply};
use crate::tap::Usage;
use domain::ids::Digest;
use domain::recording::{Recording, parse_jsonl};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Longest key quoted in an error, in characters.
const QUOTED_KEY: usize = 120;
/// Longest recorded latency that is waited for.
pub const MAX_LATENCY: Duration = Duration::from_secs(600);

/// One recordings file: model → key → answer.
pub struct Recordings(HashMap<String, BTreeMap<String, Recording>>);

impl fmt::Debug for Recordings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recordings").field("models", &self.0.len()).finish()
    }
}

impl Recordings {
    /// Reads a file.
    ///
    /// # Errors
    /// At the first bad line.
    pub fn parse(digest: Digest, bytes: &[u8]) -> Result<Self, PrepareError> {
        let (recordings, faults) = parse_jsonl(bytes);
        if let Some(fault) = faults.into_iter().next() {
            return Err(PrepareError::BadRecordings {
                digest,
                line: fault.line,
                problem: fault.problem,
            });
        }
        let mut models: HashMap<String, BTreeMap<String, Recording>> = HashMap::new();
        for recording in recordings {
            models
                .entry(recording.model.clone())
                .or_default()
                .insert(recording.key.clone(), recording);
        }
        Ok(Self(models))
    }

    /// The recording of a model under this key; if there is none, the one for
    /// whatever follows the last `/` of it: `t-001/*` answers `t-001/1.3.0`.
    pub fn find(&self, model: &str, key: &str) -> Option<&Recording> {
        let recordings = self.0.get(model)?;
        recordings.get(key).or_else(|| {
            let (whose, _) = key.rsplit_once('/')?;
            recordings.get(&format!("{whose}/*"))
        })
    }

    /// The first recording of a model whose key begins so: to tell a recording
    /// that is stale from one that never was.
    pub fn begins(&self, model: &str, prefix: &str) -> Option<&Recording> {
        let (key, recording) = self.0.get(model)?.range(prefix.to_owned()..).next()?;
        key.starts_with(prefix).then_some(recording)
    }
}

/// The recordings of one model.
#[derive(Debug)]
pub(super) struct Replay {
    files: Vec<Arc<Recordings>>,
    latency: bool,
}

impl Replay {
    pub(super) fn new(files: Vec<Arc<Recordings>>, latency: bool) -> Self {
        Self { files, latency }
    }

    pub(super) async fn call(&self, model: &str, call: Call) -> Result<Reply, Failure> {
        let key = call.local.as_deref().unwrap_or_default();
        let Some(found) = self.files.iter().rev().find_map(|file| file.find(model, key)) else {
            return Err(missing(model, key));
        };
        let recorded = found.latency_ms.filter(|_| self.latency).unwrap_or(0);
        let usage = Usage {
            prompt_tokens: found
                .prompt_tokens
                .map_or_else(|| estimate(call.messages.len()), u64::from),
            completion_tokens: found
                .completion_tokens
                .map_or_else(|| estimate(found.response.len()), u64::from),
        };
        let answer = Answer {
            model: model.to_owned(),
            text: found.response.as_str().into(),
            usage,
            latency: Duration::from_millis(recorded).min(MAX_LATENCY),
        };
        local::reply(answer, &call).await
    }
}

/// Tokens of a text nobody counted: about four bytes each. Enough for a cost
/// estimate, and the same on every machine.
fn estimate(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX).div_ceil(4)
}

fn missing(model: &str, key: &str) -> Failure {
    let mut quoted: String = key.chars().take(QUOTED_KEY).collect();
    if quoted.len() < key.len() {
        quoted.push('…');
    }
    Failure::new(
        FailureKind::NoRecording,
        format!(
            "no recorded answer of `{model}` for the key `{quoted}`; add a line with this `model`, `key` and a `response` to one of the model's recordings files, or correct its `key` template"
        ),
    )
}
