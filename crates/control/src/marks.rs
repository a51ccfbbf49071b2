//! "Not really worse": what people say about cases that the checks called worse.
//! It decides nothing; it is how the checks' own mistakes are counted.

use crate::caller::Caller;
use crate::incidents::entry;
use crate::problem::{Problem, ProblemKind};
use crate::{Control, changes, wrong};
use domain::ids::{ChangeId, Digest, PersonName};
use domain::params;
use domain::people::{Permission, Role};
use domain::units::Timestamp;
use serde::{Deserialize, Serialize};
use store::{Index, Kind, MAX_PAGE, Query, Tx};

/// Fewest and most characters of the reason.
const REASON: std::ops::RangeInclusive<usize> = 10..=1_000;
/// Most cases of a change that can be marked.
const MAX_MARKS: u32 = MAX_PAGE;

/// What somebody says of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// The checks are wrong: it is not really worse.
    NotWorse,
    /// Nothing: takes back what was said.
    None,
}

/// `POST /api/v1/changes/{id}/evals/cases/mark`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewMark {
    /// The suite.
    pub suite: String,
    /// The case.
    pub case: String,
    /// What of it.
    pub mark: Mark,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// A mark as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarkView {
    /// The change.
    pub change: ChangeId,
    /// The suite.
    pub suite: String,
    /// The case.
    pub case: String,
    /// What was said.
    pub mark: Mark,
    /// Why, redacted.
    pub reason: String,
    /// By whom.
    pub by: PersonName,
    /// When.
    pub at: Timestamp,
    /// The cases that were looked at: a newer run has others.
    pub cases: Option<Digest>,
}

impl Control {
    /// Says of a case that it is not really worse, or takes that back. Authors do
    /// not judge their own.
    ///
    /// # Errors
    /// `not_allowed`, `own_change`, `no_such_change`, `no_such_case`,
    /// `case_not_worse`, `reason_missing`.
    pub async fn mark_case(
        &self,
        caller: &Caller,
        id: ChangeId,
        new: NewMark,
    ) -> Result<MarkView, Problem> {
        caller.must(Permission::Propose)?;
        let refused =
            |kind, code: &str, detail: String, hint: &str| Problem::new(kind, code, detail, hint);
        if caller.person.roles.contains(&Role::Agent) {
            let detail = format!("`{}` may not judge answers: agents may not", caller.name());
            let hint = "ask a person to look at the case";
            return Err(refused(ProblemKind::NotAllowed, "not_allowed", detail, hint));
        }
        let change = self.change_record(id).await?.doc;
        if change.author == *caller.name() || change.contributors.contains(caller.name()) {
            let detail = "you wrote this change, so someone else must say what is not worse";
            let hint = "ask whoever approves it";
            return Err(refused(ProblemKind::Refused, "own_change", detail.to_owned(), hint));
        }
        let reason = checks::redact::redact(new.reason.trim());
        if new.mark == Mark::NotWorse && !REASON.contains(&reason.chars().count()) {
            return Err(changes::invalid(
                "reason_missing",
                "say why it is not worse, in 10 to 1000 characters",
                "one sentence is enough; it helps to mend the check",
                "reason",
            ));
        }
        self.is_bad_case(id, change.eval_cases, &new).await?;
        let now = self.clock.now();
        let mark = MarkView {
            change: id,
            suite: new.suite,
            case: new.case,
            mark: new.mark,
            reason,
            by: caller.name().clone(),
            at: now,
            cases: change.eval_cases,
        };
        let key = format!(
            "{id}/{}",
            Digest::of(format!("{}\0{}", mark.suite, mark.case).as_bytes()).hex()
        );
        let mut tx = Tx::new(now);
        let index = Index::none().app(&change.app).parent(id);
        match self.store.get::<MarkView>(Kind::Mark, &key).await? {
            Some(known) => tx.update(Kind::Mark, &key, known.generation, &mark, index),
            None => tx.create(Kind::Mark, &key, &mark, index),
        };
        tx.audit(
            entry(now, caller.actor(), "change.case_marked", &change.app)
                .on(format!("change/{id}"))
                .because(Some(mark.reason.as_str()).filter(|r| !r.is_empty()))
                .from(caller.source.as_deref())
                .with(params! {"suite" => mark.suite, "case" => mark.case, "mark" => mark.mark})
                .into(),
        );
        self.store.commit(tx).await?;
        Ok(mark)
    }

    /// What was said of the cases of a change, oldest first.
    ///
    /// # Errors
    /// `no_such_change`.
    pub async fn marks(&self, _caller: &Caller, id: ChangeId) -> Result<Vec<MarkView>, Problem> {
        self.change_record(id).await?;
        let query = Query::of(Kind::Mark).parent(id).limit(MAX_MARKS);
        let page = self.store.list::<MarkView>(query).await?;
        let marks = page.items.into_iter().map(|m| m.doc);
        Ok(marks.filter(|m| m.mark != Mark::None).collect())
    }

    async fn is_bad_case(
        &self,
        id: ChangeId,
        cases: Option<Digest>,
        new: &NewMark,
    ) -> Result<(), Problem> {
        let missing = || {
            Problem::new(
                ProblemKind::NotFound,
                "no_such_case",
                format!("{id} has no case `{}` in a suite `{}`", new.case, new.suite),
                "take suite and case as the list of cases has them",
            )
        };
        let digest = cases.ok_or_else(missing)?;
        let bytes = self.store.get_blob(&digest).await?.ok_or_else(missing)?;
        let (suite, case) = (new.suite.clone(), new.case.clone());
        // Megabytes of lines: not on a thread that serves.
        let found = tokio::task::spawn_blocking(move || {
            String::from_utf8_lossy(&bytes)
                .lines()
                .filter_map(|line| serde_json::from_str::<Line>(line).ok())
                .find(|line| line.suite == suite && line.case == case)
        });
        let found = found.await.map_err(|e| wrong("the cases", &e))?.ok_or_else(missing)?;
        if found.worse || found.failed {
            return Ok(());
        }
        Err(changes::invalid(
            "case_not_worse",
            "the checks did not call this case worse or failed",
            "mark cases of the lists `worse` and `failed`",
            "case",
        ))
    }
}

/// What a case is found by.
#[derive(Deserialize)]
struct Line {
    suite: String,
    case: String,
    worse: bool,
    failed: bool,
}
