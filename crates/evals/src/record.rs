//! Recording: ask once, replay for ever.
//!
//! Secrets and personal data are taken out of an answer before it is written
//! anywhere. A recording says what it answers (digests of messages and
//! parameters, the day), so that it is refused once the release asks something
//! else.

use crate::ask::{Asker, Question};
use crate::load::Loaded;
use crate::subject::{NoAnswer, Subject};
use checks::redact::redact;
use domain::recording::{Asked, Recording, parse_jsonl};
use domain::suite::{Answer, ToolCall};
use futures_util::StreamExt as _;
use serde_json::Value;
use std::collections::BTreeMap;

/// What was recorded of a suite.
#[derive(Debug, Default)]
pub struct Recorded {
    /// The lines of the recordings file, old ones included.
    pub lines: Vec<Recording>,
    /// Answers asked now.
    pub new: usize,
    /// Answers that were there and still fit.
    pub kept: usize,
    /// Case, and why it has no recording.
    pub failed: Vec<(String, NoAnswer)>,
}

impl Recorded {
    /// The recordings as a file.
    ///
    /// # Errors
    /// A recording has no JSON form.
    pub fn jsonl(&self) -> Result<String, serde_json::Error> {
        self.lines.iter().map(|line| Ok(format!("{}\n", serde_json::to_string(line)?))).collect()
    }
}

/// Records a suite: `live` asks the provider, `existing` is the file as it is.
/// What is there and fits is not asked again, unless `again`. `day` is today,
/// `YYYY-MM-DD`.
pub async fn record(
    loaded: &Loaded,
    live: &Subject,
    asker: &Asker,
    existing: &[u8],
    (repeats, again, day): (u32, bool, &str),
) -> Recorded {
    let model = live.model().provider_model.clone();
    let mut lines: BTreeMap<(String, String), Recording> = parse_jsonl(existing)
        .0
        .into_iter()
        .map(|line| ((line.model.clone(), line.key.clone()), line))
        .collect();
    let mut done = Recorded::default();
    let mut open = Vec::new();
    for case in &loaded.cases {
        for repeat in 0..repeats.max(1) {
            match live.request(&loaded.name, case, repeat) {
                Ok(request) => {
                    if !again && lines.contains_key(&(model.clone(), request.key.clone())) {
                        done.kept += 1;
                    } else {
                        open.push((case, repeat, request));
                    }
                }
                Err(why) => done.failed.push((case.id.clone(), why)),
            }
        }
    }
    let asked = open.into_iter().map(async |(case, repeat, request)| {
        let seed = loaded.suite.seed;
        let question = Question { suite: &loaded.name, case, repeat, seed };
        (case, request, asker.ask(live, None, &question).await)
    });
    let mut answers = futures_util::stream::iter(asked).buffered(asker.limits().concurrency.max(1));
    while let Some((case, request, answer)) = answers.next().await {
        match answer {
            Ok(answer) => {
                let asked = Asked {
                    prompt: request.prompt,
                    parameters: live.parameters_digest(),
                    on: day.to_owned(),
                };
                let line = line(&model, &request.key, &answer, asked);
                lines.insert((line.model.clone(), line.key.clone()), line);
                done.new += 1;
            }
            Err(why) => done.failed.push((case.id.clone(), why)),
        }
    }
    done.lines = lines.into_values().collect();
    done
}

pub(crate) fn line(model: &str, key: &str, answer: &Answer, asked: Asked) -> Recording {
    Recording {
        model: model.to_owned(),
        key: key.to_owned(),
        response: redact(&answer.text),
        prompt_tokens: answer.prompt_tokens,
        completion_tokens: answer.completion_tokens,
        latency_ms: answer.latency_ms,
        tool_calls: answer
            .tool_calls
            .iter()
            .map(|call| ToolCall { name: call.name.clone(), arguments: redacted(&call.arguments) })
            .collect(),
        asked: Some(asked),
    }
}

/// The same value with every text in it redacted.
fn redacted(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(redact(text)),
        Value::Array(items) => items.iter().map(redacted).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), redacted(value))).collect()
        }
        other => other.clone(),
    }
}
