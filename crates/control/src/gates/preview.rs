//! What the gates would say of edits nobody has sent yet: the same static gates,
//! over `main` with the edits laid on top. Nothing is stored and nobody is asked.

use super::cost::CostPart;
use super::{Judged, Subject, strictest};
use crate::Control;
use crate::caller::Caller;
use crate::changes::{invalid, parse_bump};
use crate::facts::{Contents, typical};
use crate::git::blocking;
use crate::problem::Problem;
use domain::approval::Requirement;
use domain::finding::{Finding, Severity, Tier};
use domain::ids::AppName;
use domain::people::{Permission, Person, Role, may};
use opsrepo::{CommitId, Edits, Files};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use store::Kind;

/// Most files looked at.
const MAX_FILES: usize = 200;
/// Most text looked at, in bytes: an answer while somebody types.
const MAX_TEXT: usize = 2 << 20;
/// Most names a sentence lists.
const MAX_NAMES: usize = 5;

/// `POST /api/v1/apps/{app}/check`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NewCheck {
    /// The edited files: path → new text, or nothing to remove it.
    pub files: BTreeMap<String, Option<String>>,
    /// The commit the edits were begun on; what `main` is now if absent.
    pub base: Option<String>,
    /// As in [`crate::views::NewChange`].
    pub bump: Option<String>,
}

/// What would be said.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CheckView {
    /// Commit of `main` it was checked on.
    pub base: String,
    /// True if `main` has moved since the edits were begun.
    pub base_moved: bool,
    /// What was found, worst first.
    pub findings: Vec<FoundView>,
    /// Tokens of a typical request.
    pub tokens: NowNew<Option<u64>>,
    /// What it costs.
    pub cost: CostView,
    /// Whose yes will be asked for, in sentences.
    pub who: Vec<String>,
    /// True if it would reach people as it is.
    pub can_send: bool,
}

/// A value of production and of the edits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct NowNew<T> {
    /// Production's.
    pub now: T,
    /// The edits'.
    pub new: T,
}

/// One finding with its gate and place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FoundView {
    /// The gate.
    pub gate: String,
    /// File, if it is in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Line, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// First column, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// Last column, inclusive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_column: Option<u32>,
    /// The finding itself.
    #[serde(flatten)]
    pub finding: Finding,
}

/// Forecast costs, in US dollars.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CostView {
    /// Of a typical request.
    pub per_request: NowNew<Option<f64>>,
    /// Of 30 days.
    pub per_month: MonthView,
    /// How it was forecast, in a sentence.
    pub how: String,
}

/// The forecast of 30 days.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MonthView {
    /// Production's.
    pub now: Option<f64>,
    /// The edits'.
    pub new: Option<f64>,
    /// Lower end of the edits'.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
}

