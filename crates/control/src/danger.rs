//! The danger set: a case that failed for users, kept as a test for ever.
//!
//! A case becomes a line of `apps/<app>/evals/danger.jsonl` the way everything
//! does: as a change under a person's name, or as a commit on the branch of the
//! change that mends it. Gates always run that file, so a change that adds a case
//! production still fails says so.

use crate::caller::Caller;
use crate::changes::{MAX_TITLE, invalid};
use crate::git::blocking;
use crate::problem::{Problem, ProblemKind};
use crate::views::{ChangeView, Edit, NewChange, UpdateChange};
use crate::{Control, wrong};
use domain::component::ComponentKind;
use domain::ids::{AppName, ChangeId, RequestId};
use domain::people::Permission;
use domain::routing::Arm;
use domain::snapshot::PromptContent;
use domain::suite::{Case, Check};
use opsrepo::CommitId;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// `POST /api/v1/apps/{app}/danger`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewDanger {
    /// A request that was answered badly; its kept, redacted texts become the
    /// case. Either this …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestId>,
    /// … or the case itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<Case>,
    /// With `request`: variables that the kept prompt does not show.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub variables: Map<String, Value>,
    /// With `request`: what an answer must keep. That it does not repeat the bad
    /// answer, if nothing is said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Check>,
    /// Why, at least ten characters; not needed with `change`.
    #[serde(default)]
    pub why: String,
    /// An open change to add it to: the one that mends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<ChangeId>,
}

impl Control {
    /// Adds a case to an app's danger set: a change of its own, or one more
    /// commit of one.
    ///
    /// # Errors
    /// `not_allowed`, `no_such_app`, `one_source`, `no_such_request`, `not_kept`,
    /// `variables_missing`, `no_check`, `known_already`, and what proposing or
    /// updating a change says.
    pub async fn add_danger(
        &self,
        caller: &Caller,
        app: &AppName,
        new: NewDanger,
    ) -> Result<ChangeView, Problem> {
        caller.must(Permission::Propose)?;
        self.app_record(app).await?;
        let (why, onto) = (new.why.clone(), new.change);
        let case = self.danger_case(app, new).await?;
        let (title, id) = (format!("Add {} to the danger set", case.id), case.id.clone());
        let from = match onto {
            Some(change) => {
                let change = self.change_record(change).await?.doc;
                if change.app != *app {
                    return Err(other_app(change.id, app));
                }
                change.head.parse::<CommitId>().map_err(|e| wrong("git", &e))?
            }
            None => self.main().await?.head,
        };
        let edit = self.appended(app, case, from).await?.ok_or_else(|| known_already(app, &id))?;
        match onto {
            Some(change) => {
                let update = UpdateChange { edits: vec![edit], bump: None };
                self.update_change(caller, change, None, update).await
            }
            None => {
                let title = Some(title.chars().take(MAX_TITLE).collect());
                let (edits, app) = (vec![edit], app.clone());
                let new = NewChange { app, title, why, edits, branch: None, bump: None };
                self.create_change(caller, new).await
            }
        }
    }

    /// The danger set as of a commit with one more case; none if it has it.
    async fn appended(
        &self,
        app: &AppName,
        case: Case,
        from: CommitId,
    ) -> Result<Option<Edit>, Problem> {
        let path = format!("apps/{app}/evals/danger.jsonl");
        let line = serde_json::to_string(&case).map_err(|e| wrong("the case", &e))?;
        let (repo, file) = (self.repo.clone(), path.clone());
        let before =
            blocking(move || Ok(repo.files(from)?.remove(&file).unwrap_or_default())).await?;
        let before = String::from_utf8(before).map_err(|e| wrong(&path, &e))?;
        let known = before.lines().any(|line| {
            let read: Option<Value> = serde_json::from_str(line).ok();
            read.is_some_and(|read| read["id"] == case.id.as_str())
        });
        if known {
            return Ok(None);
        }
        let gap = if before.is_empty() || before.ends_with('\n') { "" } else { "\n" };
        Ok(Some(Edit { path, content: Some(format!("{before}{gap}{line}\n")) }))
    }

