//! `danger add`: a case that failed becomes a test for ever.

use super::client::escape;
use super::failure::{Exit, Failure};
use super::run::Run;
use clap::{Args, Subcommand};
use control::danger::NewDanger;
use control::views::ChangeView;
use domain::ids::{AppName, ChangeId, RequestId};
use domain::suite::{Case, Check};
use serde_json::{Map, Value};
use std::path::PathBuf;

/// Verbs on danger sets.
#[derive(Debug, Subcommand)]
pub enum Danger {
    /// Add a case that failed: as a change of its own, or to the one that
    /// mends it
    Add(Box<Add>),
}

/// Which case, and what a good answer to it keeps.
#[derive(Debug, Args)]
pub struct Add {
    /// The app
    app: AppName,
    /// A request that was answered badly: what was kept of it, redacted
    #[arg(long, value_name = "ID", required_unless_present = "case", conflicts_with = "case")]
    request: Option<RequestId>,
    /// A file with the case, one JSON object as in a suite's `*.jsonl`
    #[arg(long, value_name = "FILE")]
    case: Option<PathBuf>,
    /// With --request: a variable the kept prompt does not show; repeat for more
    #[arg(long, value_name = "NAME=VALUE", requires = "request")]
    var: Vec<String>,
    /// With --request: an answer must hold this text; repeat for more
    #[arg(long, value_name = "TEXT", requires = "request")]
    contains: Vec<String>,
    /// With --request: no answer may hold this text [default: the bad answer]
    #[arg(long, value_name = "TEXT", requires = "request")]
    not_contains: Vec<String>,
    /// With --request: any check of a suite, as JSON; repeat for more
    #[arg(long, value_name = "JSON", requires = "request")]
    check: Vec<String>,
    /// Why, in at least ten characters; kept for ever
    #[arg(long, default_value = "", required_unless_present = "change")]
    why: String,
    /// The open change that mends it: the case goes into it
    #[arg(long, value_name = "NUMBER")]
    change: Option<ChangeId>,
}

/// Runs a verb.
pub async fn run(run: &Run, verb: Danger) -> Result<Exit, Failure> {
    let Danger::Add(args) = verb;
    let path = format!("apps/{}/danger", escape(args.app.as_str()));
    let new = new(*args)?;
    let change: ChangeView = run.api.post(&path, &new, None).await?;
    super::change::proposed(run, change).await
}

fn new(args: Add) -> Result<NewDanger, Failure> {
    let mut checks: Vec<Check> = args.contains.into_iter().map(Check::Contains).collect();
    if !args.not_contains.is_empty() {
        checks.push(Check::NotContains(args.not_contains));
    }
    for text in &args.check {
        checks.push(serde_json::from_str(text).map_err(|e| {
            Failure::usage(format!("`--check {text}` is no check: {e}"))
                .fix("write it as in a suite, for example `{\"language\": \"en\"}`")
        })?);
    }
    Ok(NewDanger {
        request: args.request,
        case: args.case.as_ref().map(case).transpose()?,
        variables: variables(&args.var)?,
        checks,
        why: args.why,
        change: args.change,
    })
}

fn case(path: &PathBuf) -> Result<Case, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|e| Failure::usage(format!("cannot read `{}`: {e}", path.display())))?;
    serde_json::from_str(&text).map_err(|e| {
        Failure::usage(format!("`{}` is no case: {e}", path.display()))
            .fix("write one JSON object with `id`, `variables` or `messages`, and `checks`")
    })
}

fn variables(given: &[String]) -> Result<Map<String, Value>, Failure> {
    given
        .iter()
        .map(|pair| {
            let (name, value) = pair.split_once('=').ok_or_else(|| {
                Failure::usage(format!("`--var {pair}` lacks a `=`")).fix("write `NAME=VALUE`")
            })?;
            Ok((name.to_owned(), Value::from(value)))
        })
        .collect()
}