impl Control {
    /// Checks edits without sending them.
    ///
    /// # Errors
    /// `not_allowed`, `no_such_app`, `too_many_files`, `too_large`, `bad_bump`,
    /// or a `base` that is no commit.
    pub async fn check_edits(
        &self,
        caller: &Caller,
        app: &AppName,
        new: NewCheck,
    ) -> Result<CheckView, Problem> {
        caller.must(Permission::Propose)?;
        refuse_large(&new)?;
        let record = self.app_record(app).await?;
        let now = self.clock.now();
        let (subject, moved) = self.overlaid(new).await?;
        let composed = subject.desired.compose(app);
        let denied = match &composed {
            Ok(release) => self.store.get(Kind::Denied, release.id).await?.map(|d| d.doc),
            Err(_) => None,
        };
        let known = self.known_about(app, [caller.name()].into_iter(), None, now).await?;
        let heard = self.heard_of(&subject.desired, app, now).await?;
        let judged = Judged {
            keys: self.config.env_keys.clone(),
            production: Some(self.release_record(record.doc.production).await?),
            recordings: super::suites::Parsed::new(),
            evals: Mutex::default(),
            asked: Mutex::default(),
            app: app.clone(),
            subject,
            composed,
            denied,
            known,
            heard,
        };
        let (judged, report, policies, costs) = tokio::task::spawn_blocking(move || {
            let policies = judged.policies(now);
            let report = judged.report(now, &policies, Some(Tier::Static));
            let costs = judged.cost_part(now);
            (judged, report, policies, costs)
        })
        .await
        .map_err(|e| crate::wrong("the checks", &e))?;
        let sent = report.passed() && !judged.subject.paths.is_empty();
        let mut findings: Vec<_> = report
            .gates
            .into_iter()
            .flat_map(|g| g.findings.into_iter().map(move |f| found(&g.gate, f)))
            .chain(costs.findings.iter().map(|finding| found("cost", finding.clone())))
            .chain(moved.iter().map(|path| found("files", moved_under(path))))
            .collect();
        findings.sort_by_key(|f| std::cmp::Reverse(f.finding.severity));
        let asked = |desired: &opsrepo::Desired| {
            desired.apps.get(app).map(|spec| spec.requirements.clone()).unwrap_or_default()
        };
        let needs = strictest(asked(&judged.subject.desired), asked(&judged.subject.base));
        let needs = strictest(needs, policies.requirements);
        let needs = strictest(needs, costs.asked.iter().cloned().collect());
        Ok(CheckView {
            base: judged.subject.commit.to_string(),
            base_moved: !moved.is_empty(),
            findings,
            tokens: judged.tokens(),
            cost: cost_view(&costs),
            who: self.who_is_asked(caller, &needs).await?,
            can_send: sent,
        })
    }

    /// `main` with the edits on top, and the edited files that moved under them.
    pub(super) async fn overlaid(&self, new: NewCheck) -> Result<(Subject, Vec<String>), Problem> {
        let bump = new.bump.as_deref().map(parse_bump).transpose()?;
        let begun = new.base.as_deref().map(str::parse::<CommitId>).transpose().map_err(|_| {
            invalid("bad_base", "`base` is no commit", "send the `base` you were given", "base")
        })?;
        let repo = self.repo.clone();
        blocking(move || {
            let commit = repo.head()?;
            let base_files = repo.files(commit)?;
            let mut edits: Edits = new
                .files
                .into_iter()
                .map(|(path, content)| (path, content.map(String::into_bytes)))
                .filter(|(path, content)| base_files.get(path) != content.as_ref())
                .collect();
            if let Some(bump) = bump {
                crate::bump::raise_versions(&base_files, &mut edits, bump);
            }
            let moved = match begun.filter(|begun| *begun != commit) {
                Some(begun) => repo.changed_paths(begun, commit)?,
                None => BTreeSet::new(),
            };
            let moved = moved.into_iter().filter(|path| edits.contains_key(path)).collect();
            Ok((subject(commit, &base_files, edits), moved))
        })
        .await
    }

    /// Who could say the yes that is asked for, by name.
    async fn who_is_asked(
        &self,
        caller: &Caller,
        needs: &[Requirement],
    ) -> Result<Vec<String>, Problem> {
        let people = self.all::<Person>(Kind::Person).await?;
        let could = |role: Role| {
            people
                .iter()
                .map(|p| &p.doc)
                .filter(|p| p.name != caller.person.name && !p.roles.contains(&Role::Agent))
                .filter(|p| match role {
                    Role::Approver => may(&p.roles, Permission::Approve),
                    role => p.roles.contains(&role),
                })
                .map(|p| p.display.clone())
                .collect::<Vec<_>>()
        };
        Ok(needs.iter().map(|need| asked(need, &could(need.role))).collect())
    }
}

/// "1 approver: Priya Shah or Sam Lee. Somebody else looks at every change."
fn asked(need: &Requirement, could: &[String]) -> String {
    let role = match (need.role, need.count) {
        (Role::Finance, 1) => "somebody of finance".to_owned(),
        (Role::Finance, n) => format!("{n} of finance"),
        (role, 1) => format!("1 {role}"),
        (role, n) => format!("{n} {role}s"),
    };
    let more = could.len().saturating_sub(MAX_NAMES);
    let mut names: Vec<_> = could.iter().take(MAX_NAMES).cloned().collect();
    if more > 0 {
        names.push(format!("{more} others"));
    }
    let who = match names.split_last() {
        None => "but nobody here has that role".to_owned(),
        Some((one, [])) => one.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
    };
    let reason = need.reason.trim_end_matches('.');
    let mut letters = reason.chars();
    let reason: String =
        letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
    format!("{role}: {who}. {reason}.")
}

