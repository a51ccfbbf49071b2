//! Key figures: from single happenings to a number, a trend, and words.
//!
//! Each figure is a list of points, one for each happening it is about, and one
//! statistic over them. So every number can be opened, and none is made of fewer
//! happenings than [`NEED`] without saying so.

use crate::ids::AppName;
use crate::params;
use crate::sentence::Sentence;
use crate::units::Timestamp;
use serde::{Deserialize, Serialize};

/// Fewest happenings that a number is made of.
pub const NEED: usize = 5;
/// Parts of a trend.
pub const PARTS: i64 = 12;
/// Most points listed with a figure, newest first.
pub const MAX_LISTED: usize = 200;

/// One happening.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// When.
    pub at: Timestamp,
    /// The app.
    pub app: AppName,
    /// What it is, as the audit log names it: `change/ch-41`.
    pub object: String,
    /// The number it adds: milliseconds, a share, or 1 and 0 for yes and no.
    pub value: f64,
    /// In words.
    pub text: String,
    /// Its page.
    pub url: String,
}

/// How points become a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statistic {
    /// The middle one.
    Median,
    /// Their mean; of yes and no that is the share of yes.
    Mean,
}

/// What a number is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Milliseconds.
    Ms,
    /// A share of one.
    Share,
}

/// What a figure is.
#[derive(Debug, Clone, Copy)]
pub struct Figure {
    /// Its stable name.
    pub key: &'static str,
    /// Its title.
    pub title: &'static str,
    /// What exactly is counted, in words.
    pub definition: &'static str,
    /// What happenings are called, for "Too few … to say".
    pub what: &'static str,
    /// How points become a number.
    pub statistic: Statistic,
    /// What it is in.
    pub unit: Unit,
}

/// A part of the time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// Its beginning.
    pub from: Timestamp,
    /// The number over its points; absent without any.
    pub value: Option<f64>,
    /// How many points.
    pub n: usize,
}

/// A part of a time, such as that of the checks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Slice {
    /// Its stable name.
    pub key: String,
    /// In words.
    pub label: String,
    /// Its number; absent with too few.
    pub value: Option<f64>,
}

/// A figure with its number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Card {
    /// Its stable name.
    pub key: String,
    /// Its title.
    pub title: String,
    /// What exactly is counted, in words.
    pub definition: String,
    /// The number; absent with too few happenings.
    pub value: Option<f64>,
    /// The number that nine of ten stay below, for times.
    pub p90: Option<f64>,
    /// What it is in.
    pub unit: Unit,
    /// Happenings it is made of.
    pub n: usize,
    /// How many are needed.
    pub need: usize,
    /// In words.
    pub text: Sentence,
    /// What the number is made of, for times.
    pub breakdown: Vec<Slice>,
    /// The same over parts of the time.
    pub trend: Vec<Part>,
    /// The happenings, newest first, the first [`MAX_LISTED`].
    pub list: Vec<Point>,
}

impl Figure {
    /// The number of these points over `[from, to)`.
    pub fn card(&self, mut points: Vec<Point>, from: Timestamp, to: Timestamp) -> Card {
        points.retain(|p| p.at >= from && p.at < to && p.value.is_finite());
        points.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| a.object.cmp(&b.object)));
        let values: Vec<f64> = points.iter().map(|p| p.value).collect();
        let enough = values.len() >= NEED;
        let value = self.of(&values).filter(|_| enough);
        let timed = enough && self.unit == Unit::Ms;
        Card {
            key: self.key.to_owned(),
            title: self.title.to_owned(),
            definition: self.definition.to_owned(),
            value,
            p90: quantile(&values, 0.9).filter(|_| timed),
            unit: self.unit,
            n: values.len(),
            need: NEED,
            text: self.words(value, values.len()),
            breakdown: Vec::new(),
            trend: self.trend(&points, from, to),
            list: points.into_iter().take(MAX_LISTED).collect(),
        }
    }

    fn of(&self, values: &[f64]) -> Option<f64> {
        match self.statistic {
            Statistic::Median => quantile(values, 0.5),
            Statistic::Mean if values.is_empty() => None,
            Statistic::Mean => Some(values.iter().sum::<f64>() / values.len() as f64),
        }
    }

    fn trend(&self, points: &[Point], from: Timestamp, to: Timestamp) -> Vec<Part> {
        let length = (to.0.saturating_sub(from.0) / PARTS).max(1);
        (0..PARTS)
            .map(|part| {
                let begins = from.0.saturating_add(part.saturating_mul(length));
                let ends = if part + 1 == PARTS { to.0 } else { begins.saturating_add(length) };
                let values: Vec<f64> = points
                    .iter()
                    .filter(|p| p.at.0 >= begins && p.at.0 < ends)
                    .map(|p| p.value)
                    .collect();
                Part { from: Timestamp(begins), value: self.of(&values), n: values.len() }
            })
            .collect()
    }

    fn words(&self, value: Option<f64>, n: usize) -> Sentence {
        let Some(value) = value else {
            let params = params! {"what" => self.what, "n" => n, "need" => NEED};
            return Sentence::render("too_few", "Too few {what} to say ({n} of {need}).", params);
        };
        let shown = match self.unit {
            Unit::Ms => span(value),
            Unit::Share if self.statistic == Statistic::Median => {
                format!("{:+.1}%", value * 100.0)
            }
            Unit::Share => format!("{:.1}%", value * 100.0),
        };
        let params = params! {"value" => shown, "n" => n, "what" => self.what};
        Sentence::render(self.key, "{value}, of {n} {what}.", params)
    }
}

