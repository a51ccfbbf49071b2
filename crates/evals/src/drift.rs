//! Whether what serves answers otherwise than it did, though nobody changed it:
//! two runs of the same suite against the same release, told apart where their
//! intervals do not touch.
//!
//! That is stricter than a test at the intervals' confidence (two 95 % intervals
//! of independent means that just fail to touch differ at about p = 0.006;
//! Schenker and Gentleman 2001), which is meant: a run a day that cries once a
//! month is not read.

use crate::report::{EvalReport, SuiteReport};
use analysis::compare::Interval;
use domain::finding::{Finding, Place, Severity};

/// What is worse in `now` than it was in `before`, of suites that are the same.
/// Runs of other releases are never compared: there somebody changed something.
pub fn drift(before: &EvalReport, now: &EvalReport) -> Vec<Finding> {
    if before.candidate != now.candidate {
        return Vec::new();
    }
    let mut found = Vec::new();
    for suite in &now.suites {
        let same = |old: &&SuiteReport| old.suite == suite.suite && old.digest == suite.digest;
        let Some(old) = before.suites.iter().find(same) else { continue };
        if old.pass.asked > 0 && suite.pass.asked > 0 && below(&suite.pass.share, &old.pass.share) {
            found.push(finding(
                suite,
                "answers that keep every check",
                &suite.pass.share,
                &old.pass.share,
            ));
        }
        for score in &suite.scores {
            let same = |old: &&crate::report::ScoreReport| old.metric == score.metric;
            let Some(old) = old.scores.iter().find(same) else { continue };
            if old.cases > 0 && score.cases > 0 && below(&score.candidate, &old.candidate) {
                found.push(finding(
                    suite,
                    &format!("`{}`", score.metric),
                    &score.candidate,
                    &old.candidate,
                ));
            }
        }
    }
    found
}

fn below(now: &Interval, before: &Interval) -> bool {
    now.high < before.low
}

fn finding(suite: &SuiteReport, what: &str, now: &Interval, before: &Interval) -> Finding {
    Finding {
        code: "answers_drifted".to_owned(),
        severity: Severity::Error,
        place: Some(Place { file: suite.file.clone(), ..Place::default() }),
        message: format!(
            "{what}: {:.3} (at most {:.3}), where the run before had {:.3} (at least {:.3})",
            now.value, now.high, before.value, before.low
        ),
        explanation: "Nobody changed what serves, so its provider or its data did.".to_owned(),
        mend: "compare answers of both runs; pin another version of the model by a change, or go back to one that is proven".to_owned(),
        replacement: None,
        excerpt: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(kept: f64, spread: f64) -> EvalReport {
        let share = serde_json::json!({"value": kept, "low": kept - spread, "high": kept + spread, "method": "clopper_pearson"});
        let id = format!("sha256:{}", "0".repeat(64));
        serde_json::from_value(serde_json::json!({
            "apiVersion": "tidegate/v1", "app": "a", "candidate": id, "outcome": "passed",
            "suites": [{
                "suite": "s", "title": "t", "file": "apps/a/evals/s.yaml", "tier": "scheduled",
                "kind": "golden", "digest": id, "outcome": "passed", "summary": "",
                "confidence": 0.95, "cases": 40, "repeats": 1,
                "pass": {"asked": 40, "kept": 30, "share": share, "at_least": 0.5},
                "scores": [{"metric": "recall", "cases": 40, "candidate": share, "held": true}],
                "cost": {"candidate": {"prompt_tokens": 1.0, "completion_tokens": 1.0, "usd": 0.0}},
            }],
        }))
        .unwrap()
    }

    #[test]
    fn what_is_surely_worse_is_told_and_nothing_else() {
        let before = report(0.9, 0.05);
        assert_eq!(drift(&before, &report(0.7, 0.05)).len(), 2, "the share and the measure");
        assert!(drift(&before, &report(0.82, 0.05)).is_empty(), "the intervals touch");
        assert!(drift(&before, &report(0.99, 0.01)).is_empty(), "better is no alarm");
        let mut other = report(0.1, 0.01);
        other.candidate = format!("sha256:{}", "1".repeat(64)).parse().unwrap();
        assert!(drift(&before, &other).is_empty(), "another release");
    }
}
