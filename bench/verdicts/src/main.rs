//! Simulates rollouts and measures rules: how often each stops a candidate that
//! makes no difference, and how many requests it exposes to one that is worse.
//!
//! A scenario is a world (traffic, shares, laws) and a policy. Rollouts are
//! drawn lazily from it and led past a rule, one look a minute, until the rule
//! decides. `tidegate` is the engine of this repository; the others are what it
//! is compared with. Everything follows from the seed.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark talks to its terminal")]
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")
)]

mod families;
mod floor;
mod law;
mod measure;
mod promises;
mod ranks;
mod report;
mod rng;
mod rules;
mod tick;
mod trace;
mod world;

use measure::Plan;
use std::process::ExitCode;

const HELP: &str = "\
verdicts [--family F,..] [--rule R,..] [--runs N] [--seed S] [--jobs N] [--only TEXT]
         [--truth T,..] [--cap N] [--promote|--no-promote] [--output table|json]
verdicts --quick [--seed S] [--jobs N] [--output table|json]
verdicts --tick [N] [--sticky] [--seed S]

  --family      which families of scenarios; all if absent
  --rule        which rules (tidegate)
  --runs        rollouts per scenario (200)
  --seed        (1)
  --jobs        threads (1)
  --only        scenarios whose name contains this text
  --truth       scenarios of which this is true: same, worse, harmless, notice
  --cap         most requests of a plan; longer plans are cut short (20000)
  --promote     rules may end any rollout by promoting; if not said, only those
                of the family `promotion`
  --no-promote  never
  --quick       few rollouts of all families by Tidegate's rule, in about a minute
                of one core; status 1 if a promise is broken
  --tick        cost of a look with eight signals after so many outcomes
                (1000000), beside a floor in the same run; and memory
  --sticky      with --tick: answers of a user stick together
  --output      a table, or one JSON document
";

/// What may be true in a scenario.
const TRUTHS: [&str; 4] = ["same", "worse", "harmless", "notice"];

struct Asked {
    families: Vec<String>,
    rules: Vec<String>,
    only: String,
    truths: Vec<String>,
    cap: f64,
    json: bool,
    quick: bool,
    plan: Plan,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|w| w == "--help" || w == "-h") {
        print!("{HELP}");
        return ExitCode::SUCCESS;
    }
    if words.iter().any(|w| w == "--tick") {
        return match read_tick(&words).and_then(tick::measure) {
            Ok(said) => {
                print!("{said}");
                ExitCode::SUCCESS
            }
            Err(why) => {
                eprintln!("error: {why}");
                ExitCode::from(2)
            }
        };
    }
    match read(&words).and_then(|asked| run(&asked)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::from(2)
        }
    }
}

fn read_tick(words: &[String]) -> Result<tick::Plan, String> {
    let mut plan = tick::Plan { outcomes: 1_000_000, sticky: false, seed: 1 };
    let mut words = words.iter().peekable();
    let number =
        |word: &str| word.parse::<u64>().map_err(|_| format!("`{word}` is not a whole number"));
    while let Some(word) = words.next() {
        match word.as_str() {
            "--tick" => {
                if let Some(n) = words.next_if(|w| !w.starts_with("--")) {
                    plan.outcomes = number(n)?.clamp(1, 1_000_000_000);
                }
            }
            "--sticky" => plan.sticky = true,
            "--seed" => plan.seed = number(words.next().ok_or("`--seed` needs a value")?)?,
            _ => return Err(format!("`--tick` has no option `{word}`; see `verdicts --help`")),
        }
    }
    Ok(plan)
}

fn read(words: &[String]) -> Result<Asked, String> {
    let list = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
    let mut asked = Asked {
        families: list(&families::FAMILIES),
        rules: list(&["tidegate"]),
        only: String::new(),
        truths: list(&TRUTHS),
        cap: 20_000.0,
        json: false,
        quick: false,
        plan: Plan { runs: 200, seed: 1, jobs: 1, promote: None },
    };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--promote" => asked.plan.promote = Some(true),
            "--no-promote" => asked.plan.promote = Some(false),
            "--quick" => asked.quick = true,
            _ => {}
        }
        if matches!(word.as_str(), "--promote" | "--no-promote" | "--quick") {
            continue;
        }
        let value = words.next().ok_or_else(|| format!("`{word}` needs a value"))?;
        let number =
            || value.parse::<u64>().map_err(|_| format!("`{word} {value}` is not a whole number"));
        match word.as_str() {
            "--family" => asked.families = known(value, &families::FAMILIES, "family")?,
            "--rule" => asked.rules = known(value, &rules::RULES, "rule")?,
            "--runs" => asked.plan.runs = number()?.max(1),
            "--seed" => asked.plan.seed = number()?,
            "--jobs" => asked.plan.jobs = number()?.clamp(1, 256) as usize,
            "--only" => asked.only.clone_from(value),
            "--truth" => asked.truths = known(value, &TRUTHS, "truth")?,
            "--cap" => asked.cap = number()?.max(100) as f64,
            "--output" => asked.json = known(value, &["table", "json"], "output")? == ["json"],
            _ => return Err(format!("there is no option `{word}`; see `verdicts --help`")),
        }
    }
    Ok(asked)
}

fn known(value: &str, names: &[&str], what: &str) -> Result<Vec<String>, String> {
    let each = |name: &str| {
        let is = names.contains(&name).then(|| name.to_owned());
        is.ok_or_else(|| format!("there is no {what} `{name}`; there is {}", names.join(", ")))
    };
    value.split(',').map(each).collect()
}

/// Rollouts per scenario of the quick look at a family.
fn quick_runs(family: &str) -> u64 {
    if family == "rates" { 30 } else { 6 }
}

/// True unless a promise was to be checked and is broken.
fn run(asked: &Asked) -> Result<bool, String> {
    let mut rows = Vec::new();
    let mut summaries = Vec::new();
    let talks = !asked.json && !asked.quick;
    for name in &asked.families {
        let scenarios = families::family(name, asked.cap).unwrap_or_default();
        let mut plan = asked.plan;
        if asked.quick {
            plan.runs = quick_runs(name);
        }
        for rule in &asked.rules {
            let wanted = |s: &&families::Scenario| {
                s.name.contains(&asked.only) && asked.truths.iter().any(|t| t == s.truth.word())
            };
            for scenario in scenarios.iter().filter(wanted) {
                let row = measure::measure(name, scenario, rule, &plan);
                if talks {
                    println!("{}", report::line(&row));
                }
                rows.push(row);
            }
            summaries.push(report::summary(name, rule, &rows));
        }
    }
    let broken = promises::broken(&rows, &summaries);
    if asked.json {
        let whole = serde_json::json!({
            "scenarios": rows, "summaries": summaries, "broken": broken,
        });
        println!("{whole}");
    } else {
        println!("\n{}{}", report::pairs(&rows), report::table(&summaries));
        for sentence in &broken {
            println!("broken: {sentence}");
        }
    }
    Ok(!asked.quick || broken.is_empty())
}
