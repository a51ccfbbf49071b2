//! Feedback, counted for the arm that answered.
//!
//! What must stay true:
//! - within a rollout, one input speaks once per arm and name: the same question
//!   labelled a hundred times is one piece of evidence, not a hundred. The first
//!   word stands. Outside a rollout nothing is compared, and each request speaks
//!   for itself;
//! - it counts in the second it arrived, under the step and share its answer was
//!   given at;
//! - an answer that says nothing about the arm (kill switch, wrong request) gets
//!   no count from feedback either; what was said is kept with the request.
//!   Neither has one of a preview, which no subject's latest answer is;
//! - feedback may overtake its record, which travels by another batch. It waits
//!   for it, but neither for ever nor in any number.

use super::ingest::Ingested;
use super::outcomes::{self, Intake};
use super::rollout_column;
use crate::StoreError;
use analysis::CellKey;
use analysis::cells::Cells;
use domain::routing::Arm;
use domain::telemetry::{Feedback, MAX_FEEDBACK_NAME, RequestRecord};
use domain::units::{Span, Timestamp};
use sqlx::{Row, SqliteConnection};

/// How long feedback waits for the record it speaks of.
pub const FEEDBACK_PATIENCE: Span = Span::from_secs(300);

/// How many may wait; more are given up at once.
pub const MAX_WAITING_FEEDBACK: u32 = 10_000;

/// What a batch adds up to.
pub(super) struct Counted {
    pub(super) cells: Cells,
    pub(super) outcomes: Intake,
}

/// Counts feedback whose record is there by now, and gives up what waited too
/// long.
pub(super) async fn retry(
    connection: &mut SqliteConnection,
    now: Timestamp,
    counted: &mut Counted,
    done: &mut Ingested,
) -> Result<(), StoreError> {
    let rows = sqlx::query(
        "SELECT seq, at, feedback FROM waiting_feedback w WHERE
            (w.id IS NOT NULL AND EXISTS (
                SELECT 1 FROM requests r WHERE r.id = w.id AND (r.arm = 'shadow') = w.shadow))
         OR (w.id IS NULL AND EXISTS (
                SELECT 1 FROM requests r WHERE r.app = w.app AND r.subject = w.subject
                AND r.at <= w.at AND (r.arm = 'shadow') = w.shadow
                AND r.arm <> 'preview'))
         ORDER BY seq",
    )
    .fetch_all(&mut *connection)
    .await?;
    for row in rows {
        let feedback: Feedback = serde_json::from_str(row.try_get("feedback")?)
            .map_err(|e| StoreError::not_json("feedback", &e))?;
        let at = Timestamp(row.try_get("at")?);
        if let Some(record) = record_of(connection, at, &feedback).await? {
            count(connection, at, &feedback, &record, counted, done).await?;
        }
        forget(connection, "DELETE FROM waiting_feedback WHERE seq = ?", row.try_get("seq")?)
            .await?;
    }
    done.feedback_unknown +=
        forget(connection, "DELETE FROM waiting_feedback WHERE until < ?", now.0).await?;
    Ok(())
}

async fn forget(
    connection: &mut SqliteConnection,
    sql: &'static str,
    value: i64,
) -> Result<u64, StoreError> {
    Ok(sqlx::query(sql).bind(value).execute(connection).await?.rows_affected())
}

/// Counts one piece of feedback, or lets it wait.
pub(super) async fn take_in(
    connection: &mut SqliteConnection,
    at: Timestamp,
    feedback: &Feedback,
    now: Timestamp,
    counted: &mut Counted,
    done: &mut Ingested,
) -> Result<(), StoreError> {
    let names_an_answer =
        feedback.request_id.is_some() || (feedback.subject.is_some() && feedback.app.is_some());
    let named = (1..=MAX_FEEDBACK_NAME).contains(&feedback.name.chars().count());
    if !named || !names_an_answer {
        done.feedback_unknown += 1;
    } else if let Some(record) = record_of(connection, at, feedback).await? {
        count(connection, at, feedback, &record, counted, done).await?;
    } else if feedback.value.is_finite() && wait(connection, at, feedback, now).await? {
        done.feedback_waiting += 1;
    } else {
        done.feedback_unknown += 1;
    }
    Ok(())
}

