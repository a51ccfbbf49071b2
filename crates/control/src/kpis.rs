//! Key figures of an installation: how fast changes reach users safely, how
//! often they go back, and how often the checks are wrong. `domain::kpi` makes
//! numbers of happenings; here is where the happenings are from.
//!
//! Records are read page by page, newest first, and only as far back as the time
//! asked about can concern.

use crate::Control;
use crate::caller::Caller;
use crate::changes;
use crate::costs::ReleaseCost;
use crate::marks::{Mark, MarkView};
use crate::problem::Problem;
use crate::records::RolloutRecord;
use domain::change::{Change, ChangeState};
use domain::finding::GateOutcome;
use domain::ids::{AppName, ChangeId, ReleaseId};
use domain::incident::{Incident, IncidentKind};
use domain::kpi::{self, Card, Figure, Point, Statistic, Unit};
use domain::people::{Person, Role};
use domain::rollout::Phase;
use domain::units::{Span, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use store::{AuditQuery, Kind, MAX_PAGE, Query};

/// Days looked at if nothing is said.
pub const DEFAULT_DAYS: u32 = 90;
/// Most days.
pub const MAX_DAYS: u32 = 366;
/// A change or rollout that ended within the time began at most so long before.
const LONGEST: Span = Span::from_secs(90 * 86_400);
/// What "within the first hour" means.
const FIRST_HOUR: Span = Span::from_secs(3600);

const TIME: Figure = Figure {
    key: "time_to_promotion",
    title: "Time to safe promotion",
    definition: "From the proposal of a change until it was live for everyone: the middle one of all changes that got there.",
    what: "changes that went live",
    statistic: Statistic::Median,
    unit: Unit::Ms,
};
const EARLY: Figure = Figure {
    key: "early_rollbacks",
    title: "Gone back within the first hour",
    definition: "Of the rollouts that ended, the share that was decided to go back within an hour after users first met the new version.",
    what: "rollouts that ended",
    statistic: Statistic::Mean,
    unit: Unit::Share,
};
const FALSE_POSITIVE: Figure = Figure {
    key: "gate_false_positives",
    title: "Checks that cried wolf",
    definition: "Of the changes in which suites called answers worse or broken, the share in which a person said of a case: not really worse.",
    what: "changes whose suites complained",
    statistic: Statistic::Mean,
    unit: Unit::Share,
};
const FALSE_NEGATIVE: Figure = Figure {
    key: "gate_false_negatives",
    title: "Harm the checks let through",
    definition: "Of the changes that went to users with no failed check, the share that opened an incident there.",
    what: "changes that went to users",
    statistic: Statistic::Mean,
    unit: Unit::Share,
};
const COST: Figure = Figure {
    key: "cost_change",
    title: "Cost change per release",
    definition: "By how much a request became dearer with a release that went live, against the release before it: the middle one.",
    what: "releases with enough answers",
    statistic: Statistic::Median,
    unit: Unit::Share,
};
const NON_DEVELOPER: Figure = Figure {
    key: "non_developer_incidents",
    title: "Incidents from non-developers' changes",
    definition: "Of the incidents that a change caused, the share whose author is an editor or an agent and nothing else.",
    what: "incidents of changes",
    statistic: Statistic::Mean,
    unit: Unit::Share,
};
const BACK: Figure = Figure {
    key: "time_to_go_back",
    title: "Time to go back",
    definition: "From the decision to go back until every gateway had the last good version again: the mean.",
    what: "times everybody went back",
    statistic: Statistic::Mean,
    unit: Unit::Ms,
};

/// `GET /api/v1/kpis`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KpisView {
    /// Beginning of the time looked at.
    pub from: Timestamp,
    /// Its end.
    pub to: Timestamp,
    /// The app, if only one is.
    pub app: Option<AppName>,
    /// The figures.
    pub cards: Vec<Card>,
}

