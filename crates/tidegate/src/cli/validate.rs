//! `validate`: every static gate over the files of an ops repo, for any CI.

use super::eval::{ReportForm, write_report};
use super::failure::{Exit, Failure};
use super::findings;
use super::init::folder;
use super::run::Run;
use clap::Args;
use domain::finding::GateReport;
use evals::Results;
use serde::Serialize;
use std::path::PathBuf;

/// Which files, and which form of report.
#[derive(Debug, Args)]
pub struct Validate {
    /// Top folder of a checkout of the ops repo
    #[arg(long, value_name = "DIR", default_value = ".")]
    repo: PathBuf,
    /// Write a report into this file
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Form of the report
    #[arg(long, value_enum, default_value_t = ReportForm::Json, value_name = "FORM")]
    format: ReportForm,
}

#[derive(Serialize)]
struct Validated<'a> {
    #[serde(rename = "apiVersion")]
    api_version: &'a str,
    passed: bool,
    reports: Vec<Named<'a>>,
}

#[derive(Serialize)]
struct Named<'a> {
    name: &'a str,
    #[serde(flatten)]
    report: &'a GateReport,
}

/// Runs it.
pub fn run(run: &Run, args: &Validate) -> Result<Exit, Failure> {
    let files = folder(&args.repo)?;
    if !files.contains_key("tidegate.yaml") {
        return Err(Failure::usage(format!(
            "`{}` is no ops repo: it has no `tidegate.yaml`",
            args.repo.display()
        ))
        .fix("name its top folder with `--repo DIR`"));
    }
    let reports = evals::validate(&files);
    let passed = reports.iter().all(|(_, report)| report.passed());
    let named = reports.iter().map(|(name, report)| Named { name, report });
    let validated =
        Validated { api_version: domain::manifest::API_VERSION, passed, reports: named.collect() };
    if let Some(path) = &args.report {
        let results: Vec<Results<'_>> =
            reports.iter().map(|(name, report)| Results { name, gates: &report.gates }).collect();
        write_report(path, args.format, &results, || {
            serde_json::to_string_pretty(&validated).map(|text| format!("{text}\n"))
        })?;
    }
    run.out.one(&validated, |out| {
        reports
            .iter()
            .map(|(name, report)| format!("{name}\n{}", findings::report(out, report)))
            .collect()
    })?;
    Ok(if passed { Exit::Ok } else { Exit::Refused })
}
