//! "Why did this request answer so?": the release that served it, why it was
//! that one, and how it differs from the last good one.

use crate::Control;
use crate::caller::Caller;
use crate::problem::{Problem, ProblemKind};
use crate::records::{ReleaseRecord, RolloutRecord};
use crate::releases::release_view;
use crate::views::{FeedbackView, WhyView};
use domain::ids::{ReleaseId, RequestId};
use domain::manifest::diff;
use domain::params;
use domain::routing::Arm;
use domain::sentence::Sentence;
use domain::telemetry::{AnswerStatus, RequestRecord};
use similar::TextDiff;
use std::collections::BTreeMap;
use store::{Kind, StatementQuery};

impl Control {
    /// Explains one request.
    ///
    /// # Errors
    /// `no_such_request`.
    pub async fn explain(&self, _caller: &Caller, id: &RequestId) -> Result<WhyView, Problem> {
        let records = self.store.request(id).await?;
        let (shadow, served): (Vec<_>, Vec<_>) =
            records.into_iter().partition(|r| r.arm == Arm::Shadow);
        let Some(served) = served.into_iter().next() else {
            return Err(Problem::new(
                ProblemKind::NotFound,
                "no_such_request",
                format!("there is no record of a request `{id}`"),
                "take the id of the header `x-tidegate-request-id`; gateways ship records a \
                 moment after the answer, so ask again about one of the last seconds",
            ));
        };
        let rollout = match served.rollout {
            Some(id) => self.store.get::<RolloutRecord>(Kind::Rollout, id).await?.map(|r| r.doc),
            None => None,
        };
        let release = self.release_record(served.release).await?;
        let last_good = self.last_good(&served, rollout.as_ref()).await?;
        let change = match release.change {
            Some(id) => Some(self.change_record(id).await?.doc),
            None => None,
        };
        let (differences, texts) = match &last_good {
            Some(good) => (diff(&good.manifest, &release.manifest), texts(good, &release)),
            None => (Vec::new(), BTreeMap::new()),
        };
        let good_view = match &last_good {
            Some(good) => Some(self.view_release(good).await?),
            None => None,
        };
        Ok(WhyView {
            id: id.clone(),
            summary: summary(&served, rollout.as_ref()),
            release: self.view_release(&release).await?,
            last_good: good_view,
            differences,
            texts,
            feedback: self.feedback_on(id).await?,
            change: release.change,
            commit: change.and_then(|c| c.merge_commit),
            outcome: rollout.and_then(|r| r.state.decision),
            shadow: shadow.into_iter().next(),
            served,
        })
    }

    /// The release to compare with: what everyone else had; for an answer of
    /// production itself, the release before it that did not fail.
    async fn last_good(
        &self,
        served: &RequestRecord,
        rollout: Option<&RolloutRecord>,
    ) -> Result<Option<std::sync::Arc<ReleaseRecord>>, Problem> {
        let id = match rollout {
            Some(r) if r.state.stable != served.release => Some(r.state.stable),
            _ if served.preview.is_some() => {
                let live = self.app_record(&served.app).await?.doc.production;
                Some(live).filter(|live| *live != served.release)
            }
            _ => self.before(served).await?,
        };
        match id {
            Some(id) => self.release_record(id).await.map(Some),
            None => Ok(None),
        }
    }

    async fn before(&self, served: &RequestRecord) -> Result<Option<ReleaseId>, Problem> {
        let app = self.app_record(&served.app).await?.doc;
        match app.history.iter().rposition(|p| p.release == served.release) {
            Some(at) => self.good_before(&app, at, served.release).await,
            None => Ok(None),
        }
    }

    async fn feedback_on(&self, id: &RequestId) -> Result<Vec<FeedbackView>, Problem> {
        let page = self.store.statements(&StatementQuery::about(id)).await?;
        Ok(page
            .items
            .into_iter()
            .filter_map(|s| {
                Some(FeedbackView {
                    name: s.name,
                    value: s.value?,
                    at: s.at,
                    shadow: s.arm == Arm::Shadow,
                })
            })
            .collect())
    }

    async fn view_release(
        &self,
        record: &ReleaseRecord,
    ) -> Result<crate::views::ReleaseView, Problem> {
        release_view(self, record).await
    }
}

/// Unified diffs of the contents that differ, by kind of component.
pub(crate) fn texts(before: &ReleaseRecord, after: &ReleaseRecord) -> BTreeMap<String, String> {
    diff(&before.manifest, &after.manifest)
        .into_iter()
        .filter(|d| !d.same())
        .map(|d| {
            let text = |record: &ReleaseRecord| {
                record.served.contents.get(&d.kind).map_or_else(String::new, readable)
            };
            let (old, new) = (text(before), text(after));
            let header = |c: &Option<domain::component::Component>| {
                c.as_ref().map_or_else(|| "none".to_owned(), domain::component::Component::label)
            };
            let unified = TextDiff::from_lines(&old, &new)
                .unified_diff()
                .header(&header(&d.before), &header(&d.after))
                .to_string();
            (d.kind.key().to_owned(), unified)
        })
        .collect()
}

/// Content as lines people can compare: texts of several lines stand as lines.
fn readable(content: &serde_json::Value) -> String {
    let pretty = serde_json::to_string_pretty(content).unwrap_or_default();
    pretty.replace("\\n", "\n") + "\n"
}

fn summary(served: &RequestRecord, rollout: Option<&RolloutRecord>) -> Sentence {
    let latency = served.latency_us / 1000;
    let mut params = params! {
        "at" => served.at.clock(), "app" => served.app, "ms" => latency,
        "release" => served.release.short(), "bucket" => served.bucket,
    };
    if served.status == AnswerStatus::Killed {
        let template = "{at}: the kill switch of {app} was thrown, so the fallback answered.";
        return Sentence::render("why_killed", template, params);
    }
    if let Some(change) = served.preview {
        params.insert("change".to_owned(), serde_json::json!(change));
        let template = "{at}, {ms} ms: asked with the token of the preview of {change}, so its {release} answered; nothing else was routed.";
        return Sentence::render("why_preview", template, params);
    }
    if let Some(drawn) = &served.drawn {
        params.insert("experiment".to_owned(), serde_json::json!(drawn.experiment));
        params.insert("variant".to_owned(), serde_json::json!(drawn.name));
        params.insert("share".to_owned(), serde_json::json!(served.share));
        let template = "{at}, {ms} ms: got variant `{variant}` ({release}) of {experiment}, which had {share} of the places: the subject's number is {bucket} of 10000.";
        return Sentence::render("why_drawn", template, params);
    }
    let Some(rollout) = rollout else {
        let template = "{at}, {ms} ms: nothing was on trial, so production's {release} answered.";
        return Sentence::render("why_production", template, params);
    };
    params.insert("rollout".to_owned(), serde_json::json!(rollout.state.id));
    params.insert("change".to_owned(), serde_json::json!(rollout.state.change));
    let template = match served.arm {
        Arm::Candidate => {
            "{at}, {ms} ms: got the NEW version {release} ({change}, {rollout}): the subject's number is {bucket} of 10000, inside the share of the test."
        }
        Arm::Control => {
            "{at}, {ms} ms: got today's version {release}, as part of the group that {rollout} is compared with: the subject's number is {bucket} of 10000."
        }
        Arm::Stable | Arm::Shadow | Arm::Variant | Arm::Preview => {
            "{at}, {ms} ms: got today's version {release}: the subject's number is {bucket} of 10000, outside the test of {rollout}."
        }
    };
    Sentence::render("why_routed", template, params)
}
