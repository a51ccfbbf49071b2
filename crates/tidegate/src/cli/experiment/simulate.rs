//! `experiment simulate`: what an experiment would do if the truth were this.

use super::super::failure::{Exit, Failure};
use super::super::output::{Out, table};
use super::super::text;
use super::{read_policy, words};
use analysis::experiment::Experiment;
use analysis::experiment::simulate::{Course, Setting, Truth, simulate};
use clap::Args;
use domain::experiment::Allocate;
use domain::policy::SignalKind;
use domain::units::{Ratio, Span};
use serde::Serialize;
use std::path::PathBuf;

/// Requests simulated in one call at most, over all runs.
const MOST_WORK: u64 = 200_000_000;

/// The policy, and what is assumed.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n\
    \n    tidegate experiment simulate --policy experiment.yaml \\\n        \
    --truth today=20%,short=24% --per-hour 400")]
pub struct Simulate {
    /// The experiment policy, YAML or JSON
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// The true mean of the primary metric of every variant
    #[arg(long, value_name = "VARIANT=MEAN", value_delimiter = ',', required = true)]
    truth: Vec<Named>,
    /// What one answer of a variant costs, where the reward has a cost
    #[arg(long, value_name = "VARIANT=COST", value_delimiter = ',')]
    cost: Vec<Named>,
    /// Standard deviation of the primary metric, unless it is a rate
    /// [default: a quarter of its range]
    #[arg(long)]
    deviation: Option<f64>,
    /// Requests an hour
    #[arg(long, default_value_t = 100.0)]
    per_hour: f64,
    /// Requests after which a run gives up
    #[arg(long, default_value_t = 10_000)]
    requests: u64,
    /// How often the experiment is run
    #[arg(long, default_value_t = 200)]
    runs: u64,
    /// The same seed gives the same numbers
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// A number of a variant: `short=24%`.
#[derive(Debug, Clone, PartialEq)]
struct Named {
    variant: String,
    value: f64,
}

impl std::str::FromStr for Named {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (variant, value) =
            text.split_once('=').ok_or("write a variant and a number, such as `short=24%`")?;
        let quoted = serde_json::Value::from(value);
        let value: Ratio = serde_json::from_value(quoted).map_err(|e| e.to_string())?;
        Ok(Self { variant: variant.to_owned(), value: value.0 })
    }
}

/// What is printed as JSON.
#[derive(Serialize)]
struct Said<'c> {
    per_hour: f64,
    requests: u64,
    courses: &'c [Course],
}

/// Simulates and says.
pub(super) fn run(out: &Out, args: &Simulate) -> Result<Exit, Failure> {
    let experiment = read_policy(&args.policy)?;
    let truth = truth(&experiment, args)?;
    let every = experiment.policy().check_every.secs() / 3600.0;
    if !(args.per_hour > 0.0 && args.per_hour.is_finite()) || args.runs == 0 || args.requests == 0 {
        return Err(Failure::usage(
            "`--per-hour`, `--requests` and `--runs` must be greater than 0",
        ));
    }
    if args.runs.saturating_mul(args.requests) > MOST_WORK {
        return Err(Failure::usage(format!(
            "{} runs of {} are too many",
            text::count(args.runs),
            text::plural(args.requests, "request")
        ))
        .fix("give fewer `--runs` or `--requests`"));
    }
    let setting = Setting {
        requests: args.requests,
        per_look: (args.per_hour * every).round().max(1.0) as u64,
        runs: args.runs,
        seed: args.seed,
    };
    let courses = simulate(&experiment, &truth, setting)
        .ok_or_else(|| Failure::usage("the truth given does not make a reward of every variant"))?;
    let said = Said { per_hour: args.per_hour, requests: args.requests, courses: &courses };
    out.one(&said, |out| human(out, &experiment, args, &courses))?;
    Ok(Exit::Ok)
}

