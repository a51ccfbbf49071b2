//! Runs gates tier by tier: a tier that fails skips the ones after it.
//!
//! Within a tier every gate runs, so that a person sees all cheap faults at
//! once; between tiers the first failure stops, so that nothing dear is spent
//! on a change that cannot pass.

use domain::finding::{Finding, GateOutcome, GateReport, GateResult, Tier};
use domain::ids::ReleaseId;
use domain::units::Timestamp;

/// A gate that has not run yet.
pub struct Gate<'a> {
    name: String,
    title: String,
    tier: Tier,
    run: Box<dyn FnOnce() -> GateResult + Send + 'a>,
}

impl std::fmt::Debug for Gate<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate")
            .field("name", &self.name)
            .field("tier", &self.tier)
            .finish_non_exhaustive()
    }
}

impl<'a> Gate<'a> {
    /// A gate of a tier. It runs at most once, and only if its tier is reached;
    /// name and title are what a report says of it if it is not.
    pub fn new(
        (name, title): (&str, &str),
        tier: Tier,
        run: impl FnOnce() -> GateResult + Send + 'a,
    ) -> Self {
        Self { name: name.to_owned(), title: title.to_owned(), tier, run: Box::new(run) }
    }

    /// A gate whose result is known already.
    pub fn known(result: GateResult) -> Self {
        Self {
            name: result.gate.clone(),
            title: result.title.clone(),
            tier: result.tier,
            run: Box::new(move || result),
        }
    }

    fn not_reached(self, failed: Tier) -> GateResult {
        let summary = format!("Not run: a check of the {} tier failed.", word(failed));
        let mut result = GateResult::of(&self.name, &self.title, self.tier, summary, Vec::new());
        result.outcome = GateOutcome::Skipped;
        result
    }
}

fn word(tier: Tier) -> &'static str {
    match tier {
        Tier::Static => "static",
        Tier::Recorded => "recorded",
        Tier::Paid => "paid",
        Tier::Scheduled => "scheduled",
    }
}

/// What a report says beside its gates.
#[derive(Debug, Clone)]
pub struct Report {
    /// The checked commit.
    pub commit: String,
    /// The composed release, if it could be composed.
    pub release: Option<ReleaseId>,
    /// When the checks ended.
    pub finished_at: Timestamp,
}

/// The gate `schema`: findings of the reader, as a gate of the static tier.
pub fn schema(files: usize, findings: Vec<Finding>) -> GateResult {
    let summary = match findings.len() {
        0 => format!("{files} files read; nothing found."),
        n => format!("{files} files read; {n} found."),
    };
    GateResult::of("schema", "Form of every file", Tier::Static, summary, findings)
}

/// Runs the gates, cheapest tier first. Gates of a tier that is not reached are
/// listed as skipped, with the reason.
pub fn run_tiers(mut gates: Vec<Gate<'_>>, report: Report) -> GateReport {
    gates.sort_by_key(|gate| gate.tier);
    let mut results: Vec<GateResult> = Vec::new();
    let mut failed: Option<Tier> = None;
    for gate in gates {
        match failed {
            Some(tier) if tier < gate.tier => results.push(gate.not_reached(tier)),
            _ => {
                let tier = gate.tier;
                let result = (gate.run)();
                if result.outcome == GateOutcome::Failed {
                    failed = Some(tier);
                }
                results.push(result);
            }
        }
    }
    GateReport {
        api_version: domain::manifest::API_VERSION.to_owned(),
        commit: report.commit,
        release: report.release,
        finished_at: report.finished_at,
        outcome: worst(&results),
        gates: results,
    }
}

/// The worst outcome; skipped only if every gate was.
pub fn worst(results: &[GateResult]) -> GateOutcome {
    let has = |outcome| results.iter().any(|result| result.outcome == outcome);
    [GateOutcome::Failed, GateOutcome::Warned, GateOutcome::Passed]
        .into_iter()
        .find(|outcome| has(*outcome))
        .unwrap_or(GateOutcome::Skipped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::finding;
    use domain::finding::Severity;
    use proptest::prelude::*;

    const TIERS: [Tier; 4] = [Tier::Static, Tier::Recorded, Tier::Paid, Tier::Scheduled];

    fn gate(index: usize, tier: Tier, fails: bool) -> Gate<'static> {
        let name = format!("g{index}");
        let result = name.clone();
        Gate::new((&name, "t"), tier, move || {
            let found = finding(Severity::Error, "x", "x.").because("x.", "x.");
            let findings = if fails { vec![found] } else { Vec::new() };
            GateResult::of(&result, "t", tier, "ran", findings)
        })
    }

    fn report() -> Report {
        Report { commit: "c".into(), release: None, finished_at: Timestamp(0) }
    }

    proptest! {
        #[test]
        fn nothing_runs_after_a_failed_tier(plan in prop::collection::vec((0_usize..4, any::<bool>()), 0..12)) {
            let gates = plan.iter().enumerate().map(|(i, (tier, fails))| gate(i, TIERS[*tier], *fails)).collect();
            let done = run_tiers(gates, report());
            prop_assert_eq!(done.gates.len(), plan.len(), "every gate is in the report");
            let first = plan.iter().filter(|(_, fails)| *fails).map(|(tier, _)| TIERS[*tier]).min();
            for gate in &done.gates {
                let reached = first.is_none_or(|tier| gate.tier <= tier);
                prop_assert_eq!(gate.outcome != GateOutcome::Skipped, reached);
            }
            prop_assert_eq!(done.passed(), first.is_none());
        }
    }

    #[test]
    fn a_report_without_gates_has_passed_nothing() {
        assert_eq!(run_tiers(Vec::new(), report()).outcome, GateOutcome::Skipped);
    }
}
