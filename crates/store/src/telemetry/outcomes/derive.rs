//! From records and feedback to outcomes, as they come in.

use super::rate::{Rate, stays};
use super::{DrawnOutcome, Measured, SLACK, column};
use crate::StoreError;
use crate::telemetry::rollout_column;
use domain::ids::{Digest, RolloutId};
use domain::routing::Arm;
use domain::telemetry::{RequestRecord, answer_hash};
use domain::units::{Share, Timestamp};
use sqlx::{Row, SqliteConnection};
use std::collections::BTreeMap;

/// What is added to outcomes by one batch.
#[derive(Debug)]
pub(crate) struct Intake {
    received: Timestamp,
    rollouts: BTreeMap<RolloutId, Open>,
    /// Outcomes left out of a flood.
    pub(crate) thinned: u64,
}

/// One rollout while a batch is taken in.
#[derive(Debug)]
struct Open {
    /// Nothing may be known before this any more.
    earliest: i64,
    answers: Rate,
    feedback: Rate,
}

/// An outcome on its way in, with the clock of whoever saw it.
struct Coming<'a> {
    record: &'a RequestRecord,
    happened: Timestamp,
    share: Share,
    id: u64,
    measured: Measured,
}

/// True if the candidate answered.
fn is_candidate(arm: Arm) -> bool {
    matches!(arm, Arm::Candidate | Arm::Shadow)
}

/// Arms of the same side, the given one left out.
fn same_side(arm: Arm) -> Option<Arm> {
    Some(match arm {
        Arm::Stable => Arm::Control,
        Arm::Control => Arm::Stable,
        Arm::Candidate => Arm::Shadow,
        Arm::Shadow => Arm::Candidate,
        Arm::Variant | Arm::Preview => return None,
    })
}

/// The first 64 bits of SHA-256 over the parts, each ended by a zero byte.
fn hash(parts: &[&str]) -> u64 {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend(part.as_bytes());
        bytes.push(0);
    }
    head(&Digest::of(&bytes))
}

fn head(digest: &Digest) -> u64 {
    digest.as_bytes().iter().take(8).fold(0, |all, byte| all << 8 | u64::from(*byte))
}

/// While requests are mirrored and the candidate answers nobody else, both
/// answers to one request are a pair. Beside a weight they are not: the
/// original is one of those that could have gone to the candidate, and counts
/// as such.
fn pair(record: &RequestRecord) -> Option<u64> {
    let mirrored = matches!(record.arm, Arm::Shadow | Arm::Control);
    (mirrored && record.share == Share::NONE).then(|| hash(&["pair", record.id.as_str()]))
}

/// A mirrored copy is the candidate's for sure: no draw decides, so it is no
/// evidence by itself.
pub(crate) fn share(record: &RequestRecord) -> Share {
    if record.arm == Arm::Shadow { Share::ALL } else { record.share }
}

impl Intake {
    pub(crate) fn new(received: Timestamp) -> Self {
        Self { received, rollouts: BTreeMap::new(), thinned: 0 }
    }

    /// Adds what a new record tells, if it tells anything about an arm.
    pub(crate) async fn answer(
        &mut self,
        connection: &mut SqliteConnection,
        record: &RequestRecord,
    ) -> Result<(), StoreError> {
        let Some(rollout) = record.trial().filter(|_| record.status.counts()) else {
            return Ok(());
        };
        let took = i64::try_from(record.latency_us / 1000).unwrap_or(i64::MAX);
        let failed = record.status.is_error();
        let coming = Coming {
            record,
            happened: Timestamp(record.at.0.saturating_add(took)),
            share: share(record),
            id: hash(&["answer", record.id.as_str(), record.arm.key()]),
            measured: Measured::Answer {
                failed,
                fallback: record.fallback != "none",
                latency_us: record.latency_us,
                ttft_us: record.ttft_us,
                cost_nano_usd: record.cost_nano_usd,
                output_tokens: (!failed).then_some(record.completion_tokens),
                schema_failed: record.schema_failed,
            },
        };
        self.add(connection, rollout, coming).await
    }