/// What happened, for [`cards`].
#[derive(Debug, Default)]
struct Happened {
    changes: Vec<Change>,
    rollouts: Vec<RolloutRecord>,
    incidents: Vec<Incident>,
    /// Changes in which somebody said of a case that it is not worse.
    marked: BTreeSet<ChangeId>,
    /// When checks ended last before the merge, and when it was merged.
    checked: BTreeMap<ChangeId, Timestamp>,
    merged: BTreeMap<ChangeId, Timestamp>,
    costs: Vec<ReleaseCost>,
    /// Roles of people, as they are now.
    roles: BTreeMap<String, BTreeSet<Role>>,
}

impl Control {
    /// The figures of the last `days`, of one app or of all.
    ///
    /// # Errors
    /// `no_such_app`, `bad_period`.
    pub async fn kpis(
        &self,
        caller: &Caller,
        app: Option<&AppName>,
        days: Option<u32>,
    ) -> Result<KpisView, Problem> {
        let days = days.unwrap_or(DEFAULT_DAYS);
        if !(1..=MAX_DAYS).contains(&days) {
            return Err(changes::invalid(
                "bad_period",
                "figures are over 1 to 366 days",
                "give `days` as a number in between",
                "days",
            ));
        }
        if let Some(app) = app {
            self.app_record(app).await?;
        }
        let to = Timestamp(self.clock.now().0.saturating_add(1));
        let from = Timestamp(to.0.saturating_sub(i64::from(days) * 86_400_000));
        let since = Timestamp(from.0.saturating_sub(LONGEST.millis()));
        let mut happened = Happened {
            changes: self.since(Kind::Change, app, |c: &Change| c.created_at >= since).await?,
            rollouts: self
                .since(Kind::Rollout, app, |r: &RolloutRecord| r.state.started_at >= since)
                .await?,
            incidents: self.since(Kind::Incident, app, |i: &Incident| i.opened_at >= from).await?,
            ..Happened::default()
        };
        let marks: Vec<MarkView> = self.since(Kind::Mark, app, |_| true).await?;
        happened.marked =
            marks.into_iter().filter(|m| m.mark == Mark::NotWorse).map(|m| m.change).collect();
        happened.checked = self.moments("change.checked", app, since).await?;
        happened.merged = self.moments("change.merged", app, since).await?;
        for month in months(from, to) {
            let costs = self.costs(caller, app, Some(&month)).await?;
            happened.costs.extend(costs.releases);
        }
        for person in self.all::<Person>(Kind::Person).await? {
            happened.roles.insert(person.doc.name.to_string(), person.doc.roles);
        }
        let cards = cards(&happened, from, to, |path| self.url(path));
        Ok(KpisView { from, to, app: app.cloned(), cards })
    }

    /// Objects of a kind, newest first, until one is too old.
    async fn since<T: DeserializeOwned>(
        &self,
        kind: Kind,
        app: Option<&AppName>,
        young: impl Fn(&T) -> bool,
    ) -> Result<Vec<T>, Problem> {
        let mut found = Vec::new();
        let mut query = Query::of(kind).newest_first().limit(MAX_PAGE);
        if let Some(app) = app {
            query = query.app(app);
        }
        loop {
            let page = self.store.list::<T>(query.clone()).await?;
            let before = found.len() + page.items.len();
            found.extend(page.items.into_iter().map(|item| item.doc).filter(&young));
            // Made in order of time, so a page with an old one is the last.
            match page.next.filter(|_| found.len() == before) {
                Some(next) => query = query.after(Some(next)),
                None => return Ok(found),
            }
        }
    }

