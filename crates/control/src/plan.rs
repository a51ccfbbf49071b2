//! What a plan can and cannot detect, asked before its rollout begins.
//!
//! The forecast is `analysis::power`; here is where its traffic comes from: the
//! app's own cells of the last days, newest first, and no more of them than tell
//! something new.

use crate::Control;
use crate::caller::Caller;
use crate::problem::{Problem, ProblemKind};
pub use analysis::power::PlanReport;
use analysis::power::{Basis, Traffic, plan};
use domain::ids::{AppName, ChangeId};
use domain::policy::RolloutPolicy;
use domain::units::{Span, Timestamp};
use serde::{Deserialize, Serialize};

/// How far back traffic is looked at.
const LOOK_BACK: Span = Span::from_secs(7 * 86_400);
/// How much of it is read at a time.
const PIECE: Span = Span::from_secs(6 * 3600);
/// A whole day is always read, because days have their ups and downs; beyond it,
/// no more than this many answers.
const A_DAY: Span = Span::from_secs(86_400);
/// See [`A_DAY`].
const ENOUGH_ANSWERS: u64 = 50_000;

/// `GET /api/v1/apps/{app}/plan`, and as a body of `POST` with a policy.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanQuestion {
    /// The plan of this change; the one on `main` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<ChangeId>,
    /// Requests a day; what is measured if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_day: Option<f64>,
    /// A policy to try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<RolloutPolicy>,
}

impl Control {
    /// Says what a plan can detect on this app's traffic.
    ///
    /// # Errors
    /// No such app or change, no plan, or a policy or number that makes no sense.
    pub async fn plan(
        &self,
        _caller: &Caller,
        app: &AppName,
        question: PlanQuestion,
    ) -> Result<PlanReport, Problem> {
        self.app_record(app).await?;
        let policy = self.policy_in_question(app, &question).await?;
        let mut traffic = self.traffic(app, &policy).await?;
        if let Some(per_day) = question.requests_per_day {
            if !per_day.is_finite() || per_day < 0.0 {
                return Err(Problem::new(
                    ProblemKind::Invalid,
                    "bad_traffic",
                    format!("{per_day} requests a day cannot be"),
                    "give a number that is not negative",
                )
                .at("requests_per_day"));
            }
            (traffic.per_day, traffic.basis) = (per_day, Basis::Given);
        }
        // A plan with all the steps and signals there may be takes a while.
        let forecast = tokio::task::spawn_blocking(move || plan(&policy, &traffic));
        forecast.await.map_err(|e| crate::wrong("the forecast", &e))
    }

    async fn policy_in_question(
        &self,
        app: &AppName,
        question: &PlanQuestion,
    ) -> Result<RolloutPolicy, Problem> {
        if let Some(policy) = &question.policy {
            let faults = policy.faults();
            let Some(first) = faults.first() else { return Ok(policy.clone()) };
            let problem = Problem::new(
                ProblemKind::Invalid,
                "bad_policy",
                first.to_string(),
                "change the plan so that it holds",
            );
            return Err(faults.iter().fold(problem, |problem, fault| problem.at(&fault.field)));
        }
        let commit = match question.change {
            None => self.main().await?.head,
            Some(id) => {
                let change = self.change_record(id).await?.doc;
                if change.app != *app {
                    return Err(Problem::new(
                        ProblemKind::Invalid,
                        "other_app",
                        format!("change {id} is for `{}`", change.app),
                        "ask for the plan of that app",
                    )
                    .at("change"));
                }
                change.head.parse().map_err(|e| crate::wrong("the change's commit", &e))?
            }
        };
        self.policy_at(commit, app).await
    }

    /// What the app's own cells say.
    async fn traffic(&self, app: &AppName, policy: &RolloutPolicy) -> Result<Traffic, Problem> {
        let now = self.clock.now();
        let back = |span: Span| Timestamp(now.0.saturating_sub(span.millis()));
        let (mut cells, mut answers, mut read) = (Vec::new(), 0_u64, Span::ZERO);
        while read < LOOK_BACK && (read < A_DAY || answers < ENOUGH_ANSWERS) {
            let until = back(read).second().saturating_add(i64::from(read == Span::ZERO));
            read = Span::from_millis(read.millis().saturating_add(PIECE.millis()));
            let piece = self.store.app_cells(app, back(read).second(), until).await?;
            answers = piece.iter().fold(answers, |sum, (_, cell)| sum.saturating_add(cell.n));
            cells.extend(piece);
        }
        Ok(Traffic::measured(policy, &cells, back(read), now))
    }
}