    /// Adds what was said about an answer, the first time somebody says it about
    /// this input on this side.
    ///
    /// One input answered by both sides is two words of which one is the
    /// candidate's, whatever the weight: after the first, the side of the second
    /// is settled, so it counts with the probability that the first was *not*
    /// the candidate's. Taken alone each word then has the probability it says,
    /// and the two together vary less than independent ones: tests that take
    /// them as independent err on the safe side. With the weight itself, inputs
    /// that recur would look like a candidate that is served far too often.
    pub(crate) async fn feedback(
        &mut self,
        connection: &mut SqliteConnection,
        record: &RequestRecord,
        at: Timestamp,
        name: &str,
        value: f64,
    ) -> Result<(), StoreError> {
        let Some(rollout) = record.trial() else { return Ok(()) };
        let said = match record.drawn {
            None => first_words(connection, rollout, record, name).await?,
            Some(_) => Vec::new(),
        };
        if said.iter().any(|(arm, _)| Some(*arm) == same_side(record.arm)) {
            return Ok(());
        }
        let share = match said.first() {
            Some((_, first)) if record.arm != Arm::Shadow && pair(record).is_none() => {
                Share::from_bp(Share::ALL.bp().saturating_sub(first.bp()))
            }
            _ => share(record),
        };
        let coming = Coming {
            record,
            happened: at,
            share,
            id: hash(&["feedback", record.id.as_str(), record.arm.key(), name]),
            measured: Measured::Feedback { name: name.to_owned(), value },
        };
        self.add(connection, rollout, coming).await
    }

    /// The rollout as the batch found it, read once.
    async fn open(
        &mut self,
        connection: &mut SqliteConnection,
        rollout: RolloutId,
    ) -> Result<&mut Open, StoreError> {
        let open = match self.rollouts.remove(&rollout) {
            Some(open) => open,
            None => Open::read(connection, rollout, self.received).await?,
        };
        Ok(self.rollouts.entry(rollout).or_insert(open))
    }

    async fn add(
        &mut self,
        connection: &mut SqliteConnection,
        rollout: RolloutId,
        coming: Coming<'_>,
    ) -> Result<(), StoreError> {
        let received = self.received;
        let open = self.open(connection, rollout).await?;
        let rate = match coming.measured {
            Measured::Answer { .. } => &mut open.answers,
            Measured::Feedback { .. } => &mut open.feedback,
        };
        let halvings = rate.count(received);
        // A gateway whose clock is ahead knows no more than others.
        let known = coming.happened.0.min(received.0).max(open.earliest);
        let unit = hash(&["unit", &coming.record.subject]);
        if stays(unit, halvings) {
            write(connection, rollout, &coming, known, unit, halvings).await
        } else {
            self.thinned = self.thinned.saturating_add(1);
            Ok(())
        }
    }

    /// Keeps what was counted, for the next batch.
    pub(crate) async fn close(self, connection: &mut SqliteConnection) -> Result<u64, StoreError> {
        for (rollout, open) in &self.rollouts {
            for (feedback, rate) in [(false, open.answers), (true, open.feedback)] {
                keep(connection, *rollout, feedback, rate).await?;
            }
        }
        Ok(self.thinned)
    }
}

impl Open {
    async fn read(
        connection: &mut SqliteConnection,
        rollout: RolloutId,
        received: Timestamp,
    ) -> Result<Self, StoreError> {
        let id = rollout_column(Some(rollout))?;
        let judged: Option<i64> = sqlx::query_scalar("SELECT until FROM judged WHERE rollout = ?")
            .bind(id)
            .fetch_optional(&mut *connection)
            .await?;
        let slack = received.0.saturating_sub(SLACK.millis());
        let mut open = Self {
            earliest: judged.map_or(slack, |until| slack.max(until.saturating_add(1))),
            answers: Rate::default(),
            feedback: Rate::default(),
        };
        let rates = sqlx::query(
            "SELECT feedback, window, seen, before FROM outcome_rates WHERE rollout = ?",
        )
        .bind(id)
        .fetch_all(connection)
        .await?;
        for row in rates {
            let rate = Rate {
                window: row.try_get("window")?,
                seen: row.try_get::<i64, _>("seen")?.unsigned_abs(),
                before: row.try_get::<i64, _>("before")?.unsigned_abs(),
            };
            if row.try_get("feedback")? {
                open.feedback = rate;
            } else {
                open.answers = rate;
            }
        }
        Ok(open)
    }
}

