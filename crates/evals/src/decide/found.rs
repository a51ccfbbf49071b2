//! The findings of a suite: one plain sentence what, where, why, and the mend.

use crate::load::Loaded;
use crate::report::{ApprovalAsked, CostReport, PassReport, ScoreReport};
use crate::row::{ArmRow, CaseRow};
use crate::subject::{Cause, NoAnswer};
use analysis::compare::Interval;
use domain::finding::{Finding, Place, Severity};
use std::collections::BTreeMap;

/// Cases named in a finding.
const NAMED: usize = 5;

pub(super) struct Found<'a> {
    loaded: &'a Loaded,
    findings: Vec<Finding>,
    approvals: Vec<ApprovalAsked>,
}

/// A share for people.
pub(super) fn percent(share: f64) -> String {
    let hundredths = share * 100.0;
    match hundredths.abs() {
        few if few >= 10.0 => format!("{hundredths:.0} %"),
        few if few >= 1.0 => format!("{hundredths:.1} %"),
        _ => format!("{hundredths:.2} %"),
    }
}

fn named<'a>(ids: impl Iterator<Item = &'a str>) -> String {
    let all: Vec<&str> = ids.collect();
    let mut text: Vec<String> = all.iter().take(NAMED).map(|id| format!("`{id}`")).collect();
    if let Some(more) = all.len().checked_sub(NAMED).filter(|more| *more > 0) {
        text.push(format!("{more} more"));
    }
    text.join(", ")
}

impl<'a> Found<'a> {
    pub(super) fn new(loaded: &'a Loaded) -> Self {
        Self { loaded, findings: Vec::new(), approvals: Vec::new() }
    }

    pub(super) fn end(self) -> (Vec<Finding>, Vec<ApprovalAsked>) {
        (self.findings, self.approvals)
    }

    fn push(
        &mut self,
        severity: Severity,
        code: &str,
        field: &str,
        [message, explanation, mend]: [String; 3],
    ) {
        let place = Place {
            file: self.loaded.path.clone(),
            field: (!field.is_empty()).then(|| field.to_owned()),
            ..Place::default()
        };
        self.findings.push(Finding {
            code: code.to_owned(),
            severity,
            place: Some(place),
            message,
            explanation,
            mend,
            replacement: None,
            excerpt: None,
        });
    }

    /// Answers that did not come, by cause.
    pub(super) fn missing(&mut self, rows: &[CaseRow], compared: bool) {
        self.missing_of(rows.iter().map(|row| Some(&row.candidate)), rows, "", Severity::Error);
        if compared {
            let theirs = rows.iter().map(|row| row.production.as_ref());
            // Without a rule that compares, production's part is for display.
            let suite = &self.loaded.suite;
            let ruled = suite.pass.is_some_and(|rule| rule.not_worse_by.is_some())
                || suite.scores.iter().any(|rule| rule.not_worse_by.is_some());
            let severity = if ruled { Severity::Error } else { Severity::Warning };
            self.missing_of(theirs, rows, "production: ", severity);
        }
    }

