//! What is promised, checked: exit status 1 for CI when one of them is broken.

use crate::families::{FALSE_PROMOTE, RISK};
use crate::measure::{Row, chance};
use crate::report::Summary;

/// Chance explains a broken promise less often than this, over all scenarios.
const DOUBT: f64 = 0.001;
/// Least mean efficiency on rates under calm traffic.
pub const RATES_EFFICIENCY: f64 = 0.76;

/// Sentences on broken promises of Tidegate's own rule; none: all are kept.
pub fn broken(rows: &[Row], summaries: &[Summary]) -> Vec<String> {
    let mut out = Vec::new();
    let own: Vec<&Row> = rows.iter().filter(|r| r.rule == "tidegate").collect();
    let promising = own.iter().filter(|r| r.budget.is_some()).count().max(1) as f64;
    for row in &own {
        let Some((share, budget)) = row.budget else { continue };
        if chance(share, row.runs, budget) < DOUBT / promising {
            out.push(format!(
                "{} {}: {:.1} % where at most {:.0} % were promised",
                row.family,
                row.scenario,
                100.0 * share,
                100.0 * budget
            ));
        }
    }
    for summary in summaries.iter().filter(|s| s.rule == "tidegate") {
        let of = |truths: &[&str], share: &dyn Fn(&Row) -> f64, budget: f64, what: &str| {
            let all = own.iter().filter(|r| {
                r.family == summary.family && r.first_of_stream && truths.contains(&r.truth)
            });
            let (hits, runs) = all
                .fold((0.0, 0), |(hits, runs), r| (hits + share(r) * r.runs as f64, runs + r.runs));
            let share = hits / runs.max(1) as f64;
            (chance(share, runs, budget) < DOUBT).then(|| {
                format!(
                    "{}: {:.1} % {what} over all scenarios where at most {:.0} % were promised",
                    summary.family,
                    100.0 * share,
                    100.0 * budget
                )
            })
        };
        out.extend(of(&["same", "harmless"], &|r| r.stopped, RISK, "false stops"));
        out.extend(of(&["notice"], &|r| r.promoted, FALSE_PROMOTE, "false promotions"));
        if summary.family == "rates" && summary.efficiency.is_some_and(|e| e < RATES_EFFICIENCY) {
            out.push(format!(
                "rates: mean efficiency {:.3}, at least {RATES_EFFICIENCY} was promised",
                summary.efficiency.unwrap_or_default()
            ));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report;

    fn row(scenario: &str, truth: &'static str, stopped: f64, efficiency: Option<f64>) -> Row {
        Row {
            rule: "tidegate".to_owned(),
            family: "rates".to_owned(),
            scenario: scenario.to_owned(),
            truth,
            runs: 1000,
            stopped,
            stopped_before_onset: 0.0,
            promoted: 0.0,
            efficiency,
            floor: None,
            median_candidates: None,
            median_hours: None,
            budget: (truth == "same").then_some((stopped, RISK)),
            over: false,
            first_of_stream: true,
        }
    }

    fn judged(rows: &[Row]) -> Vec<String> {
        broken(rows, &[report::summary("rates", "tidegate", rows)])
    }

    #[test]
    fn kept_promises_are_silent_and_broken_ones_named() {
        let fine = [row("a", "same", 0.055, None), row("b", "worse", 1.0, Some(0.8))];
        assert_eq!(judged(&fine), Vec::<String>::new());

        let eager = [row("a", "same", 0.12, None), row("c", "same", 0.0, None)];
        let said = judged(&eager);
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].contains("rates a: 12.0 %"));

        // Each alone is within chance, together they are not.
        let all = ["a", "b", "c", "d", "e", "f"].map(|n| row(n, "same", 0.066, None));
        let said = judged(&all);
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].contains("over all scenarios"));

        assert_eq!(judged(&[row("b", "worse", 1.0, Some(0.5))]).len(), 1);
    }
}
