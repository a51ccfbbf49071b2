//! `policy schema|check|test|explain`: the team's policies on one's own machine,
//! before a change is proposed.

use super::failure::{Exit, Failure};
use super::findings;
use super::output::{Out, Style, talk};
use super::run::Run;
use checks::policy::{self, CaseResult, Effect, Policies, Rule};
use clap::Subcommand;
use domain::facts::{PolicyAction, PolicyCase, Verdict};
use domain::finding::{Finding, Severity};
use domain::ids::ChangeId;
use opsrepo::Files;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The folder of policies in an ops repo.
const FOLDER: &str = "policies";

/// Verbs on policies.
#[derive(Debug, Subcommand)]
pub enum Policy {
    /// Print what policies can say: the Cedar schema, with comments
    Schema,
    /// Read the policies of an ops repo and name every fault; ends with 7 if
    /// there is one
    Check {
        /// A working copy of the ops repo
        #[arg(long, value_name = "DIR", default_value = ".")]
        repo: PathBuf,
    },
    /// Run the team's own examples, `policies/tests/*.yaml`; ends with 7 if one
    /// fails
    Test {
        /// A working copy of the ops repo
        #[arg(long, value_name = "DIR", default_value = ".")]
        repo: PathBuf,
        /// Also write the results as JUnit XML
        #[arg(long, value_name = "FILE")]
        junit: Option<PathBuf>,
    },
    /// What these policies say of a change the server has checked
    Explain {
        /// Its number
        change: ChangeId,
        /// A working copy of the ops repo
        #[arg(long, value_name = "DIR", default_value = ".")]
        repo: PathBuf,
    },
}

impl Policy {
    /// True if this asks no server.
    pub fn is_local(&self) -> bool {
        !matches!(self, Self::Explain { .. })
    }
}

/// Runs a verb.
pub async fn run(run: &Run, verb: Policy) -> Result<Exit, Failure> {
    match verb {
        Policy::Schema => {
            run.out.write(policy::SCHEMA)?;
            Ok(Exit::Ok)
        }
        Policy::Check { repo } => check(run, &Folder::read(&repo)?),
        Policy::Test { repo, junit } => test(run, &Folder::read(&repo)?, junit.as_deref()),
        Policy::Explain { change, repo } => explain(run, change, &Folder::read(&repo)?).await,
    }
}

/// The policies of a folder, and what is wrong with them.
struct Folder {
    policies: Policies,
    cases: BTreeMap<String, Vec<PolicyCase>>,
    findings: Vec<Finding>,
}

impl Folder {
    fn read(repo: &Path) -> Result<Self, Failure> {
        let folder = repo.join(FOLDER);
        if !folder.is_dir() {
            return Err(Failure::usage(format!("there is no folder `{}`", folder.display()))
                .fix("name a working copy of the ops repo with `--repo DIR`"));
        }
        let files: Files = super::init::folder(&folder)?
            .into_iter()
            .map(|(path, bytes)| (format!("{FOLDER}/{path}"), bytes))
            .collect();
        let (desired, mut findings) = opsrepo::parse(&files);
        // The rest of the ops repo is not looked at.
        findings.retain(|f| f.place.as_ref().is_some_and(|p| p.file.starts_with(FOLDER)));
        let (policies, faults) = policy::compile(&desired.policies);
        findings.extend(faults);
        Ok(Self { policies, cases: desired.policy_cases, findings })
    }

    fn is_sound(&self) -> bool {
        self.findings.iter().all(|f| f.severity != Severity::Error)
    }

    fn say_findings(&self) {
        for finding in &self.findings {
            talk(&findings::line(finding));
        }
    }
}

/// A policy as lists show it.
#[derive(Serialize)]
struct Row<'a> {
    id: &'a str,
    file: &'a str,
    line: u32,
    /// `deny`, `warning`, `note`, or whose yes it asks for.
    effect: String,
    because: &'a str,
    satisfy: &'a str,
}

impl<'a> Row<'a> {
    fn of(rule: &'a Rule) -> Self {
        let effect = match &rule.effect {
            Effect::Deny => "deny".to_owned(),
            Effect::Require(asks) => {
                asks.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
            }
            Effect::Tell(Severity::Note) => "note".to_owned(),
            Effect::Tell(_) => "warning".to_owned(),
        };
        let Rule { id, file, line, because, satisfy, .. } = rule;
        Self { id, file, line: *line, effect, because, satisfy }
    }
}

#[derive(Serialize)]
struct Checked<'a> {
    policies: Vec<Row<'a>>,
    findings: &'a [Finding],
}

fn check(run: &Run, folder: &Folder) -> Result<Exit, Failure> {
    let policies: Vec<Row<'_>> = folder.policies.rules().map(Row::of).collect();
    let checked = Checked { policies, findings: &folder.findings };
    run.out.one(&checked, |out| {
        let rows: Vec<Vec<String>> = checked
            .policies
            .iter()
            .map(|p| vec![p.id.to_owned(), p.effect.clone(), format!("{}:{}", p.file, p.line)])
            .collect();
        super::output::table(&["POLICY", "EFFECT", "PLACE"].map(str::to_owned), &rows, out.tty)
    })?;
    folder.say_findings();
    Ok(if folder.is_sound() { Exit::Ok } else { Exit::Refused })
}

/// An example, and what became of it.
#[derive(Serialize)]
struct Ran {
    file: String,
    #[serde(flatten)]
    result: CaseResult,
}

