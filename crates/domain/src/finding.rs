//! What gates find: one shape for every check, tier and reader.

use serde::{Deserialize, Serialize};

/// Gates run tier by tier, cheapest first; a failing tier stops the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// No model is called.
    Static,
    /// Recorded answers are replayed: free and deterministic.
    Recorded,
    /// A real provider is called, within a token cap.
    Paid,
    /// The full matrix, on a schedule.
    Scheduled,
}

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// An approver should look; does not stop the change.
    Warning,
    /// Stops the change.
    Error,
}

/// Where a finding is. Lines and columns count from 1; columns count characters.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// Path in the ops repo.
    pub file: String,
    /// Line, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// First column, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// Last column (inclusive), if the finding spans more than a point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_column: Option<u32>,
    /// Dotted path of the field, for example `components.model`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

/// One thing a gate found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Stable code, for example `unknown_variable`.
    pub code: String,
    /// How much it matters.
    pub severity: Severity,
    /// Where it is, if it is somewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// What is wrong, in one plain sentence.
    pub message: String,
    /// Why it matters, in one plain sentence.
    pub explanation: String,
    /// What to do about it.
    pub mend: String,
    /// The replacement text for the place, if the mend is that simple.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replacement: Option<String>,
    /// The lines around the place with a caret, as a terminal shows them.
    /// Secrets and personal data are masked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excerpt: Option<String>,
}

/// How one gate ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateOutcome {
    /// Nothing that matters was found.
    Passed,
    /// Warnings only.
    Warned,
    /// At least one error.
    Failed,
    /// Not run, because an earlier tier failed or nothing applied.
    Skipped,
}

/// The result of one gate on one release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateResult {
    /// Stable name, for example `template-lint`.
    pub gate: String,
    /// What it looks at, in plain words ("Variables and syntax of the prompt").
    pub title: String,
    /// Its tier.
    pub tier: Tier,
    /// How it ended.
    pub outcome: GateOutcome,
    /// One sentence: what was proven, or why it was skipped.
    pub summary: String,
    /// What was found.
    pub findings: Vec<Finding>,
}

impl GateResult {
    /// A result whose outcome follows from its findings.
    pub fn of(
        gate: &str,
        title: &str,
        tier: Tier,
        summary: impl Into<String>,
        findings: Vec<Finding>,
    ) -> Self {
        let outcome = match findings.iter().map(|f| f.severity).max() {
            Some(Severity::Error) => GateOutcome::Failed,
            Some(Severity::Warning) => GateOutcome::Warned,
            _ => GateOutcome::Passed,
        };
        Self {
            gate: gate.into(),
            title: title.into(),
            tier,
            outcome,
            summary: summary.into(),
            findings,
        }
    }
}

/// Everything the gates said about one commit of a change. Kept with the release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateReport {
    /// Always `tidegate/v1`.
    #[serde(rename = "apiVersion")]
    pub api_version: String,
    /// The checked commit (40 hexadecimal digits).
    pub commit: String,
    /// The composed release, if it could be composed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<crate::ids::ReleaseId>,
    /// When the checks ended.
    pub finished_at: crate::units::Timestamp,
    /// Worst outcome of all gates.
    pub outcome: GateOutcome,
    /// The gates in the order in which they ran.
    pub gates: Vec<GateResult>,
}

impl GateReport {
    /// True if an approver may see this: nothing failed.
    pub fn passed(&self) -> bool {
        self.outcome != GateOutcome::Failed
    }
}