async fn keep(
    connection: &mut SqliteConnection,
    rollout: RolloutId,
    feedback: bool,
    rate: Rate,
) -> Result<(), StoreError> {
    if rate.seen == 0 {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO outcome_rates (rollout, feedback, window, seen, before)
         VALUES (?, ?, ?, ?, ?) ON CONFLICT (rollout, feedback) DO UPDATE SET
         window = excluded.window, seen = excluded.seen, before = excluded.before",
    )
    .bind(rollout_column(Some(rollout))?)
    .bind(feedback)
    .bind(rate.window)
    .bind(number(rate.seen))
    .bind(number(rate.before))
    .execute(connection)
    .await?;
    Ok(())
}

/// What other arms were told about this input under this name: each arm with
/// the share of its word, the first one first.
async fn first_words(
    connection: &mut SqliteConnection,
    rollout: RolloutId,
    record: &RequestRecord,
    name: &str,
) -> Result<Vec<(Arm, Share)>, StoreError> {
    let rows = sqlx::query(
        "SELECT arm, share FROM feedback WHERE rollout = ? AND arm IN (?, ?, ?, ?) AND arm <> ?
         AND name = ? AND unit = ? ORDER BY seq",
    )
    .bind(rollout_column(Some(rollout))?)
    .bind(Arm::Stable.key())
    .bind(Arm::Control.key())
    .bind(Arm::Candidate.key())
    .bind(Arm::Shadow.key())
    .bind(record.arm.key())
    .bind(name)
    .bind(record.input.to_string())
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| {
            let share: u16 = row.try_get("share")?;
            Ok((crate::telemetry::arm_of(row.try_get("arm")?)?, Share::from_bp(share)))
        })
        .collect()
}

/// What was drawn, as the column has it.
fn drawn(record: &RequestRecord) -> Result<Option<String>, StoreError> {
    let of = |drawn: &domain::routing::Drawn| DrawnOutcome {
        variant: drawn.variant,
        segment: drawn.segment,
        shares: drawn.shares.clone(),
        cost_nano_usd: record.cost_nano_usd,
    };
    let text = record.drawn.as_ref().map(|drawn| serde_json::to_string(&of(drawn)));
    text.transpose().map_err(|e| StoreError::not_json("what was drawn", &e))
}

async fn write(
    connection: &mut SqliteConnection,
    rollout: RolloutId,
    coming: &Coming<'_>,
    known: i64,
    unit: u64,
    halvings: u32,
) -> Result<(), StoreError> {
    let record = coming.record;
    let insert = sqlx::query(
        "INSERT INTO outcomes (rollout, known, id, candidate, share, step, unit, pair, input,
             segment, answer, halvings, failed, fallback, latency_us, ttft_us, cost_nano_usd,
             output_tokens, schema_failed, name, value, drawn)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (rollout, known, id) DO NOTHING",
    )
    .bind(rollout_column(Some(rollout))?)
    .bind(known)
    .bind(column(coming.id))
    .bind(is_candidate(record.arm))
    .bind(i64::from(coming.share.bp()))
    .bind(i64::from(record.step))
    .bind(column(unit))
    .bind(pair(record).map(column))
    .bind(column(head(&record.input)))
    .bind(record.tenant.as_deref().map(|tenant| column(hash(&["segment", tenant]))))
    .bind(column(answer_hash(record.id.as_str())))
    .bind(i64::from(halvings));
    let insert = match &coming.measured {
        Measured::Answer {
            failed,
            fallback,
            latency_us,
            ttft_us,
            cost_nano_usd,
            output_tokens,
            schema_failed,
        } => insert
            .bind(*failed)
            .bind(*fallback)
            .bind(number(*latency_us))
            .bind(number(*ttft_us))
            .bind(number(*cost_nano_usd))
            .bind(output_tokens.map(number))
            .bind(*schema_failed)
            .bind(None::<String>)
            .bind(None::<f64>),
        Measured::Feedback { name, value } => insert
            .bind(None::<bool>)
            .bind(None::<bool>)
            .bind(None::<i64>)
            .bind(None::<i64>)
            .bind(None::<i64>)
            .bind(None::<i64>)
            .bind(None::<bool>)
            .bind(name)
            .bind(value.is_finite().then_some(*value)),
    };
    insert.bind(drawn(record)?).execute(connection).await?;
    Ok(())
}

/// A count as SQLite keeps it; beyond its range it stays at the end.
fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
