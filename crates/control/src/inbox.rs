//! What waits for one person: the decision asked of *this* person and the place
//! where it is taken, nothing else.

use crate::Control;
use crate::caller::Caller;
use crate::problem::Problem;
use crate::records::RolloutRecord;
use crate::scheduled::ScheduledRun;
use domain::change::{Change, ChangeState};
use domain::ids::AppName;
use domain::incident::Incident;
use domain::params;
use domain::people::{Permission, may};
use domain::rollout::Phase;
use domain::sentence::Sentence;
use domain::units::Timestamp;
use serde::Serialize;
use store::{Kind, Query, Versioned};

/// Most of each kind that are looked at; who has more waiting has other
/// problems, and the newest come first.
const MAX_EACH: u32 = 200;

/// One thing that waits.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct InboxItem {
    /// `approve`, `mend`, `decide`, `give_reason`, `look`, `undelivered`, `forge`.
    pub kind: &'static str,
    /// The app.
    pub app: AppName,
    /// What is asked: `text` for people, `code` and `params` for programs.
    #[serde(flatten)]
    pub text: Sentence,
    /// Where it is done.
    pub url: String,
    /// Since when it waits.
    pub at: Timestamp,
}

impl Control {
    /// What waits for the caller, newest first.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn inbox(&self, caller: &Caller) -> Result<Vec<InboxItem>, Problem> {
        let mut items = Vec::new();
        for state in [ChangeState::NeedsApproval, ChangeState::NeedsFixes] {
            let word = crate::changes::word(state);
            let query = Query::of(Kind::Change).state(word).newest_first().limit(MAX_EACH);
            for change in self.store.list::<Change>(query).await?.items {
                items.extend(self.of_change(caller, change.doc));
            }
        }
        let active = Query::of(Kind::Rollout).state("active").newest_first().limit(MAX_EACH);
        for rollout in self.store.list::<RolloutRecord>(active).await?.items {
            items.extend(self.of_rollout(caller, &rollout));
        }
        let open = Query::of(Kind::Incident).state("open").newest_first().limit(MAX_EACH);
        for incident in self.store.list::<Incident>(open).await?.items {
            items.extend(self.of_incident(caller, incident.doc));
        }
        if may(&caller.person.roles, Permission::Operate) {
            let runs = self.alarming_runs().await?;
            items.extend(runs.into_iter().map(|run| self.of_run(run)));
        }
        if may(&caller.person.roles, Permission::Administer) {
            for letter in self.dead_letters(MAX_EACH).await? {
                let template = "A message did not arrive by {channel}: {subject}";
                let params =
                    params! {"channel" => letter.channel_name, "subject" => letter.subject};
                items.push(InboxItem {
                    kind: "undelivered",
                    app: letter.app,
                    text: Sentence::render("undelivered", template, params),
                    url: self.url("settings"),
                    at: letter.done_at.unwrap_or(letter.created_at),
                });
            }
        }
        if may(&caller.person.roles, Permission::Operate) {
            items.extend(self.forge_item().await?);
        }
        items.sort_by_key(|item| std::cmp::Reverse(item.at));
        Ok(items)
    }

    fn of_change(&self, caller: &Caller, change: Change) -> Option<InboxItem> {
        let asked = change.asked();
        let (kind, template) = match change.state {
            ChangeState::NeedsApproval if change.wants_word_of(&caller.person) => {
                ("approve", "{author} asks for your yes or no: {title}")
            }
            ChangeState::NeedsFixes
                if change.authors().contains(caller.name()) && asked.is_some() =>
            {
                ("mend", "{by} asks for changes: {title}")
            }
            ChangeState::NeedsFixes if change.authors().contains(caller.name()) => {
                ("mend", "Your change has something to mend before anybody is asked: {title}")
            }
            _ => return None,
        };
        let by = asked.map(|word| &word.by);
        let params = params! {"author" => change.author, "title" => change.title, "by" => by};
        let code = if by.is_some() && kind == "mend" { "asked_to_change" } else { kind };
        Some(InboxItem {
            kind,
            text: Sentence::render(code, template, params),
            url: self.url(&format!("changes/{}", change.id.0)),
            at: change.updated_at,
            app: change.app,
        })
    }

    fn of_rollout(&self, caller: &Caller, rollout: &Versioned<RolloutRecord>) -> Option<InboxItem> {
        let state = &rollout.doc.state;
        let Phase::Paused { role, .. } = &state.phase else { return None };
        let decides =
            caller.person.roles.contains(role) && may(&caller.person.roles, Permission::Approve);
        if !decides {
            return None;
        }
        let why = rollout.doc.report.as_ref().map(|r| r.summary.text.clone()).unwrap_or_default();
        Some(InboxItem {
            kind: "decide",
            app: state.app.clone(),
            text: Sentence::render(
                "decide",
                "{app} waits for you to go on or go back. {why}",
                params! {"app" => state.app, "why" => why},
            ),
            url: self.url(&format!("rollouts/{}", state.id)),
            at: rollout.updated_at,
        })
    }

    fn of_run(&self, run: ScheduledRun) -> InboxItem {
        let why = match run.drift.first() {
            Some(found) => found.message.clone(),
            None => "a suite failed".to_owned(),
        };
        InboxItem {
            kind: "look",
            text: Sentence::render(
                "look",
                "{app} does worse than it should when it is asked by the clock: {why}",
                params! {"app" => run.app, "why" => why},
            ),
            url: self.url(&format!("apps/{}", run.app)),
            at: run.ended_at.unwrap_or(run.started_at),
            app: run.app,
        }
    }

    fn of_incident(&self, caller: &Caller, incident: Incident) -> Option<InboxItem> {
        let own = incident.opened_by.as_ref() == Some(caller.name());
        if !own || incident.reason.is_some() {
            return None;
        }
        Some(InboxItem {
            kind: "give_reason",
            text: Sentence::render(
                "give_reason",
                "Say why you did this: {what}",
                params! {"what" => incident.what.text},
            ),
            url: self.url(&format!("incidents/{}", incident.id)),
            at: incident.opened_at,
            app: incident.app,
        })
    }
}
