//! A report in words: what to do, then why.

use super::super::output::{Out, table};
use super::super::text;
use analysis::experiment::{Estimate, Experiment, Report, SlotReport, Verdict};
use domain::units::{Ratio, Span};

/// The verdict in one or two sentences.
pub(super) fn summary(experiment: &Experiment, report: &Report) -> String {
    let policy = experiment.policy();
    let control = policy.variants.get(policy.control()).map_or("", |v| v.name.as_str());
    match &report.overall.verdict {
        Verdict::WrongShares => {
            let counts: Vec<String> = policy
                .variants
                .iter()
                .zip(report.shares.seen.iter().zip(&report.shares.expected))
                .map(|(v, (seen, expected))| {
                    format!("`{}` {} where {expected:.0} were due", v.name, text::count(*seen))
                })
                .collect();
            format!(
                "Trust none of these numbers: the variants did not get their shares ({}). \
                 Look for answers that are lost or recorded twice between router and record.",
                counts.join(", ")
            )
        }
        Verdict::OnlyControl => {
            format!("Keep `{control}`: every other variant was dropped.")
        }
        Verdict::Winner { variant, at } => {
            let claim = if policy.notice > Ratio(0.0) {
                format!(
                    "no other variant is better by more than {}",
                    number(experiment, policy.notice.0)
                )
            } else {
                "it is the best variant".to_owned()
            };
            format!(
                "End it with `{variant}`: {claim}, shown after {} at a risk of {} of being wrong.",
                Span::from_millis(at.0),
                percent(policy.risk.wrong_winner.0),
            )
        }
        Verdict::TooFew { needed } => format!(
            "Keep running: the variant with the fewest needs {} before anything is said.",
            text::plural(*needed, "more reward")
        ),
        Verdict::KeepRunning => {
            let first =
                report.overall.variants.iter().min_by(|a, b| a.evidence.total_cmp(&b.evidence));
            let nearest = first.filter(|v| v.evidence < 0.5).map_or_else(String::new, |v| {
                format!(" Nearest is `{}`: a winner at a risk of {}.", v.name, percent(v.evidence))
            });
            format!("Keep running: no variant is shown to be the best.{nearest}")
        }
    }
}

/// What is beside the verdict: drops, what was not compared, other metrics.
pub(super) fn notes(experiment: &Experiment, report: &Report) -> Vec<String> {
    let mut notes = Vec::new();
    for guards in &report.guards {
        if let Some(drop) = &guards.dropped {
            let at = Span::from_millis(drop.at.0);
            notes.push(format!(
                "`{}` was dropped after {at}: `{}` failed.",
                guards.variant, drop.guard
            ));
        }
    }
    let counts = &report.counts;
    let fell = |n: u64, noun: &str, why: &str| {
        (n > 0).then(|| format!("{}: {why}.", text::plural(n, noun)))
    };
    notes.extend(
        [
            fell(
                counts.without_reward,
                "answer",
                "without all that a reward is made of, not compared",
            ),
            fell(counts.repeated, "answer", "of a unit that had one before, not compared"),
            fell(counts.cut, "reward", "of values outside their range, counted as its end"),
        ]
        .into_iter()
        .flatten(),
    );
    for metric in &report.secondary {
        let variants = experiment.policy().variants.iter().zip(&metric.variants);
        let each: Vec<String> =
            variants.map(|(v, e)| format!("{} {}", v.name, estimate(e.as_ref(), &plain))).collect();
        notes.push(format!("{}: {}", metric.metric, each.join(", ")));
    }
    if !report.shares.alarm {
        let evidence = report.shares.evidence.min(1.0);
        notes.push(format!(
            "Shares are as drawn, as far as {} can tell (evidence {evidence:.2}, alarm at 0.001).",
            text::plural(report.shares.seen.iter().sum(), "request")
        ));
    }
    notes
}

/// The table: a row for each variant of each group.
pub(super) fn slots(out: &Out, experiment: &Experiment, report: &Report) -> String {
    let mut rows = Vec::new();
    let contextual = !report.segments.is_empty();
    for (slot, name) in std::iter::once((&report.overall, "all")).chain(
        report.segments.iter().map(|slot| (slot, slot.segment.as_deref().unwrap_or("others"))),
    ) {
        rows.extend(slot.variants.iter().map(|variant| {
            let show = |value: f64| number(experiment, value);
            // With segments, traffic is divided in each of them.
            let share =
                if contextual && name == "all" { "–".to_owned() } else { percent(variant.share) };
            let against = match &variant.against_control {
                Some(e) => estimate(Some(e), &show),
                None => "–".to_owned(),
            };
            vec![
                name.to_owned(),
                variant.name.clone(),
                says(slot, &variant.name).to_owned(),
                share,
                text::count(variant.reward.map_or(0, |e| e.n)),
                estimate(variant.reward.as_ref(), &show),
                against,
                percent(variant.probably_best),
                percent(variant.evidence),
            ]
        }));
    }
    let mut titles = [
        "SEGMENT",
        "VARIANT",
        "SAYS",
        "NEXT SHARE",
        "REWARDS",
        "REWARD (95% NOW)",
        "AGAINST CONTROL (ALWAYS)",
        "BELIEVED BEST",
        "RISK IF CHOSEN",
    ]
    .map(str::to_owned)
    .to_vec();
    if out.tty && !contextual {
        titles.remove(0);
        rows.iter_mut().for_each(|row| {
            row.remove(0);
        });
    }
    table(&titles, &rows, out.tty)
}

fn says(slot: &SlotReport, name: &str) -> &'static str {
    match &slot.verdict {
        Verdict::WrongShares => "no trust",
        Verdict::Winner { variant, .. } if variant == name => "winner",
        Verdict::Winner { .. } => "not the winner",
        Verdict::TooFew { .. } => "too few",
        Verdict::OnlyControl | Verdict::KeepRunning => "open",
    }
}

fn estimate(estimate: Option<&Estimate>, show: &dyn Fn(f64) -> String) -> String {
    let Some(estimate) = estimate else { return "–".to_owned() };
    let value = show(estimate.value);
    match estimate.interval {
        Some((low, high)) => format!("{value} ({} to {})", show(low), show(high)),
        None => value,
    }
}

/// A reward, or a difference of rewards, as the primary metric is written.
pub(super) fn number(experiment: &Experiment, value: f64) -> String {
    if experiment.scale().is_binary() { percent(value) } else { plain(value) }
}

/// Three significant digits.
fn plain(value: f64) -> String {
    text::amount("", false, Some(value))
}

/// A share of one with at most two decimals.
pub(super) fn percent(share: f64) -> String {
    let text = format!("{:.2}", share * 100.0);
    let text = text.trim_end_matches('0').trim_end_matches('.');
    let text = if text == "-0" { "0" } else { text };
    if share > 0.0 && text == "0" { "<0.01%".to_owned() } else { format!("{text}%") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_short() {
        let all = [0.1, 0.333_333, 1.0, 0.0, 0.000_01, -0.05, -0.000_001].map(percent);
        assert_eq!(all, ["10%", "33.33%", "100%", "0%", "<0.01%", "-5%", "0%"]);
    }
}