/// What is assumed of every variant, in the policy's order.
fn truth(experiment: &Experiment, args: &Simulate) -> Result<Vec<Truth>, Failure> {
    let policy = experiment.policy();
    for (flag, named) in [("--truth", &args.truth), ("--cost", &args.cost)] {
        if let Some(odd) = named.iter().find(|named| policy.variant(&named.variant).is_none()) {
            let known: Vec<_> = policy.variants.iter().map(|v| v.name.as_str()).collect();
            return Err(Failure::usage(format!("`{flag}`: `{}` is not a variant", odd.variant))
                .fix(format!("the policy has {}", known.join(", "))));
        }
    }
    let of = |named: &[Named], name: &str| {
        named.iter().rev().find(|named| named.variant == name).map(|named| named.value)
    };
    let (low, high) = policy.reward.range.unwrap_or((0.0, 1.0));
    let deviation = args.deviation.unwrap_or((high - low) / 4.0);
    if !(deviation > 0.0 && deviation.is_finite()) {
        return Err(Failure::usage("`--deviation` must be greater than 0"));
    }
    let priced = policy.reward.cost.is_some();
    policy
        .variants
        .iter()
        .map(|variant| {
            let missing = |flag: &str| {
                Failure::usage(format!("`{flag}` says nothing of `{}`", variant.name))
                    .fix(format!("add `{flag} {}=...`", variant.name))
            };
            let mean = of(&args.truth, &variant.name).ok_or_else(|| missing("--truth"))?;
            if !(low..=high).contains(&mean) {
                let unit = if policy.reward.kind == SignalKind::Rate { "a rate" } else { "it" };
                return Err(Failure::usage(format!(
                    "the true mean of `{}` is {mean}; {unit} must lie between {low} and {high}",
                    variant.name
                )));
            }
            let cost = match of(&args.cost, &variant.name) {
                Some(cost) => cost,
                None if priced => return Err(missing("--cost")),
                None => 0.0,
            };
            Ok(Truth { mean, deviation, cost })
        })
        .collect()
}

fn human(out: &Out, experiment: &Experiment, args: &Simulate, courses: &[Course]) -> String {
    let after = |requests: Option<u64>| match requests {
        Some(n) => {
            let hours = n as f64 / args.per_hour;
            format!("{} ({})", text::count(n), time(hours))
        }
        None => format!("more than {}", text::count(args.requests)),
    };
    let of = |n: u64, runs: u64| words::percent(n as f64 / runs as f64);
    let rows: Vec<Vec<String>> = courses
        .iter()
        .map(|course| {
            vec![
                name(course.allocate).to_owned(),
                of(course.right, course.runs),
                of(course.wrong, course.runs),
                of(course.undecided, course.runs),
                after(course.median_requests),
                after(course.most_requests),
                text::amount("", false, Some(course.regret)),
                words::percent(course.best_share),
            ]
        })
        .collect();
    let titles = [
        "SHARES",
        "RIGHT",
        "WRONG",
        "UNDECIDED",
        "HALF END BY",
        "9 OF 10 END BY",
        "REWARD LOST",
        "BEST GOT",
    ]
    .map(str::to_owned);
    let rows = table(&titles, &rows, out.tty);
    if !out.tty {
        return rows;
    }
    let looks = experiment.policy().check_every;
    format!(
        "{rows}\n{} with a look every {looks}, {} of at most {}. Reward lost is \
         what users of one run miss because they do not get the best variant.\n",
        format_args!("{} requests an hour", args.per_hour),
        text::plural(args.runs, "run"),
        text::plural(args.requests, "request"),
    )
}

fn name(allocate: Allocate) -> &'static str {
    match allocate {
        Allocate::Fixed => "fixed",
        Allocate::Thompson => "thompson",
    }
}

/// Two hours, three days.
fn time(hours: f64) -> String {
    let span = Span::from_secs((hours * 3600.0) as i64);
    match span.secs() {
        s if s < 7200.0 => format!("{:.0}m", s / 60.0),
        s if s < 48.0 * 3600.0 => format!("{:.0}h", s / 3600.0),
        s => format!("{:.1}d", s / 86_400.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_given_by_variant() {
        let named = |text: &str| text.parse::<Named>();
        assert_eq!(named("short=24%"), Ok(Named { variant: "short".to_owned(), value: 0.24 }));
        assert_eq!(named("a=3.5").map(|n| n.value), Ok(3.5));
        assert!(named("short").is_err() && named("short=lots").is_err());
    }

    #[test]
    fn times_are_short() {
        assert_eq!([0.5, 3.0, 47.0, 60.0].map(time), ["30m", "3h", "47h", "2.5d"]);
    }
}