fn test(run: &Run, folder: &Folder, junit: Option<&Path>) -> Result<Exit, Failure> {
    if !folder.is_sound() {
        folder.say_findings();
        return Err(Failure::new(Exit::Refused, "the policies or their examples have faults")
            .fix("mend them first; `tidegate policy check` names each"));
    }
    let results: Vec<Ran> = folder
        .cases
        .iter()
        .flat_map(|(file, cases)| {
            cases.iter().map(|case| Ran {
                file: file.clone(),
                result: policy::run_case(&folder.policies, case),
            })
        })
        .collect();
    if let Some(path) = junit {
        std::fs::write(path, as_junit(&results)).map_err(|e| {
            Failure::usage(format!("cannot write the results to `{}`: {e}", path.display()))
        })?;
    }
    run.out
        .list(&results)
        .column("RESULT", |r, out: &Out| {
            if r.result.passed {
                out.paint(Style::Good, "passed")
            } else {
                out.paint(Style::Bad, "failed")
            }
        })
        .column("EXAMPLE", |r, _| r.result.name.clone())
        .column("FILE", |r, _| r.file.clone())
        .column("DIFFERENCE", |r, _| r.result.differences.join("; "))
        .print()?;
    let failed = results.iter().filter(|r| !r.result.passed).count();
    talk(&match (results.len(), failed) {
        (0, _) => format!("no examples; write some in {FOLDER}/tests/*.yaml"),
        (n, 0) => format!("all {n} examples hold"),
        (n, failed) => format!("{failed} of {n} examples fail"),
    });
    Ok(if failed == 0 { Exit::Ok } else { Exit::Refused })
}

/// JUnit XML, as build servers read it: a suite a file, a test an example.
fn as_junit(results: &[Ran]) -> String {
    let mut files: BTreeMap<&str, Vec<&CaseResult>> = BTreeMap::new();
    for ran in results {
        files.entry(&ran.file).or_default().push(&ran.result);
    }
    let failed = |results: &[&CaseResult]| results.iter().filter(|r| !r.passed).count();
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for (file, results) in files {
        xml.push_str(&format!(
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\">\n",
            escape(file),
            results.len(),
            failed(&results)
        ));
        for result in results {
            let (class, name) = (escape(file), escape(&result.name));
            xml.push_str(&format!("    <testcase classname=\"{class}\" name=\"{name}\""));
            if result.passed {
                xml.push_str("/>\n");
            } else {
                let message = escape(&result.differences.join("; "));
                xml.push_str(&format!(
                    ">\n      <failure message=\"{message}\"/>\n    </testcase>\n"
                ));
            }
        }
        xml.push_str("  </testsuite>\n");
    }
    xml.push_str("</testsuites>\n");
    xml
}

/// Text inside an XML attribute; control characters, which XML has no form for,
/// become spaces.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// What policies say, and what they were told.
#[derive(Serialize)]
struct Explained {
    change: ChangeId,
    decision: Verdict,
    denied_by: Vec<String>,
    requires: Vec<String>,
    warned_by: Vec<String>,
    facts: domain::facts::Facts,
}

async fn explain(run: &Run, id: ChangeId, folder: &Folder) -> Result<Exit, Failure> {
    if !folder.is_sound() {
        folder.say_findings();
    }
    let change = super::change::get(run, id).await?;
    let Some((facts, author)) = change.facts.and_then(|facts| {
        let author = facts.authors.first()?.clone();
        Some((facts, author))
    }) else {
        return Err(Failure::new(
            Exit::Pending,
            format!("policies were not asked about {id}: it is being checked, or does not compose"),
        )
        .fix(format!("see: tidegate change checks {}", id.0)));
    };
    let mut outcome = folder.policies.decide(PolicyAction::Release, &author, &facts);
    for author in &facts.authors {
        let more = folder.policies.decide(PolicyAction::Propose, author, &facts);
        outcome.denied.extend(more.denied);
        outcome.broken.extend(more.broken);
        outcome.told.extend(more.told);
    }
    let explained = Explained {
        change: id,
        decision: if outcome.allowed() { Verdict::Allow } else { Verdict::Deny },
        denied_by: outcome.deniers().into_iter().collect(),
        requires: outcome.asks().iter().map(ToString::to_string).collect(),
        warned_by: outcome.told.iter().map(|(rule, _)| rule.id.clone()).collect(),
        facts,
    };
    let known = serde_json::to_string_pretty(&explained.facts).unwrap_or_default();
    run.out.one(&explained, |out| {
        out.facts(&[
            ("change", id.to_string()),
            ("decision", explained.decision.key().to_owned()),
            ("denied by", explained.denied_by.join(", ")),
            ("requires", explained.requires.join(", ")),
            ("warned by", explained.warned_by.join(", ")),
            ("facts", known),
        ])
    })?;
    Ok(if outcome.allowed() { Exit::Ok } else { Exit::Refused })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_sound_xml_whatever_they_are_called() {
        let result = |name: &str, differences: &[&str]| Ran {
            file: "policies/tests/a.yaml".to_owned(),
            result: CaseResult {
                name: name.to_owned(),
                passed: differences.is_empty(),
                differences: differences.iter().map(|d| (*d).to_owned()).collect(),
                decision: Verdict::Allow,
                denied_by: std::collections::BTreeSet::new(),
                requires: std::collections::BTreeSet::new(),
                warned_by: std::collections::BTreeSet::new(),
            },
        };
        let xml = as_junit(&[result("a \"<&\u{1}", &[]), result("b", &["x > y", "z"])]);
        insta::assert_snapshot!(xml, @r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites>
          <testsuite name="policies/tests/a.yaml" tests="2" failures="1">
            <testcase classname="policies/tests/a.yaml" name="a &quot;&lt;&amp; "/>
            <testcase classname="policies/tests/a.yaml" name="b">
              <failure message="x &gt; y; z"/>
            </testcase>
          </testsuite>
        </testsuites>
        "#);
    }
}