/// The median of values that belong to no happening of their own; absent with
/// fewer than [`NEED`].
pub fn slice(key: &str, label: &str, values: &[f64]) -> Slice {
    let value = quantile(values, 0.5).filter(|_| values.len() >= NEED);
    Slice { key: key.to_owned(), label: label.to_owned(), value }
}

/// The quantile by linear interpolation between order statistics (Hyndman and
/// Fan's seventh, as spreadsheets have it).
fn quantile(values: &[f64], q: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = q * (sorted.len().checked_sub(1)?) as f64;
    let low = place.floor();
    let (below, above) = (sorted.get(low as usize)?, sorted.get(place.ceil() as usize)?);
    Some(below + (above - below) * (place - low))
}

/// Milliseconds as people say them.
fn span(ms: f64) -> String {
    let s = ms / 1e3;
    match s {
        s if s < 1.0 => format!("{ms:.0} ms"),
        s if s < 120.0 => format!("{s:.1} s"),
        s if s < 7_200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.1} h", s / 3_600.0),
        s => format!("{:.1} days", s / 86_400.0),
    }
}

/// The points of these figures as CSV (RFC 4180). A cell that a spreadsheet
/// would run as a formula begins with an apostrophe.
pub fn csv(cards: &[Card]) -> String {
    let mut out = "figure,at,app,object,value,text\r\n".to_owned();
    for card in cards {
        for point in &card.list {
            let cells = [
                card.key.clone(),
                point.at.iso(),
                point.app.to_string(),
                point.object.clone(),
                point.value.to_string(),
                point.text.clone(),
            ];
            let cells: Vec<String> =
                cells.iter().enumerate().map(|(i, c)| cell(c, i == 4)).collect();
            out.push_str(&cells.join(","));
            out.push_str("\r\n");
        }
    }
    out
}

fn cell(text: &str, number: bool) -> String {
    let formula = !number && text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    if text.contains(['"', ',', '\n', '\r']) {
        return format!("\"{}\"", text.replace('"', "\"\""));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Figure = Figure {
        key: "t",
        title: "T",
        definition: "d",
        what: "changes",
        statistic: Statistic::Median,
        unit: Unit::Ms,
    };

    fn point(at: i64, value: f64) -> Point {
        Point {
            at: Timestamp(at),
            app: "a".parse().unwrap(),
            object: format!("change/ch-{at}"),
            value,
            text: "=SUM(A1), \"x\"".to_owned(),
            url: String::new(),
        }
    }

    #[test]
    fn a_number_needs_five() {
        let card = TIME.card((0..4).map(|n| point(n, 1.0)).collect(), Timestamp(0), Timestamp(12));
        assert_eq!((card.value, card.p90, card.n), (None, None, 4));
        assert_eq!(card.text.text, "Too few changes to say (4 of 5).");
        let points = (0..=10).map(|n| point(n, (n * 60_000) as f64)).collect();
        let card = TIME.card(points, Timestamp(0), Timestamp(12));
        assert_eq!((card.value, card.p90), (Some(300_000.0), Some(540_000.0)));
        assert_eq!(card.text.text, "5 min, of 11 changes.");
        assert_eq!(card.list[0].at, Timestamp(10));
    }

    #[test]
    fn a_trend_covers_all_of_the_time_and_nothing_else() {
        let points: Vec<Point> = [-1, 0, 11, 59, 60].map(|at| point(at, 2.0)).into();
        let card = TIME.card(points, Timestamp(0), Timestamp(60));
        assert_eq!(card.n, 3);
        assert_eq!(card.trend.len(), 12);
        assert_eq!(card.trend.iter().map(|p| p.n).sum::<usize>(), 3);
        assert_eq!((card.trend[0].value, card.trend[1].value), (Some(2.0), None));
        let share = Figure { statistic: Statistic::Mean, unit: Unit::Share, ..TIME };
        let yes: Vec<Point> = (0..8).map(|n| point(n, f64::from(n < 2))).collect();
        let card = share.card(yes, Timestamp(0), Timestamp(60));
        assert_eq!((card.value, card.p90), (Some(0.25), None));
        assert_eq!(card.text.text, "25.0%, of 8 changes.");
    }

    #[test]
    fn a_spreadsheet_runs_nothing() {
        let card = TIME.card(vec![point(1, -1.5)], Timestamp(0), Timestamp(60));
        let text = csv(&[card]);
        let line = text.lines().nth(1).unwrap();
        assert!(line.ends_with(r#","'=SUM(A1), ""x""""#), "{line}");
        assert!(line.contains(",-1.5,"), "{line}");
    }

    #[test]
    fn times_are_said_as_people_say_them() {
        assert_eq!(
            [240.0, 5_000.0, 300_000.0, 9e6, 2.6e8].map(span),
            ["240 ms", "5.0 s", "5 min", "2.5 h", "3.0 days"]
        );
    }
}