/// The record it speaks of, if it is there.
async fn record_of(
    connection: &mut SqliteConnection,
    at: Timestamp,
    feedback: &Feedback,
) -> Result<Option<RequestRecord>, StoreError> {
    let query = match (&feedback.request_id, &feedback.app, &feedback.subject) {
        (Some(id), app, _) => sqlx::query_scalar(
            "SELECT record FROM requests WHERE id = ?1 AND (arm = 'shadow') = ?2
             AND (?3 IS NULL OR app = ?3)",
        )
        .bind(id.as_str())
        .bind(feedback.shadow)
        .bind(app.as_ref().map(|app| app.as_str())),
        (None, Some(app), Some(subject)) => sqlx::query_scalar(
            "SELECT record FROM requests WHERE app = ? AND subject = ? AND at <= ?
             AND (arm = 'shadow') = ? AND arm <> 'preview' ORDER BY at DESC, seq DESC LIMIT 1",
        )
        .bind(app.as_str())
        .bind(subject)
        .bind(at.0)
        .bind(feedback.shadow),
        _ => return Ok(None),
    };
    let record: Option<String> = query.fetch_optional(connection).await?;
    record
        .map(|text| {
            serde_json::from_str(&text).map_err(|e| StoreError::not_json("request record", &e))
        })
        .transpose()
}

async fn count(
    connection: &mut SqliteConnection,
    at: Timestamp,
    feedback: &Feedback,
    record: &RequestRecord,
    counted: &mut Counted,
    done: &mut Ingested,
) -> Result<(), StoreError> {
    let counts = record.status.counts() && record.arm != Arm::Preview;
    let unit = if record.rollout.is_some() && counts {
        record.input.to_string()
    } else {
        record.id.to_string()
    };
    let new = sqlx::query(
        "INSERT INTO feedback (rollout, arm, name, unit, id, at, value, comment, share)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (rollout, arm, name, unit) DO NOTHING",
    )
    .bind(rollout_column(record.rollout)?)
    .bind(record.arm.key())
    .bind(&feedback.name)
    .bind(unit)
    .bind(record.id.as_str())
    .bind(at.0)
    .bind(feedback.value.is_finite().then_some(feedback.value))
    .bind(&feedback.comment)
    .bind(i64::from(outcomes::share(record).bp()))
    .execute(&mut *connection)
    .await?
    .rows_affected();
    if new == 0 {
        done.feedback_repeated += 1;
    } else if counts {
        let (name, value) = (&feedback.name, feedback.value);
        counted.cells.entry(CellKey::known_at(record, at)).add_feedback(name, value);
        counted.outcomes.feedback(connection, record, at, name, value).await?;
        done.feedback_counted += 1;
    }
    Ok(())
}

/// False if too many wait already.
async fn wait(
    connection: &mut SqliteConnection,
    at: Timestamp,
    feedback: &Feedback,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let json = serde_json::to_string(feedback).map_err(|e| StoreError::not_json("feedback", &e))?;
    let kept = sqlx::query(
        "INSERT INTO waiting_feedback (at, until, id, app, subject, shadow, feedback)
         SELECT ?, ?, ?, ?, ?, ?, ? WHERE (SELECT COUNT(*) FROM waiting_feedback) < ?",
    )
    .bind(at.0)
    .bind(now.plus(FEEDBACK_PATIENCE).0)
    .bind(feedback.request_id.as_ref().map(|id| id.as_str()))
    .bind(feedback.app.as_ref().map(|app| app.as_str()))
    .bind(&feedback.subject)
    .bind(feedback.shadow)
    .bind(json)
    .bind(i64::from(MAX_WAITING_FEEDBACK))
    .execute(connection)
    .await?;
    Ok(kept.rows_affected() == 1)
}
