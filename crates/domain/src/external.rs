//! What a metrics server said when it was asked for an external signal.
//!
//! Every way not to get a number is a kind of its own: an empty result is not a
//! broken server, and neither is a zero.

use crate::units::Timestamp;
use serde::{Deserialize, Serialize};

/// One answer to one question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Read {
    /// One finite number.
    Number(f64),
    /// The expression yields NaN, for example 0 / 0 without any traffic.
    NotANumber,
    /// The expression yields an infinity, for example a division by zero.
    Infinite,
    /// No series: nothing is scraped, or the target has vanished.
    Empty,
    /// More than one series: the expression does not say which.
    Several(u64),
    /// The newest number is of this moment, too long ago to count.
    Stale(Timestamp),
    /// The server says that its answer may be incomplete, in these words.
    Partial(String),
    /// No answer: unreachable, too slow, refused, unreadable. In words.
    Failed(String),
}

impl Read {
    /// The number, if it is one.
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// True if the server did answer, and what it says is no usable number:
    /// waiting does not mend the expression.
    pub fn is_unusable(&self) -> bool {
        matches!(self, Self::NotANumber | Self::Infinite | Self::Several(_) | Self::Partial(_))
    }
}

/// One question and its answer, kept so that a replay decides the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExternalSample {
    /// Name of the signal in the policy.
    pub signal: String,
    /// When the answer became known.
    pub at: Timestamp,
    /// The signal's value; with `$arm` in the expression, the candidate's.
    pub candidate: Read,
    /// With `$arm` in the expression: today's version's, to be shown beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<Read>,
}

/// The word in an expression that is replaced by the arm's.
pub const ARM_PLACEHOLDER: &str = "$arm";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_survive_their_json_and_only_numbers_are_numbers() {
        for (read, number, unusable) in [
            (Read::Number(0.5), Some(0.5), false),
            (Read::NotANumber, None, true),
            (Read::Infinite, None, true),
            (Read::Empty, None, false),
            (Read::Several(3), None, true),
            (Read::Stale(Timestamp(5)), None, false),
            (Read::Partial("one store is away".to_owned()), None, true),
            (Read::Failed("no connection".to_owned()), None, false),
        ] {
            assert_eq!((read.number(), read.is_unusable()), (number, unusable), "{read:?}");
            let sample = ExternalSample {
                signal: "csat".to_owned(),
                at: Timestamp(7),
                candidate: read,
                control: None,
            };
            let text = serde_json::to_string(&sample).unwrap();
            assert_eq!(serde_json::from_str::<ExternalSample>(&text).unwrap(), sample);
        }
    }
}