    /// When this was last done to each change.
    async fn moments(
        &self,
        action: &str,
        app: Option<&AppName>,
        since: Timestamp,
    ) -> Result<BTreeMap<ChangeId, Timestamp>, Problem> {
        let mut query = AuditQuery {
            action: Some(action.to_owned()),
            app: app.cloned(),
            since: Some(since),
            oldest_first: true,
            limit: MAX_PAGE,
            ..AuditQuery::default()
        };
        let mut found = BTreeMap::new();
        loop {
            let page = self.store.audit(&query).await?;
            for row in page.items {
                let entry = row.entry()?;
                let id = entry.object.strip_prefix("change/").and_then(|id| id.parse().ok());
                found.extend(id.map(|id| (id, entry.at)));
            }
            match page.next {
                Some(next) => query.cursor = Some(next),
                None => return Ok(found),
            }
        }
    }
}

/// The months a time touches, `2026-11`.
fn months(from: Timestamp, to: Timestamp) -> BTreeSet<String> {
    let days = (from.0.div_euclid(86_400_000))..=(to.0.div_euclid(86_400_000));
    days.filter_map(|day| Some(Timestamp(day * 86_400_000).date().get(..7)?.to_owned())).collect()
}

/// All figures.
fn cards(
    happened: &Happened,
    from: Timestamp,
    to: Timestamp,
    url: impl Fn(&str) -> String,
) -> Vec<Card> {
    let change = |c: &Change, at: Timestamp, value: f64, text: String| Point {
        at,
        app: c.app.clone(),
        object: format!("change/{}", c.id),
        value,
        text,
        url: url(&format!("changes/{}", c.id.0)),
    };
    let rollouts: BTreeMap<ChangeId, &RolloutRecord> =
        happened.rollouts.iter().map(|r| (r.state.change, r)).collect();
    let time = happened.changes.iter().filter(|c| c.state == ChangeState::Live).filter_map(|c| {
        let at = rollouts.get(&c.id)?.state.decided_at?;
        Some(change(c, at, between(c.created_at, at), c.title.clone()))
    });
    let mut promoted = TIME.card(time.collect(), from, to);
    promoted.breakdown = breakdown(happened, &rollouts, from..to);
    let ended = happened.rollouts.iter().filter_map(|r| {
        let at = r.state.decided_at.filter(|_| r.state.phase.is_final())?;
        let early = went_back_early(r, &happened.incidents);
        let text = r.state.decision.as_ref().map(|d| d.text.clone()).unwrap_or_default();
        Some(Point {
            at,
            app: r.state.app.clone(),
            object: format!("rollout/{}", r.state.id),
            value: yes(early),
            text,
            url: url(&format!("rollouts/{}", r.state.id)),
        })
    });
    let early = EARLY.card(ended.collect(), from, to);
    let complained =
        happened.changes.iter().filter(|c| complains(c)).map(|c| {
            change(c, c.updated_at, yes(happened.marked.contains(&c.id)), c.title.clone())
        });
    let wolf = FALSE_POSITIVE.card(complained.collect(), from, to);
    let blamed: BTreeSet<ReleaseId> = happened.incidents.iter().filter_map(|i| i.suspect).collect();
    let exposed = happened.changes.iter().filter(|c| c.rollout.is_some()).filter_map(|c| {
        let harmed = c.release.is_some_and(|release| blamed.contains(&release));
        let at = rollouts.get(&c.id)?.state.started_at;
        Some(change(c, at, yes(harmed), c.title.clone()))
    });
    let through = FALSE_NEGATIVE.card(exposed.collect(), from, to);
    let costs = happened.costs.iter().filter_map(|cost| {
        Some(Point {
            at: cost.live_from,
            app: cost.app.clone(),
            object: format!("release/{}", cost.release),
            value: cost.delta_share?,
            text: cost.text.text.clone(),
            url: url(&format!("releases/{}", cost.release)),
        })
    });
    let cost = COST.card(costs.collect(), from, to);
    let incident = |i: &Incident, value: f64| Point {
        at: i.opened_at,
        app: i.app.clone(),
        object: format!("incident/{}", i.id),
        value,
        text: i.what.text.clone(),
        url: url(&format!("incidents/{}", i.id)),
    };
    let by_author = happened.incidents.iter().filter_map(|i| {
        let suspect = i.suspect?;
        let change = happened.changes.iter().find(|c| c.release == Some(suspect))?;
        let roles = happened.roles.get(change.author.as_str())?;
        let plain = roles.iter().all(|role| matches!(role, Role::Editor | Role::Agent));
        Some(incident(i, yes(plain)))
    });
    let authors = NON_DEVELOPER.card(by_author.collect(), from, to);
    let back =
        happened.incidents.iter().filter_map(|i| Some(incident(i, i.swing_back?.millis() as f64)));
    let back = BACK.card(back.collect(), from, to);
    vec![promoted, early, wolf, through, cost, authors, back]
}

