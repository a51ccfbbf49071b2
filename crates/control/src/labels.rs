//! Which answers people are asked to label.
//!
//! Chosen by a hash of the request id alone, so the list is the same for everybody
//! and nobody can lean on it. It does not say which version answered, so that
//! whoever labels does not know either.

use crate::caller::Caller;
use crate::problem::{Problem, ProblemKind};
use crate::records::RolloutRecord;
use crate::views::{Page, SampleView};
use crate::{Control, not_found};
use domain::ids::RolloutId;
use domain::policy::{HumanLabels, Signal};
use domain::routing::Arm;
use domain::telemetry::answer_hash;
use store::{Cursor, DEFAULT_PAGE, MAX_PAGE};

/// Which chosen answers.
#[derive(Debug, Clone, Default)]
pub struct SampleQuery {
    /// Judged under this signal; the only one that asks for labels if absent.
    pub signal: Option<String>,
    /// Those that are labelled already too.
    pub labelled: bool,
    /// At most so many.
    pub limit: Option<u32>,
    /// What comes after this place.
    pub cursor: Option<Cursor>,
}

/// What a signal asks people for.
struct Asked<'a> {
    signal: &'a Signal,
    human: &'a HumanLabels,
    label: String,
    halvings: u32,
}

impl Control {
    /// Answers of a rollout that people are asked to label, oldest first.
    ///
    /// # Errors
    /// `no_such_rollout`, `no_such_signal`, or `which_signal` if several ask.
    pub async fn label_sample(
        &self,
        _caller: &Caller,
        id: RolloutId,
        query: SampleQuery,
    ) -> Result<Page<SampleView>, Problem> {
        let record = self.rollout_record(id).await?.doc;
        let asked = asked(&record, query.signal.as_deref())?;
        let limit = query.limit.unwrap_or(DEFAULT_PAGE).clamp(1, MAX_PAGE) as usize;
        let mut after = query.cursor;
        let mut items = Vec::new();
        loop {
            let names = (asked.signal.name.as_str(), asked.label.as_str());
            let judged = self.store.judged_answers(id, names, after, MAX_PAGE).await?;
            let whole = judged.len() < MAX_PAGE as usize;
            for answer in judged {
                if items.len() == limit {
                    return Ok(Page { items, next: after.map(|cursor| cursor.to_string()) });
                }
                after = Some(answer.place);
                let hash = answer_hash(answer.request.as_str());
                let wanted = query.labelled || !answer.labelled;
                if wanted && asked.human.chooses(hash, asked.halvings) {
                    items.push(self.view_sample(&asked, answer).await?);
                }
            }
            if whole {
                return Ok(Page { items, next: None });
            }
        }
    }

    async fn view_sample(
        &self,
        asked: &Asked<'_>,
        answer: store::JudgedAnswer,
    ) -> Result<SampleView, Problem> {
        let records = self.store.request(&answer.request).await?;
        let record = records.into_iter().find(|r| (r.arm == Arm::Shadow) == answer.shadow);
        let (prompt, text) = record.map_or((None, None), |record| (record.prompt, record.answer));
        Ok(SampleView {
            request: answer.request,
            shadow: answer.shadow,
            signal: asked.signal.name.clone(),
            post_as: asked.label.clone(),
            labelled: answer.labelled,
            at: answer.at,
            prompt,
            answer: text,
        })
    }
}

/// The signal whose labels are asked about.
fn asked<'a>(record: &'a RolloutRecord, name: Option<&str>) -> Result<Asked<'a>, Problem> {
    let signals = record.state.policy.signals.iter();
    let asking: Vec<_> = signals
        .filter_map(|signal| {
            let human = signal.judge.as_ref()?.human.as_ref()?;
            Some((signal, human, signal.label_name()?))
        })
        .filter(|(signal, ..)| name.is_none_or(|name| name == signal.name))
        .collect();
    match (asking.as_slice(), name) {
        ([(signal, human, label)], _) => Ok(Asked {
            signal,
            human,
            label: label.clone(),
            halvings: halvings(record, signal, human),
        }),
        ([], Some(name)) => Err(not_found("signal", name)),
        ([], None) => Err(Problem::new(
            ProblemKind::Refused,
            "no_labels_asked",
            format!("no signal of {} asks people for labels", record.state.id),
            "add `judge: {human: {share: 5%}}` to a signal of the plan, for the next rollout",
        )),
        _ => {
            let names: Vec<_> = asking.iter().map(|(signal, ..)| signal.name.as_str()).collect();
            Err(Problem::new(
                ProblemKind::Invalid,
                "which_signal",
                format!("several signals ask for labels: {}", names.join(", ")),
                "name one with `signal`",
            )
            .at("signal"))
        }
    }
}

/// How often the share was halved by now, as the last look says.
fn halvings(record: &RolloutRecord, signal: &Signal, human: &HumanLabels) -> u32 {
    let rows = record.report.iter().flat_map(|report| &report.signals);
    let mut labels = rows.filter(|row| row.verdict.signal == signal.name);
    let now = labels.next().and_then(|row| row.verdict.labels.as_ref()).map(|labels| labels.share);
    let halved = now.filter(|share| *share > 0.0).map(|now| human.share.fraction() / now);
    // A share is halved at most 64 times.
    halved.map_or(0, |times| times.log2().round().clamp(0.0, 64.0) as u32)
}
