//! Recorded answers: JSONL, one answer a line, read by the replay provider and
//! checked by the ops repo with the same parser.
//!
//! ```json
//! {"model":"gpt-4-0613","key":"case-17","response":"...","prompt_tokens":412,"completion_tokens":96,"latency_ms":840}
//! ```
//!
//! What must stay true: a file reads the same everywhere it is read, so a
//! recording that passed the gates is a recording the gateway can serve.

use crate::ids::Digest;
use crate::suite::ToolCall;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Longest line of a recordings file, in bytes.
pub const MAX_LINE_LEN: usize = 1 << 20;
/// Most faults reported for one file; more would only bury the first ones.
pub const MAX_FAULTS: usize = 20;

/// One recorded answer.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recording {
    /// The provider's model id that answered: `provider_model` of the model entry.
    pub model: String,
    /// What the request was: the rendered `key` of the replay provider.
    pub key: String,
    /// The answer, word for word.
    pub response: String,
    /// Tokens of the prompt; counted when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_tokens: Option<u32>,
    /// Tokens of the answer; counted when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_tokens: Option<u32>,
    /// How long the answer took, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<u64>,
    /// Calls of tools in the answer, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// What was asked, if `tidegate eval record` made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
}

/// What a recorded answer answers: a recording is stale, and refused, once the
/// release asks something else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// Digest of the rendered messages.
    pub prompt: Digest,
    /// Digest of the parameters.
    pub parameters: Digest,
    /// The day it was recorded, `YYYY-MM-DD`.
    pub on: String,
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording")
            .field("model", &self.model)
            .field("key_len", &self.key.len())
            .field("response_len", &self.response.len())
            .finish_non_exhaustive()
    }
}

/// What is wrong with one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct RecordingFault {
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1, if known.
    pub column: Option<u32>,
    /// What is wrong. Never quotes an answer.
    pub problem: String,
    /// What to do.
    pub mend: String,
}

/// Reads recordings. Good lines are kept beside the faults of bad ones; empty
/// lines and line ends of either kind are fine. A model and key may be recorded
/// once per file.
pub fn parse_jsonl(bytes: &[u8]) -> (Vec<Recording>, Vec<RecordingFault>) {
    let mut recordings = Vec::new();
    let mut faults = Vec::new();
    let mut first_line: BTreeMap<(String, String), u32> = BTreeMap::new();
    for (index, line) in bytes.split(|b| *b == b'\n').enumerate() {
        let number = u32::try_from(index).unwrap_or(u32::MAX).saturating_add(1);
        if line.trim_ascii().is_empty() {
            continue;
        }
        match read_line(line, number) {
            Ok(recording) => {
                let name = (recording.model.clone(), recording.key.clone());
                if let Some(first) = first_line.get(&name) {
                    faults.push(RecordingFault {
                        line: number,
                        column: None,
                        problem: format!(
                            "model `{}` has an answer for this key on line {first} already",
                            recording.model
                        ),
                        mend: "delete one of the two lines".to_owned(),
                    });
                } else {
                    first_line.insert(name, number);
                    recordings.push(recording);
                }
            }
            Err(fault) => faults.push(fault),
        }
        if faults.len() >= MAX_FAULTS {
            break;
        }
    }
    (recordings, faults)
}

fn read_line(line: &[u8], number: u32) -> Result<Recording, RecordingFault> {
    let fault = |column: Option<u32>, problem: String, mend: &str| RecordingFault {
        line: number,
        column,
        problem,
        mend: mend.to_owned(),
    };
    if line.len() > MAX_LINE_LEN {
        return Err(fault(
            None,
            format!("the line is {} bytes long; at most {MAX_LINE_LEN} are read", line.len()),
            "shorten the recorded answer",
        ));
    }
    let text = std::str::from_utf8(line).map_err(|e| {
        let column = u32::try_from(e.valid_up_to()).unwrap_or(u32::MAX).saturating_add(1);
        fault(Some(column), "the line is not UTF-8".to_owned(), "save the file as UTF-8")
    })?;
    serde_json::from_str(text).map_err(|e| {
        let column = u32::try_from(e.column()).ok().filter(|c| *c > 0);
        fault(
            column,
            without_position(&e.to_string()),
            "write one JSON object a line: `model`, `key`, `response`, and if known `prompt_tokens`, `completion_tokens`, `latency_ms`, `tool_calls`, `asked`",
        )
    })
}

/// serde_json appends ` at line 1 column 7`, which would contradict the line of
/// the file; wrong types quote the value, which may be an answer.
fn without_position(message: &str) -> String {
    let message = message.rsplit_once(" at line ").map_or(message, |(head, _)| head);
    match message.split_once("invalid type: string") {
        Some((_, rest)) => match rest.rsplit_once(", expected") {
            Some((_, wanted)) => format!("invalid type: text, expected{wanted}"),
            None => "invalid type: text".to_owned(),
        },
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"model":"m","key":"a","response":"hi"}"#;

    #[test]
    fn good_lines_survive_bad_ones_and_faults_carry_line_numbers() {
        let text = format!(
            "{GOOD}\r\n\nnot json\n{}\n",
            r#"{"model":"m","key":"b","response":"x","latency_ms":3}"#
        );
        let (recordings, faults) = parse_jsonl(text.as_bytes());
        assert_eq!(recordings.iter().map(|r| r.key.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(faults.iter().map(|f| f.line).collect::<Vec<_>>(), [3]);
        assert!(!faults[0].problem.contains("line 1"), "{}", faults[0].problem);
    }

    #[test]
    fn a_second_answer_for_the_same_key_is_a_fault() {
        let (recordings, faults) = parse_jsonl(format!("{GOOD}\n{GOOD}").as_bytes());
        assert_eq!((recordings.len(), faults.len()), (1, 1));
        assert!(faults[0].problem.contains("line 1"), "{}", faults[0].problem);
    }

    #[test]
    fn faults_and_debug_never_quote_an_answer() {
        let (_, faults) =
            parse_jsonl(br#"{"model":"m","key":"a","response":"x","latency_ms":"top secret"}"#);
        assert!(!faults[0].to_string().contains("secret"), "{}", faults[0]);
        let (recordings, _) = parse_jsonl(br#"{"model":"m","key":"a","response":"top secret"}"#);
        assert!(!format!("{recordings:?}").contains("secret"));
    }
}
