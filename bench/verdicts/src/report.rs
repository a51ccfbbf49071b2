//! What is printed: a line per scenario, a summary per family and rule.

use crate::measure::Row;
use serde::Serialize;

/// One scenario as a line.
pub fn line(row: &Row) -> String {
    let number = |x: Option<f64>, digits: usize| {
        x.map_or_else(|| "-".to_owned(), |x| format!("{x:.digits$}"))
    };
    format!(
        "{:<9} {:<44} {:<8} stop {:>5.1}%  promote {:>5.1}%  eff {:>5}  floor {:>6}  med cand {:>7}  med h {:>6}{}{}",
        row.rule,
        row.scenario,
        row.truth,
        100.0 * row.stopped,
        100.0 * row.promoted,
        number(row.efficiency, 3),
        number(row.floor, 0),
        number(row.median_candidates, 0),
        number(row.median_hours, 2),
        if row.stopped_before_onset > 0.0 {
            format!("  before onset {:.1}%", 100.0 * row.stopped_before_onset)
        } else {
            String::new()
        },
        if row.over { "  OVER BUDGET" } else { "" },
    )
}

/// What a rule did in a family.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// The family.
    pub family: String,
    /// The rule.
    pub rule: String,
    /// Mean share of false stops where there is no difference.
    pub false_stop_mean: Option<f64>,
    /// The worst scenario's.
    pub false_stop_worst: Option<f64>,
    /// Scenarios over budget beyond sampling error.
    pub over: usize,
    /// Scenarios that promise something.
    pub promising: usize,
    /// Mean share that was stopped where the candidate is worse.
    pub detected: Option<f64>,
    /// Mean efficiency.
    pub efficiency: Option<f64>,
    /// Mean share of harmless candidates that were promoted.
    pub promoted: Option<f64>,
    /// Worst share of promotions of candidates worse by what matters.
    pub false_promote_worst: Option<f64>,
}

/// Sums up the rows of one rule in one family.
pub fn summary(family: &str, rule: &str, rows: &[Row]) -> Summary {
    let of = |truths: &[&str], get: &dyn Fn(&Row) -> Option<f64>| -> Vec<f64> {
        let mine = |r: &&Row| r.family == family && r.rule == rule && truths.contains(&r.truth);
        rows.iter().filter(mine).filter_map(get).collect()
    };
    let stopped = |r: &Row| Some(r.stopped);
    let promoted = |r: &Row| Some(r.promoted);
    let false_stops = of(&["same", "harmless"], &stopped);
    let over = rows.iter().filter(|r| r.family == family && r.rule == rule && r.over).count();
    let promises = of(&["same", "harmless", "notice"], &stopped).len();
    Summary {
        family: family.to_owned(),
        rule: rule.to_owned(),
        false_stop_mean: mean(&false_stops),
        false_stop_worst: worst(&false_stops),
        over,
        promising: promises,
        detected: mean(&of(&["worse"], &stopped)),
        efficiency: mean(&of(&["worse"], &|r| r.efficiency)),
        promoted: mean(&of(&["harmless"], &promoted)),
        false_promote_worst: worst(&of(&["notice"], &promoted)),
    }
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

fn worst(values: &[f64]) -> Option<f64> {
    values.iter().copied().reduce(f64::max)
}

/// The summaries as a Markdown table.
pub fn table(summaries: &[Summary]) -> String {
    let percent =
        |x: Option<f64>| x.map_or_else(|| "-".to_owned(), |x| format!("{:.1} %", 100.0 * x));
    let mut out = String::from(
        "| family | rule | false stop mean | worst | over budget | detected | efficiency | harmless promoted | false promote worst |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for s in summaries {
        out += &format!(
            "| {} | {} | {} | {} | {} of {} | {} | {} | {} | {} |\n",
            s.family,
            s.rule,
            percent(s.false_stop_mean),
            percent(s.false_stop_worst),
            s.over,
            s.promising,
            percent(s.detected),
            s.efficiency.map_or_else(|| "-".to_owned(), |e| format!("{e:.3}")),
            percent(s.promoted),
            percent(s.false_promote_worst),
        );
    }
    out
}

/// How many inputs the worse scenarios took with pairs told and untold.
pub fn pairs(rows: &[Row]) -> String {
    let mut out = String::new();
    for told in rows.iter().filter(|r| r.truth == "worse") {
        let Some(name) = told.scenario.strip_suffix(" paired") else { continue };
        let other = format!("{name} unpaired");
        let untold = rows
            .iter()
            .find(|r| r.scenario == other && r.rule == told.rule && r.truth == told.truth);
        let medians = (told.median_candidates, untold.and_then(|r| r.median_candidates));
        if let (Some(a), Some(b)) = medians {
            out += &format!(
                "{} {name}: {a:.0} inputs paired, {b:.0} unpaired ({:.2} times as many)\n",
                told.rule,
                b / a
            );
        }
    }
    out
}
