//! Drafts: what a person has typed and not sent. Private, saved by itself, gone
//! when it was sent. No state of the installation, so no audit entry: nobody
//! else is served, shown or asked anything by it.

use crate::Control;
use crate::caller::Caller;
use crate::problem::{Problem, ProblemKind};
use domain::ids::{AppName, Generation};
use domain::people::Permission;
use domain::units::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use store::{Index, Kind, Tx, Versioned};

/// Largest draft, in bytes of its JSON form.
pub const MAX_DRAFT: usize = 1 << 20;

/// `PUT /api/v1/drafts/{app}`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NewDraft {
    /// The edited files: path → new text, or nothing to remove it.
    pub files: BTreeMap<String, Option<String>>,
    /// One line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Why, so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The plan chosen in the form; the page's own business.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub plan: Value,
    /// The commit the edits were begun on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
}

/// A draft.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DraftView {
    /// The app.
    pub app: AppName,
    /// What was typed.
    #[serde(flatten)]
    pub draft: NewDraft,
    /// When it was saved.
    pub saved_at: Timestamp,
    /// For `If-Match`.
    pub version: Generation,
}

/// Nobody can name another's: the id begins with whose it is.
fn id(caller: &Caller, app: &AppName) -> String {
    format!("{}/{app}", caller.name())
}

fn none(app: &AppName) -> Problem {
    Problem::new(
        ProblemKind::NotFound,
        "no_such_draft",
        format!("you have no draft for `{app}`"),
        "begin one with the app's page",
    )
}

impl Control {
    async fn draft_record(
        &self,
        caller: &Caller,
        app: &AppName,
    ) -> Result<Option<Versioned<NewDraft>>, Problem> {
        Ok(self.store.get::<NewDraft>(Kind::Draft, id(caller, app)).await?)
    }

    /// The caller's draft for an app.
    ///
    /// # Errors
    /// `no_such_draft`.
    pub async fn draft(&self, caller: &Caller, app: &AppName) -> Result<DraftView, Problem> {
        let found = self.draft_record(caller, app).await?.ok_or_else(|| none(app))?;
        Ok(DraftView {
            app: app.clone(),
            saved_at: found.updated_at,
            version: found.generation,
            draft: found.doc,
        })
    }

    /// Saves the caller's draft.
    ///
    /// # Errors
    /// `not_allowed`, `no_such_app`, `too_large`, `changed_meanwhile` if another
    /// window saved since `expected`.
    pub async fn save_draft(
        &self,
        caller: &Caller,
        app: &AppName,
        expected: Option<Generation>,
        draft: NewDraft,
    ) -> Result<DraftView, Problem> {
        caller.must(Permission::Propose)?;
        self.app_record(app).await?;
        let size = serde_json::to_vec(&draft).map_or(usize::MAX, |text| text.len());
        if size > MAX_DRAFT {
            return Err(Problem::new(
                ProblemKind::Invalid,
                "too_large",
                format!("the draft has {size} bytes; at most {MAX_DRAFT} are kept"),
                "send it as a change, or push it with git",
            )
            .at("files"));
        }
        let known = self.draft_record(caller, app).await?;
        let mut tx = Tx::new(self.clock.now());
        let index = Index::none().app(app).parent(caller.name());
        match (known, expected) {
            (Some(known), _) => {
                let at = expected.unwrap_or(known.generation);
                tx.update(Kind::Draft, id(caller, app), at, &draft, index)
            }
            (None, None) => tx.create(Kind::Draft, id(caller, app), &draft, index),
            (None, Some(_)) => return Err(gone(app)),
        };
        self.store.commit(tx).await?;
        self.draft(caller, app).await
    }

    /// Throws the caller's draft away. One that is gone already is as good.
    ///
    /// # Errors
    /// `changed_meanwhile` if another window saved since `expected`.
    pub async fn drop_draft(
        &self,
        caller: &Caller,
        app: &AppName,
        expected: Option<Generation>,
    ) -> Result<(), Problem> {
        let Some(known) = self.draft_record(caller, app).await? else { return Ok(()) };
        let mut tx = Tx::new(self.clock.now());
        tx.delete(Kind::Draft, id(caller, app), expected.unwrap_or(known.generation));
        self.store.commit(tx).await?;
        Ok(())
    }
}

fn gone(app: &AppName) -> Problem {
    Problem::new(
        ProblemKind::Conflict,
        "changed_meanwhile",
        format!("your draft for `{app}` is gone: another window sent it or threw it away"),
        "save without If-Match to begin a new one",
    )
}