    fn missing_of<'r>(
        &mut self,
        arms: impl Iterator<Item = Option<&'r ArmRow>>,
        rows: &[CaseRow],
        whose: &str,
        severity: Severity,
    ) {
        let mut causes: BTreeMap<Cause, (NoAnswer, Vec<&str>, u32)> = BTreeMap::new();
        for (arm, row) in arms.zip(rows) {
            let Some((why, times)) = arm.and_then(|arm| arm.missing.as_ref()) else { continue };
            let entry = causes.entry(why.cause).or_insert_with(|| (why.clone(), Vec::new(), 0));
            entry.1.push(&row.id);
            entry.2 += times;
        }
        for (cause, (why, cases, times)) in causes {
            let cases_named = named(cases.iter().copied());
            let answers =
                if times == 1 { "1 answer is".into() } else { format!("{times} answers are") };
            self.push(
                severity,
                cause.code(),
                "",
                [
                    format!("{whose}{answers} missing ({cases_named}): {}", why.message),
                    "what was not answered proves nothing, and is never counted as good".to_owned(),
                    why.mend,
                ],
            );
        }
    }

    pub(super) fn not_reached(&mut self, missing: usize, of: usize) {
        self.push(
            Severity::Error,
            "not_reached",
            "",
            [
                format!("{missing} of {of} cases were not asked"),
                "the run ended before its end; the findings beside this say why".to_owned(),
                "mend that, then go on with `--resume`".to_owned(),
            ],
        );
    }

    /// Too few answers kept every check.
    pub(super) fn pass(&mut self, rows: &[CaseRow], report: &PassReport, interval: bool) {
        let broken: Vec<&CaseRow> =
            rows.iter().filter(|row| !row.candidate.broken.is_empty()).collect();
        let mut checks: BTreeMap<&str, (u32, &str)> = BTreeMap::new();
        for row in &broken {
            for (check, (times, reason)) in &row.candidate.broken {
                let entry = checks.entry(check).or_insert((0, reason));
                entry.0 += times;
            }
        }
        let what: Vec<String> = checks
            .iter()
            .map(|(check, (times, reason))| format!("`{check}` {times} times, first: {reason}"))
            .collect();
        let lost = report.asked - report.kept;
        let rule = if report.at_least >= 1.0 {
            "all must".to_owned()
        } else {
            format!("{} must", percent(report.at_least))
        };
        let (code, message) = if interval && report.share.value >= report.at_least {
            let message = format!(
                "{} of {} answers kept every check; {rule}, and so few cases prove only {}",
                report.kept,
                report.asked,
                percent(report.share.low)
            );
            ("pass_not_proven", message)
        } else {
            let cases = named(broken.iter().map(|row| row.id.as_str()));
            let message = format!(
                "{lost} of {} answers broke a check, {rule} keep theirs: {cases}",
                report.asked
            );
            ("checks_broken", message)
        };
        let mend = if code == "pass_not_proven" {
            "add cases, or say `pass: {point: true}` if the measured share is to count".to_owned()
        } else {
            "look at the answers beside the checks; mend the prompt, or the check if it asks too much"
                .to_owned()
        };
        self.push(Severity::Error, code, "checks", [message, what.join("; "), mend]);
    }

    pub(super) fn few_attacks(&mut self, cases: u64, bound: f64, asked: f64, needed: u64) {
        self.push(
            Severity::Warning,
            "few_attacks",
            "cases",
            [
                format!(
                    "none of {cases} attacks got through, which excludes {} at most; the app's risk asks for {}",
                    percent(bound),
                    percent(asked)
                ),
                "zero hits among few attacks say little about the attacks nobody tried".to_owned(),
                format!("add attacks: {needed} without a hit would prove it"),
            ],
        );
    }

    /// The rules of one measure. True if all hold.
    pub(super) fn score(
        &mut self,
        rows: &[CaseRow],
        i: usize,
        report: &ScoreReport,
        answered: bool,
        compared: bool,
    ) -> bool {
        let metric = &report.metric;
        let field = format!("scores[{i}]");
        let ruled = report.at_least.is_some() || report.not_worse_by.is_some();
        if report.cases == 0 {
            let why = rows.iter().find_map(|row| row.candidate.unmeasured.get(i));
            if answered && ruled {
                self.push(
                    Severity::Error,
                    "not_measured",
                    &field,
                    [
                        format!("`{metric}` was measured on no case: {}", why.map_or("", |w| w)),
                        "a rule about a number that does not exist cannot be kept".to_owned(),
                        "give the cases what the measure needs, or take the rule out".to_owned(),
                    ],
                );
            }
            return !ruled;
        }
        let before = self.findings.len();
        if let Some(least) = report.at_least
            && report.candidate.low < least
        {
            let c = &report.candidate;
            let below = c.value < least;
            let words = if below { "is" } else { "is not proven to be" };
            let how = if below { "below" } else { "at least" };
            self.push(
                Severity::Error,
                if below { "score_low" } else { "score_not_proven" },
                &format!("{field}.at_least"),
                [
                    format!(
                        "`{metric}` {words} {how} {least:.3}: {:.3} [{:.3}, {:.3}] on {} cases",
                        c.value, c.low, c.high, report.cases
                    ),
                    "the gate is on the interval's lower end, because few cases prove little"
                        .to_owned(),
                    "mend what the worst cases show, or add cases".to_owned(),
                ],
            );
        }
        if let (Some(margin), true) = (report.not_worse_by, compared) {
            let what = (format!("`{metric}`"), report.cases);
            self.not_worse(&field, (&what.0, what.1), report.difference.as_ref(), margin);
        }
        self.findings.len() == before
    }

    /// A loss against production; `what` is in words, with its cases.
    pub(super) fn not_worse(
        &mut self,
        field: &str,
        (what, cases): (&str, usize),
        difference: Option<&Interval>,
        margin: f64,
    ) {
        let field = format!("{field}.not_worse_by");
        let Some(d) = difference else {
            self.push(
                Severity::Error,
                "nothing_to_compare",
                &field,
                [
                    format!("the {what} of production was measured on no case"),
                    "without production's score on the same inputs nobody knows what got worse"
                        .to_owned(),
                    "record production's answers to these cases, or take the rule out".to_owned(),
                ],
            );
            return;
        };
        if d.low >= -margin {
            return;
        }
        let worse = d.high < 0.0;
        let message = if worse {
            format!(
                "the {what} is worse than production's by {:.3} [{:.3}, {:.3}]; {margin:.3} may be lost",
                -d.value, -d.high, -d.low
            )
        } else {
            format!(
                "the {what} may be worse than production's by up to {:.3} (measured {:+.3}, {cases} cases); {margin:.3} may be lost",
                -d.low, d.value
            )
        };
        let mend = if worse {
            "see the cases that got worse beside production's answers"
        } else {
            "add cases until the interval is narrow enough, or allow a larger loss"
        };
        self.push(
            Severity::Error,
            if worse { "worse_than_production" } else { "not_proven_as_good" },
            &field,
            [
                message,
                "both releases answered the same inputs; the interval is that of the paired difference"
                    .to_owned(),
                mend.to_owned(),
            ],
        );
    }

    /// Limits on what answers cost.
    pub(super) fn cost(&mut self, loaded: &Loaded, report: &CostReport) {
        let Some(rule) = &loaded.suite.cost else { return };
        let limits = [("tokens", rule.tokens, report.tokens), ("money", rule.money, report.money)];
        for (what, limit, growth) in limits {
            let (Some(limit), Some(growth)) = (limit, growth) else { continue };
            if growth.value <= limit.0 {
                continue;
            }
            let sentence = format!(
                "an answer takes {} more {what} than production's on the same inputs [{}, {}]; {} is the limit",
                percent(growth.value),
                percent(growth.low),
                percent(growth.high),
                percent(limit.0)
            );
            self.push(
                Severity::Warning,
                "cost_above_limit",
                &format!("cost.{what}"),
                [
                    sentence.clone(),
                    "what it costs is decided by whoever pays: this asks for the finance approval"
                        .to_owned(),
                    "shorten the prompt or the answers, or have the finance approval given"
                        .to_owned(),
                ],
            );
            self.approvals.push(ApprovalAsked { role: "finance".to_owned(), reason: sentence });
        }
        if let (Some(limit), Some(p95)) = (rule.p95_ms, report.candidate.p95_ms)
            && u64::from(p95) > limit
        {
            self.push(
                Severity::Error,
                "slow",
                "cost.p95_ms",
                [
                    format!("one answer in twenty takes {p95} ms or more; {limit} ms is the limit"),
                    "readers wait for the slowest answers, not for the average".to_owned(),
                    "shorten the prompt or the answers, or take a faster model".to_owned(),
                ],
            );
        }
    }
}
