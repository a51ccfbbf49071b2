//! `apps/<app>/evals/judges/<name>.yaml`: a model that grades answers.
//!
//! ```yaml
//! apiVersion: tidegate/v1
//! version: 1.0.0
//! model: grader
//! rubric: |
//!   Good: names the customer, the order and what comes next. Bad: invents anything.
//! scale: {low: 1, high: 10}
//! votes: 3
//! labelled: judges/labelled.jsonl
//! agreement: 80%
//! ```
//!
//! A judge is a component: what it says depends on its rubric, its model and its
//! scale, so a change of any of them is a new version.

use super::{Fault, Format};
use crate::yaml;
use domain::finding::Finding;
use domain::units::Ratio;
use semver::Version;
use serde::{Deserialize, Serialize};

/// Most votes on one answer.
pub const MAX_VOTES: u32 = 25;

/// A judge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JudgeSpec {
    /// Always `tidegate/v1`.
    #[serde(rename = "apiVersion")]
    pub api_version: String,
    /// Semantic version.
    pub version: Version,
    /// Name of a model of the repository.
    pub model: String,
    /// What is good and what is bad, in words.
    pub rubric: String,
    /// What it may say.
    pub scale: Scale,
    /// How often it is asked about one answer.
    #[serde(default = "once")]
    pub votes: u32,
    /// Answers that people graded, JSONL, relative to the app's `evals/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labelled: Option<String>,
    /// Least share of labelled answers on which it must agree with people.
    #[serde(default = "most")]
    pub agreement: Ratio,
}

fn once() -> u32 {
    1
}

fn most() -> Ratio {
    Ratio(0.8)
}

/// What a judge may say; more is better.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// The worst grade.
    pub low: f64,
    /// The best grade.
    pub high: f64,
}

/// An answer that people graded.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Labelled {
    /// What was asked.
    pub input: String,
    /// What was answered.
    pub answer: String,
    /// What people said: 0 is bad, 1 is good.
    pub label: f64,
}

/// Reads a judge, YAML or JSON.
///
/// # Errors
/// Everything that is wrong with it.
pub fn judge(file: &str, bytes: &[u8]) -> Result<JudgeSpec, Vec<Finding>> {
    let reading = yaml::read::<JudgeSpec>(file, bytes);
    match reading.value {
        Some(spec) if reading.findings.is_empty() => Ok(spec),
        _ => Err(reading.findings),
    }
}

impl Format for JudgeSpec {
    const REQUIRED: &'static [&'static str] =
        &["apiVersion", "version", "model", "rubric", "scale"];

    fn api_version(&self) -> &str {
        &self.api_version
    }

    fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let scale = self.scale;
        if !(scale.low.is_finite() && scale.high.is_finite() && scale.low < scale.high) {
            let message = "`low` must be below `high`";
            faults.push(Fault::new(
                "scale",
                "out_of_range",
                message,
                "write for example `{low: 1, high: 10}`",
            ));
        }
        if !(1..=MAX_VOTES).contains(&self.votes) {
            let message = format!("`votes` is {}; 1 to {MAX_VOTES} can be asked for", self.votes);
            faults.push(Fault::new(
                "votes",
                "out_of_range",
                message,
                "write an odd number such as 3",
            ));
        }
        if self.rubric.trim().is_empty() {
            let mend = "say what a good answer is and what a bad one is";
            faults.push(Fault::new("rubric", "empty_text", "`rubric` is empty", mend));
        }
        if !(0.0..=1.0).contains(&self.agreement.0) {
            let message = "`agreement` is a share";
            faults.push(Fault::new(
                "agreement",
                "out_of_range",
                message,
                "write for example `80%`",
            ));
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_judge_reads_and_its_faults_come_at_once() {
        let good = "apiVersion: tidegate/v1\nversion: 1.0.0\nmodel: m\nrubric: be good\nscale: {low: 1, high: 10}\n";
        let read = judge("j.yaml", good.as_bytes()).unwrap();
        assert_eq!((read.votes, read.agreement), (1, Ratio(0.8)));
        let bad = good.replace("high: 10", "high: 0") + "votes: 99\nagreement: 120%\n";
        let codes: Vec<_> =
            judge("j.yaml", bad.as_bytes()).unwrap_err().into_iter().map(|f| f.code).collect();
        assert_eq!(codes, ["out_of_range"; 3]);
    }
}
