//! What a run says, as data: no clock, no path of a machine, floats rounded, so
//! that the same inputs give the same bytes. `docs/evals.md` describes it.

use crate::cost::{Growth, Money, Spent};
use crate::detail::CaseReport;
use crate::judge::JudgeReport;
use crate::worse::{Example, Reason};
use analysis::compare::Interval;
use analysis::compare::repeats::Discordant;
use domain::finding::{Finding, GateOutcome, GateResult, Tier};
use domain::ids::{AppName, Digest, ReleaseId};
use domain::price::Price;
use domain::suite::SuiteKind;
use serde::{Deserialize, Serialize};

/// One run of an app's suites. Form: `tidegate/v1`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvalReport {
    /// Always `tidegate/v1`.
    #[serde(rename = "apiVersion")]
    pub api_version: String,
    /// Whose suites.
    pub app: AppName,
    /// The release on trial.
    pub candidate: ReleaseId,
    /// What it was compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub against: Option<ReleaseId>,
    /// The worst of all suites.
    pub outcome: GateOutcome,
    /// The suites, by tier and name.
    pub suites: Vec<SuiteReport>,
}

/// One suite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SuiteReport {
    /// Its name.
    pub suite: String,
    /// What it proves.
    pub title: String,
    /// Its file in the ops repo.
    pub file: String,
    /// Its tier.
    pub tier: Tier,
    /// Its kind.
    pub kind: SuiteKind,
    /// Digest of the suite, its cases and its schemas.
    pub digest: Digest,
    /// How it ended.
    pub outcome: GateOutcome,
    /// One sentence.
    pub summary: String,
    /// Confidence of every interval.
    pub confidence: f64,
    /// Cases that count.
    pub cases: usize,
    /// Cases that were not reached: stopped early, or given up.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub not_reached: usize,
    /// Repeats of each.
    pub repeats: u32,
    /// Repeats that were to be asked, where fewer decided every rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned_repeats: Option<u32>,
    /// True if it stopped because every rule was decided.
    #[serde(default, skip_serializing_if = "is_false")]
    pub stopped_early: bool,
    /// Answers that kept every check.
    pub pass: PassReport,
    /// The measures, as the suite lists them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scores: Vec<ScoreReport>,
    /// Pairs of a kept and a broken case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discordant: Option<Discordant>,
    /// What asking costs.
    pub cost: CostReport,
    /// Cases whose repeats disagree, the first ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flicker: Vec<Flicker>,
    /// How many of them there are.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub flickering: usize,
    /// What got worse, by reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub worse: Vec<WorseReport>,
    /// Cases that broke a check, the first ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub broken: Vec<BrokenReport>,
    /// All ids of cases with a broken check or no answer: what `--only failing`
    /// asks again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failing: Vec<String>,
    /// What was found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// Approvals that the numbers ask for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<ApprovalAsked>,
    /// Judges, and how far they can be trusted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub judges: Vec<JudgeReport>,
    /// Every case, where that was wanted. Not part of the report: as many as
    /// there are cases.
    #[serde(skip)]
    pub details: Vec<CaseReport>,
}

/// An approval that a number asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalAsked {
    /// The role, for example `finance`.
    pub role: String,
    /// Why, in a sentence.
    pub reason: String,
}

/// Answers that kept every check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PassReport {
    /// Answers that came.
    pub asked: u64,
    /// Of these, such that kept every check.
    pub kept: u64,
    /// Their share.
    pub share: Interval,
    /// Production's, on the same cases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub production: Option<Interval>,
    /// Mean of the differences to production, case by case, where a rule asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difference: Option<Interval>,
    /// Largest share of broken answers that stays possible if none was broken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zero_bound: Option<f64>,
    /// Share that was asked for.
    pub at_least: f64,
    /// Largest loss against production allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_worse_by: Option<f64>,
}

/// One measure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoreReport {
    /// The measure, as the suite names it.
    pub metric: String,
    /// Cases it was measured on.
    pub cases: usize,
    /// The candidate's mean.
    pub candidate: Interval,
    /// Production's, on the same cases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub production: Option<Interval>,
    /// Mean of the differences, case by case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difference: Option<Interval>,
    /// Least mean asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<f64>,
    /// Largest loss allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_worse_by: Option<f64>,
    /// True if all its rules hold.
    pub held: bool,
}

/// What asking costs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CostReport {
    /// The candidate.
    pub candidate: Spent,
    /// Production.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub production: Option<Spent>,
    /// Growth of tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Growth>,
    /// Growth of money.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub money: Option<Growth>,
    /// A month of the given number of requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub month: Option<Money>,
    /// What the candidate's tokens cost, where `prices.yaml` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
}

/// A case whose repeats disagree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flicker {
    /// The case.
    pub case: String,
    /// Repeats that kept every check.
    pub kept: u32,
    /// Repeats that were answered.
    pub asked: u32,
}

/// Cases that got worse for one reason.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorseReport {
    /// The reason.
    pub reason: Reason,
    /// How many cases.
    pub count: usize,
    /// The worst ones: case and what exactly.
    pub cases: Vec<WorseCase>,
}

/// One case that got worse.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorseCase {
    /// The case.
    pub case: String,
    /// What exactly.
    pub what: String,
    /// Both answers, if this is one of the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub example: Option<Example>,
}

/// A case that broke a check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BrokenReport {
    /// The case.
    pub case: String,
    /// Its checks: name, times, first reason.
    pub checks: Vec<(String, u32, String)>,
    /// Both answers, if this is one of the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub example: Option<Example>,
}

fn is_zero(n: &usize) -> bool {
    *n == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(b: &bool) -> bool {
    !*b
}

impl SuiteReport {
    /// As the result of a gate.
    pub fn gate(&self) -> GateResult {
        GateResult {
            gate: format!("eval/{}", self.suite),
            title: self.title.clone(),
            tier: self.tier,
            outcome: self.outcome,
            summary: self.summary.clone(),
            findings: self.findings.clone(),
        }
    }
}

impl EvalReport {
    /// From the reports of all suites, in any order.
    pub fn new(
        app: AppName,
        candidate: ReleaseId,
        against: Option<ReleaseId>,
        mut suites: Vec<SuiteReport>,
    ) -> Self {
        suites.sort_by(|a, b| (a.tier, &a.suite).cmp(&(b.tier, &b.suite)));
        let has = |outcome| suites.iter().any(|suite| suite.outcome == outcome);
        let outcome = [GateOutcome::Failed, GateOutcome::Warned, GateOutcome::Passed]
            .into_iter()
            .find(|outcome| has(*outcome))
            .unwrap_or(GateOutcome::Skipped);
        let api_version = domain::manifest::API_VERSION.to_owned();
        Self { api_version, app, candidate, against, outcome, suites }
    }

    /// Pretty JSON and a line end.
    ///
    /// # Errors
    /// A number has no JSON form.
    pub fn json(&self) -> Result<String, serde_json::Error> {
        let mut value = serde_json::to_value(self)?;
        round(&mut value);
        Ok(format!("{}\n", serde_json::to_string_pretty(&value)?))
    }
}

/// Rounds every fraction to nine digits: the last bits of a sum may differ where
/// a compiler fuses additions, and nobody reads them.
fn round(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Number(number) => {
            if let Some(float) = number.as_f64().filter(|_| number.is_f64())
                && float.abs() < 1e6
                && let Some(rounded) = serde_json::Number::from_f64((float * 1e9).round() / 1e9)
            {
                *number = rounded;
            }
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(round),
        serde_json::Value::Object(fields) => fields.values_mut().for_each(round),
        _ => {}
    }
}
