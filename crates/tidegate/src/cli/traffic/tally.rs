//! What came back, counted by arm.

use serde::Serialize;
use std::collections::BTreeMap;

/// Counts of one name's labels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Labels {
    /// How many.
    pub n: u64,
    /// Their sum; for labels of 0 and 1, how many were 1.
    pub sum: f64,
}

impl Labels {
    /// Their mean.
    pub fn mean(&self) -> f64 {
        if self.n == 0 { 0.0 } else { self.sum / self.n as f64 }
    }
}

/// What one arm answered.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Arm {
    /// Answers, errors included.
    pub answers: u64,
    /// Answers with an error status.
    pub errors: u64,
    /// Answers of the fallback.
    pub fallback: u64,
    /// Requests whose user was harmed: an error, or a harmful label.
    pub harmed: u64,
    /// Sum of the times to the whole answer, in milliseconds.
    pub total_ms: f64,
    /// Answers by model.
    pub models: BTreeMap<String, u64>,
    /// Labels by name.
    pub labels: BTreeMap<String, Labels>,
}

impl Arm {
    /// Mean time to the whole answer, in milliseconds.
    pub fn mean_ms(&self) -> f64 {
        if self.answers == 0 { 0.0 } else { self.total_ms / self.answers as f64 }
    }
}

/// The whole replay.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Report {
    /// Requests sent.
    pub sent: u64,
    /// Of these, begun later than the rate asks for.
    pub late: u64,
    /// Requests that got no answer at all.
    pub unanswered: u64,
    /// Labels the gateway did not accept.
    pub labels_failed: u64,
    /// Labels of mirrored answers that were posted.
    pub shadow_labels: u64,
    /// Candidate answers whose user was harmed.
    pub harmed: u64,
    /// By arm.
    pub arms: BTreeMap<String, Arm>,
    /// One harmed request, to ask `why` about.
    pub example: Option<String>,
    /// The last few errors, in words.
    pub errors: Vec<String>,
}

/// Most errors kept.
const MAX_ERRORS: usize = 5;

/// One answer, as the driver saw it.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Arm, from the header; `none` where it is missing.
    pub arm: String,
    /// The request.
    pub request: Option<String>,
    /// Model that answered.
    pub model: Option<String>,
    /// True for an error status.
    pub error: Option<String>,
    /// True if the fallback answered.
    pub fallback: bool,
    /// Time to the whole answer.
    pub ms: f64,
    /// Labels that were posted: name, value, accepted.
    pub labels: Vec<(String, f64, bool)>,
    /// Labels of the mirrored answer that were accepted.
    pub shadow_labels: u64,
    /// Labels that mean harm.
    pub harm: bool,
}

impl Report {
    /// Requests that got an answer without an error.
    pub fn answered(&self) -> u64 {
        self.arms.values().map(|a| a.answers.saturating_sub(a.errors)).sum()
    }

    /// A request that got no answer.
    pub fn lost(&mut self, why: String) {
        self.unanswered += 1;
        self.note(why);
    }

    /// Counts an answer.
    pub fn add(&mut self, outcome: Outcome) {
        let arm = self.arms.entry(outcome.arm.clone()).or_default();
        arm.answers += 1;
        arm.total_ms += outcome.ms;
        arm.fallback += u64::from(outcome.fallback);
        arm.errors += u64::from(outcome.error.is_some());
        if let Some(model) = outcome.model {
            *arm.models.entry(model).or_default() += 1;
        }
        for (name, value, _) in outcome.labels.iter().filter(|(_, _, accepted)| *accepted) {
            let labels = arm.labels.entry(name.clone()).or_default();
            labels.n += 1;
            labels.sum += value;
        }
        let harmed = outcome.harm || outcome.error.is_some();
        arm.harmed += u64::from(harmed);
        if harmed && outcome.arm == "candidate" {
            self.harmed += 1;
            if self.example.is_none() || outcome.harm {
                self.example = outcome.request.or(self.example.take());
            }
        }
        self.shadow_labels += outcome.shadow_labels;
        let refused = outcome.labels.iter().filter(|(_, _, accepted)| !accepted).count();
        self.labels_failed += u64::try_from(refused).unwrap_or(0);
        if let Some(error) = outcome.error {
            self.note(error);
        }
    }

    fn note(&mut self, error: String) {
        if self.errors.len() < MAX_ERRORS && !self.errors.contains(&error) {
            self.errors.push(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_candidates_harmed_users_are_the_rollouts_harm() {
        let mut report = Report::default();
        for (arm, harm, error) in
            [("candidate", true, None), ("control", true, None), ("candidate", false, Some("503"))]
        {
            report.add(Outcome {
                arm: arm.to_owned(),
                request: Some(format!("req-{arm}-{harm}")),
                harm,
                error: error.map(str::to_owned),
                labels: vec![("bad".to_owned(), f64::from(u8::from(harm)), true)],
                ..Outcome::default()
            });
        }
        assert_eq!((report.harmed, report.answered()), (2, 2));
        assert_eq!(report.example.as_deref(), Some("req-candidate-true"));
        assert_eq!(report.arms["candidate"].labels["bad"], Labels { n: 2, sum: 1.0 });
        assert_eq!(report.errors, ["503"]);
    }
}