    async fn danger_case(&self, app: &AppName, new: NewDanger) -> Result<Case, Problem> {
        match (new.request, new.case) {
            (None, Some(case)) => Ok(case),
            (Some(request), None) => {
                self.case_of_request(app, &request, new.variables, new.checks).await
            }
            _ => Err(invalid(
                "one_source",
                "a case comes from a `request` or is given as `case`",
                "send one of the two",
                "request",
            )),
        }
    }

    /// What was kept of a request, as a case.
    async fn case_of_request(
        &self,
        app: &AppName,
        id: &RequestId,
        variables: Map<String, Value>,
        mut checks: Vec<Check>,
    ) -> Result<Case, Problem> {
        let (variables, messages, answer) = self.ask_again(app, id, variables).await?;
        if checks.is_empty() {
            let bad = answer.filter(|answer| !answer.trim().is_empty());
            checks.extend(bad.map(|answer| Check::NotContains(vec![answer])));
        }
        if checks.is_empty() {
            return Err(invalid(
                "no_check",
                &format!("nothing says what a good answer to {id} keeps, and its own was not kept"),
                "send `checks`, for example `[{\"contains\": \"order\"}]`",
                "checks",
            ));
        }
        Ok(Case {
            id: id.to_string(),
            variables,
            messages,
            checks,
            tags: vec!["production".to_owned()],
            ..Case::default()
        })
    }

    /// What a request came with, as far as its kept prompt shows it and with these
    /// variables besides, and its answer.
    pub(crate) async fn ask_again(
        &self,
        app: &AppName,
        id: &RequestId,
        variables: Map<String, Value>,
    ) -> Result<(Map<String, Value>, Vec<Value>, Option<String>), Problem> {
        let records = self.store.request(id).await?;
        let served = records.into_iter().find(|r| r.arm != Arm::Shadow && r.app == *app);
        let served = served.ok_or_else(|| crate::not_found("request", id.as_str()))?;
        let kept = served.prompt.as_deref().and_then(|text| serde_json::from_str(text).ok());
        let rendered: Vec<Value> =
            kept.ok_or_else(|| not_kept(id, "its texts were not kept, or are longer than kept"))?;
        let release = self.release_record(served.release).await?;
        let prompt = release.served.contents.get(&ComponentKind::Prompt).cloned();
        let prompt: PromptContent = serde_json::from_value(prompt.unwrap_or_default())
            .map_err(|e| wrong("the release's prompt", &e))?;
        let found = checks::template::recover(&prompt, &rendered)
            .ok_or_else(|| not_kept(id, "its prompt cannot be read backwards"))?;
        let mut all = found.variables;
        all.extend(variables);
        let missing: Vec<_> =
            found.missing.into_iter().filter(|name| !all.contains_key(name)).collect();
        if !missing.is_empty() {
            return Err(invalid(
                "variables_missing",
                &format!("the kept prompt does not show what was in {}", missing.join(", ")),
                "send them in `variables`, or give the whole `case`",
                "variables",
            ));
        }
        Ok((all, found.messages, served.answer))
    }
}

fn not_kept(id: &RequestId, why: &str) -> Problem {
    Problem::new(
        ProblemKind::Refused,
        "not_kept",
        format!("{id} cannot be asked again: {why}"),
        "give the whole `case`: id, variables, checks",
    )
    .at("request")
}

fn known_already(app: &AppName, id: &str) -> Problem {
    Problem::new(
        ProblemKind::Refused,
        "known_already",
        format!("the danger set of {app} has a case `{id}` already"),
        "give it another id if it is another case",
    )
    .at("case")
}

fn other_app(change: ChangeId, app: &AppName) -> Problem {
    Problem::new(
        ProblemKind::Refused,
        "other_app",
        format!("{change} is no change of {app}"),
        "name a change of this app, or none for a change of its own",
    )
    .at("change")
}