pub(super) fn refuse_large(new: &NewCheck) -> Result<(), Problem> {
    let text = new.files.values().flatten().map(String::len).sum::<usize>();
    if new.files.len() > MAX_FILES {
        let hint = "check fewer at a time";
        return Err(invalid("too_many_files", "at most 200 files are checked", hint, "files"));
    }
    if text > MAX_TEXT {
        let detail = format!("at most {MAX_TEXT} bytes of text are checked");
        return Err(invalid("too_large", &detail, "send the change to have it checked", "files"));
    }
    Ok(())
}

fn subject(commit: CommitId, base_files: &Files, edits: Edits) -> Subject {
    let paths = edits.keys().cloned().collect();
    let base = opsrepo::parse(base_files).0;
    let mut files = base_files.clone();
    for (path, content) in edits {
        match content {
            Some(content) => files.insert(path, content),
            None => files.remove(&path),
        };
    }
    let (desired, findings) = opsrepo::parse(&files);
    Subject {
        commit,
        files,
        paths,
        desired,
        main: base.clone(),
        base,
        base_apps: base_files.keys().filter_map(|p| super::app_of(p)).map(str::to_owned).collect(),
        findings,
    }
}

fn found(gate: &str, finding: Finding) -> FoundView {
    let place = finding.place.clone().unwrap_or_default();
    FoundView {
        gate: gate.to_owned(),
        path: finding.place.as_ref().map(|_| place.file),
        line: place.line,
        column: place.column,
        end_column: place.end_column,
        finding,
    }
}

fn moved_under(path: &str) -> Finding {
    Finding {
        code: "base_moved".to_owned(),
        severity: Severity::Warning,
        place: Some(domain::finding::Place { file: path.to_owned(), ..Default::default() }),
        message: "somebody changed this file while you were editing it".to_owned(),
        explanation: "Sent as it is, your text takes theirs back.".to_owned(),
        mend: "compare the two and keep what should stay".to_owned(),
        replacement: None,
        excerpt: None,
    }
}

impl Judged {
    fn contents(&self) -> NowNew<Option<&Contents>> {
        NowNew {
            now: self.production.as_ref().map(|p| &p.served.contents),
            new: self.composed.as_ref().ok().map(|release| &release.contents),
        }
    }

    fn tokens(&self) -> NowNew<Option<u64>> {
        let NowNew { now, new } = self.contents();
        let tokens = |contents: Option<&Contents>| contents.and_then(|c| typical(c).0);
        NowNew { now: tokens(now), new: tokens(new) }
    }
}

fn cost_view(costs: &CostPart) -> CostView {
    let (now, new) = (costs.now, costs.new);
    let month = new.and_then(|costs| costs.month);
    let range = month.and_then(|month| month.range);
    CostView {
        per_request: NowNew {
            now: now.map(|costs| costs.request.value),
            new: new.map(|costs| costs.request.value),
        },
        per_month: MonthView {
            now: now.and_then(|costs| Some(costs.month?.value)),
            new: month.map(|month| month.value),
            low: range.map(|(low, _)| low),
            high: range.map(|(_, high)| high),
        },
        how: costs.how(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_asked_is_a_sentence_with_names() {
        let need = |role, count| Requirement {
            role,
            count,
            reason: "somebody else looks at every change".to_owned(),
            policy: None,
        };
        let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            asked(&need(Role::Approver, 1), &names(&["Priya Shah", "Sam Lee"])),
            "1 approver: Priya Shah or Sam Lee. Somebody else looks at every change."
        );
        assert!(asked(&need(Role::Finance, 1), &[]).contains("nobody here has that role"));
        let many = names(&["a", "b", "c", "d", "e", "f", "g"]);
        assert!(
            asked(&need(Role::Approver, 2), &many)
                .starts_with("2 approvers: a, b, c, d, e or 2 others.")
        );
    }
}
