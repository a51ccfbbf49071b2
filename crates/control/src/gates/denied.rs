//! The gate `not-denied`: a release that failed does not come back by itself.

use crate::records::DeniedRecord;
use domain::finding::{Finding, GateResult, Severity, Tier};
use domain::ids::ReleaseId;

/// A release that failed does not come back by itself.
pub(super) fn denied_gate(release: Option<ReleaseId>, denied: Option<DeniedRecord>) -> GateResult {
    let findings =
        denied.filter(|d| Some(d.release) == release).map(release_denied).into_iter().collect();
    let summary = "It was not taken back before.";
    GateResult::of(
        "not-denied",
        "Not a release that failed before",
        Tier::Static,
        summary,
        findings,
    )
}

/// Why a release that failed cannot be tried again.
pub(crate) fn release_denied(denied: DeniedRecord) -> Finding {
    let release = denied.release.short();
    Finding {
        code: "release_denied".to_owned(),
        severity: Severity::Error,
        place: None,
        message: format!("{release} was taken back on {}", denied.at.iso()),
        explanation: denied.because,
        mend: format!("change something, or ask an approver: `tidegate release clear {release}`"),
        replacement: None,
        excerpt: None,
    }
}