fn yes(is: bool) -> f64 {
    if is { 1.0 } else { 0.0 }
}

/// Milliseconds between two moments.
fn between(from: Timestamp, to: Timestamp) -> f64 {
    to.0.saturating_sub(from.0) as f64
}

/// Decided to go back within an hour after users first met it: by the rollout
/// itself, or by a person after it was promoted.
fn went_back_early(rollout: &RolloutRecord, incidents: &[Incident]) -> bool {
    let state = &rollout.state;
    let soon = |at: Timestamp| {
        at >= state.started_at && between(state.started_at, at) <= FIRST_HOUR.millis() as f64
    };
    match state.phase {
        Phase::RolledBack => state.decided_at.is_some_and(soon),
        _ => incidents.iter().any(|i| {
            i.kind == IncidentKind::BreakGlassRollback
                && i.suspect == Some(state.candidate)
                && soon(i.opened_at)
        }),
    }
}

/// A suite called answers of this change worse or broken.
fn complains(change: &Change) -> bool {
    let bad = |outcome| matches!(outcome, GateOutcome::Warned | GateOutcome::Failed);
    change
        .report
        .iter()
        .flat_map(|report| &report.gates)
        .any(|gate| gate.gate.starts_with("eval/") && bad(gate.outcome))
}

/// What the time to promotion is made of.
fn breakdown(
    happened: &Happened,
    rollouts: &BTreeMap<ChangeId, &RolloutRecord>,
    within: Range<Timestamp>,
) -> Vec<kpi::Slice> {
    let (mut checks, mut approval, mut rollout) = (Vec::new(), Vec::new(), Vec::new());
    for change in happened.changes.iter().filter(|c| c.state == ChangeState::Live) {
        let Some(record) = rollouts.get(&change.id) else { continue };
        let Some(ended) = record.state.decided_at.filter(|at| within.contains(at)) else {
            continue;
        };
        let checked = happened.checked.get(&change.id);
        checks.extend(checked.map(|at| between(change.created_at, *at)));
        let merged = happened.merged.get(&change.id);
        approval.extend(checked.zip(merged).map(|(checked, merged)| between(*checked, *merged)));
        rollout.push(between(record.state.started_at, ended));
    }
    vec![
        kpi::slice("checks", "until the checks had passed", &checks),
        kpi::slice("approval", "until it was approved and merged", &approval),
        kpi::slice("rollout", "from the first user to everyone", &rollout),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_are_those_a_time_touches() {
        let day = |text: &str| Timestamp(domain::units::day_number(text).unwrap() * 86_400_000);
        let months = months(day("2025-12-31"), day("2026-02-01"));
        assert_eq!(months.into_iter().collect::<Vec<_>>(), ["2025-12", "2026-01", "2026-02"]);
    }

    /// Nothing happened yet: seven figures, each with too few to say.
    #[test]
    fn without_happenings_every_figure_says_so() {
        let cards = cards(&Happened::default(), Timestamp(0), Timestamp(86_400_000), str::to_owned);
        assert_eq!(cards.len(), 7);
        for card in cards {
            assert!(card.value.is_none() && card.text.code == "too_few", "{}", card.key);
            assert!(!card.definition.is_empty() && card.trend.len() == 12);
        }
    }
}
