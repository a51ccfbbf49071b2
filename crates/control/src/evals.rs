//! What the evaluation suites of a change measured, from the blobs kept with it:
//! the report, and its cases page by page.

use crate::caller::Caller;
use crate::problem::{Problem, ProblemKind};
use crate::{Control, changes, wrong};
use domain::ids::{ChangeId, Digest};
pub use evals::{CaseReport, EvalReport, Filter};
use serde::{Deserialize, Serialize};

/// Cases in a page if nothing is said.
pub const DEFAULT_CASES: u32 = 20;
/// Most cases in a page; a larger `limit` counts as this.
pub const MAX_CASES: u32 = 200;

/// Which cases are wanted.
#[derive(Debug, Clone, Default)]
pub struct CaseQuery {
    /// Of what kind.
    pub filter: Filter,
    /// At most so many.
    pub limit: Option<u32>,
    /// `next` of the page before.
    pub cursor: Option<String>,
}

/// A page of a change's cases.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CasesView {
    /// The cases, in the order of suites and files.
    pub items: Vec<CaseReport>,
    /// Cursor of the next page; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// How many there are of each kind, whatever the page.
    pub counts: CaseCounts,
}

/// How many cases of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseCounts {
    /// In all.
    pub all: usize,
    /// Got worse than production's.
    pub worse: usize,
    /// Broke a check, or have no answer.
    pub failed: usize,
    /// Answers differ from production's.
    pub different: usize,
}

impl Control {
    /// What the suites of a change measured: its newest checked push.
    ///
    /// # Errors
    /// `no_such_change`, `no_evals`.
    pub async fn change_evals(
        &self,
        _caller: &Caller,
        id: ChangeId,
    ) -> Result<EvalReport, Problem> {
        let change = self.change_record(id).await?.doc;
        let bytes = self.kept(id, change.evals).await?;
        serde_json::from_slice(&bytes).map_err(|e| wrong("the evaluation report", &e))
    }

    /// A page of the cases of its suites.
    ///
    /// # Errors
    /// `no_such_change`, `no_evals`, `bad_cursor`; `changed_meanwhile` when a
    /// newer push was checked between two pages.
    pub async fn change_cases(
        &self,
        _caller: &Caller,
        id: ChangeId,
        query: CaseQuery,
    ) -> Result<CasesView, Problem> {
        let change = self.change_record(id).await?.doc;
        let cases = change.eval_cases;
        let from = match (&query.cursor, cases) {
            (Some(cursor), Some(cases)) => place(cursor, cases)?,
            _ => 0,
        };
        let bytes = self.kept(id, cases).await?;
        let limit = query.limit.unwrap_or(DEFAULT_CASES).clamp(1, MAX_CASES);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        // Megabytes of lines: not on a thread that serves.
        let page = tokio::task::spawn_blocking(move || {
            let text = std::str::from_utf8(&bytes).map_err(|e| wrong("the cases", &e))?;
            evals::page(text, query.filter, from, limit)
                .map_err(|(line, e)| wrong("the cases", &format!("line {line}: {e}")))
        });
        let page = page.await.map_err(|e| wrong("the cases", &e))??;
        Ok(CasesView {
            items: page.items,
            next: page.next.zip(cases).map(|(at, cases)| cursor(at, cases)),
            counts: CaseCounts {
                all: page.all,
                worse: page.worse,
                failed: page.failed,
                different: page.different,
            },
        })
    }

    async fn kept(&self, id: ChangeId, digest: Option<Digest>) -> Result<Vec<u8>, Problem> {
        let none = || {
            Problem::new(
                ProblemKind::NotFound,
                "no_evals",
                format!("no evaluation suite ran for {id}"),
                "suites of the recorded tier run once the static checks passed; \
                 `tidegate change checks` says what did",
            )
        };
        let digest = digest.ok_or_else(none)?;
        self.store.get_blob(&digest).await?.ok_or_else(none)
    }
}

/// A place in these cases: a cursor of others is told from one of these.
fn cursor(at: usize, cases: Digest) -> String {
    format!("{at}-{}", tag(cases))
}

fn tag(cases: Digest) -> String {
    cases.hex().chars().take(12).collect()
}

fn place(cursor: &str, cases: Digest) -> Result<usize, Problem> {
    let bad = || {
        changes::invalid(
            "bad_cursor",
            "this is no cursor of a page of cases",
            "send `next` of the page before as it came, or begin without",
            "cursor",
        )
    };
    let (at, of) = cursor.split_once('-').ok_or_else(bad)?;
    let at = at.parse().map_err(|_| bad())?;
    if of != tag(cases) {
        return Err(Problem::new(
            ProblemKind::Conflict,
            "changed_meanwhile",
            "the change was checked again since the page before",
            "begin with the first page",
        ));
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_belongs_to_its_cases() {
        let (one, other) = (Digest::of(b"1"), Digest::of(b"2"));
        assert_eq!(place(&cursor(17, one), one).unwrap(), 17);
        assert_eq!(place(&cursor(17, one), other).unwrap_err().code, "changed_meanwhile");
        for text in ["", "x", "-", "x-y", "-1-0"] {
            assert_eq!(place(text, one).unwrap_err().code, "bad_cursor", "{text}");
        }
    }
}
