use super::telemetry::{ROLLOUT, batch, record};
use super::{Home, NOW, plan};
use crate::{KnownOutcome, LOOK_LAG, MAX_OUTCOMES_PER_SECOND, Measured, RATE_WINDOW, SLACK, Store};
use analysis::{Batch, Side};
use domain::ids::{ExperimentId, GatewayName, RequestId, RolloutId};
use domain::routing::{Arm, Drawn};
use domain::telemetry::{AnswerStatus, Feedback, RequestRecord};
use domain::units::{Share, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

const EVER: Timestamp = Timestamp(i64::MAX);

async fn all(store: &Store) -> Vec<KnownOutcome> {
    store.outcomes(ROLLOUT, None, EVER, u32::MAX).await.unwrap()
}

fn at(ms: i64) -> Timestamp {
    Timestamp(NOW.0 + ms)
}

fn tenth(n: u8, arm: Arm) -> RequestRecord {
    RequestRecord { arm, share: Share::from_bp(1000), ..record(n) }
}

fn mirrored(n: u8, arm: Arm) -> RequestRecord {
    RequestRecord { arm, share: Share::NONE, ..record(n) }
}

fn word(record: &RequestRecord, name: &str, value: f64) -> Feedback {
    Feedback {
        request_id: Some(record.id.clone()),
        subject: None,
        app: None,
        name: name.to_owned(),
        value,
        comment: None,
        shadow: record.arm == Arm::Shadow,
    }
}

/// What everybody said, without the answers.
async fn words(store: &Store) -> Vec<(Side, u16, f64)> {
    let word = |outcome: KnownOutcome| match outcome.measured {
        Measured::Feedback { value, .. } => Some((outcome.side, outcome.share.bp(), value)),
        Measured::Answer { .. } => None,
    };
    all(store).await.into_iter().filter_map(word).collect()
}

#[tokio::test]
async fn every_answer_that_says_something_is_one_outcome() {
    let home = Home::new().await;
    let failed = RequestRecord { status: AnswerStatus::Timeout, ..tenth(3, Arm::Candidate) };
    let records = [
        tenth(1, Arm::Stable),
        RequestRecord { schema_failed: Some(true), ..tenth(2, Arm::Control) },
        failed.clone(),
        RequestRecord { status: AnswerStatus::Killed, ..tenth(4, Arm::Candidate) },
        RequestRecord { status: AnswerStatus::BadRequest, ..tenth(5, Arm::Candidate) },
        RequestRecord { status: AnswerStatus::Cancelled, ..tenth(6, Arm::Candidate) },
        RequestRecord { rollout: None, ..tenth(7, Arm::Stable) },
    ];
    home.store.ingest(&batch(1, &records), at(200)).await.unwrap();
    home.store.ingest(&batch(2, &records), at(200)).await.unwrap();
    let found = all(&home.store).await;
    let sides: Vec<_> = found.iter().map(|o| (o.side, o.share.bp(), o.step)).collect();
    use Side::{Baseline, Candidate};
    assert_eq!(sides, [(Baseline, 1000, 1), (Baseline, 1000, 1), (Candidate, 1000, 1)]);
    assert_eq!(found[2].place.known, at(123), "when the answer had ended");
    assert_eq!(
        found[2].measured,
        Measured::Answer {
            failed: true,
            fallback: false,
            latency_us: failed.latency_us,
            ttft_us: failed.ttft_us,
            cost_nano_usd: failed.cost_nano_usd,
            output_tokens: None,
            schema_failed: None
        }
    );
    let broken = |o: &&KnownOutcome| {
        matches!(o.measured, Measured::Answer { schema_failed: Some(true), .. })
    };
    assert_eq!(found.iter().filter(broken).count(), 1);
    assert!(found.iter().all(|o| o.pair.is_none() && o.halvings == 0));
}

#[tokio::test]
async fn hashes_say_what_belongs_together_and_nothing_else() {
    let home = Home::new().await;
    let same = RequestRecord {
        subject: record(1).subject,
        tenant: Some("t".to_owned()),
        ..tenth(2, Arm::Control)
    };
    let input = RequestRecord {
        input: record(1).input,
        tenant: Some("t".to_owned()),
        ..tenth(3, Arm::Control)
    };
    home.store.ingest(&batch(1, &[tenth(1, Arm::Control), same, input]), at(200)).await.unwrap();
    let found = all(&home.store).await;
    let [one, same, input] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(one.unit, same.unit);
    assert_ne!(one.unit, input.unit);
    assert_eq!(one.input, input.input);
    assert_ne!(one.input, same.input);
    assert_eq!((one.segment, same.segment.is_some()), (None, true));
    assert_eq!(same.segment, input.segment);
}

#[tokio::test]
async fn both_answers_to_a_mirrored_request_are_a_pair() {
    let home = Home::new().await;
    let records = [
        mirrored(1, Arm::Control),
        mirrored(1, Arm::Shadow),
        mirrored(2, Arm::Control),
        mirrored(2, Arm::Shadow),
        mirrored(3, Arm::Stable),
        // Beside a weight the original counts by itself, the copy for limits.
        tenth(4, Arm::Stable),
        tenth(4, Arm::Shadow),
    ];
    home.store.ingest(&batch(1, &records), at(200)).await.unwrap();
    let said = [(at(300), word(&records[0], "bad", 0.0)), (at(310), word(&records[1], "bad", 1.0))];
    let said = Batch { feedback: said.to_vec(), ..batch(2, &[]) };
    home.store.ingest(&said, at(320)).await.unwrap();
    let found = all(&home.store).await;
    let mut pairs = BTreeMap::<u64, Vec<(Side, u64)>>::new();
    for outcome in &found {
        if let Some(pair) = outcome.pair {
            let sure = u16::from(outcome.side == Side::Candidate) * 10_000;
            assert_eq!(outcome.share.bp(), sure, "no draw decided this");
            pairs.entry(pair).or_default().push((outcome.side, outcome.unit));
        }
    }
    let sizes: BTreeSet<usize> = pairs.values().map(Vec::len).collect();
    assert_eq!(sizes, BTreeSet::from([2, 4]), "two answers, and two with a word each");
    for of_one in pairs.values() {
        assert!(of_one.iter().all(|(_, unit)| *unit == of_one[0].1), "one subject");
        let candidates = of_one.iter().filter(|(side, _)| *side == Side::Candidate).count();
        assert_eq!(candidates * 2, of_one.len());
    }
    let alone: Vec<_> =
        found.iter().filter(|o| o.pair.is_none()).map(|o| (o.side, o.share.bp())).collect();
    assert_eq!(alone.len(), 3);
    assert!(alone.contains(&(Side::Baseline, 0)), "nobody was drawn for the third");
    assert!(alone.contains(&(Side::Baseline, 1000)) && alone.contains(&(Side::Candidate, 10_000)));
}

#[tokio::test]
async fn an_input_that_recurs_speaks_once_for_each_side() {
    let home = Home::new().await;
    let about = |n: u8, arm| RequestRecord { input: record(1).input, ..tenth(n, arm) };
    let records = [
        about(1, Arm::Stable),
        about(2, Arm::Control),
        about(3, Arm::Candidate),
        about(4, Arm::Candidate),
        about(5, Arm::Shadow),
        tenth(6, Arm::Candidate),
    ];
    let mut said: Vec<_> = records.iter().map(|r| (at(1000), word(r, "bad", 1.0))).collect();
    said.push((at(1000), word(&records[2], "other", f64::NAN)));
    home.store.ingest(&batch(1, &records), at(200)).await.unwrap();
    for (seq, word) in (2..).zip(said) {
        let one = Batch { feedback: vec![word], ..batch(seq, &[]) };
        home.store.ingest(&one, at(1000 + seq as i64)).await.unwrap();
    }
    let mut found = words(&home.store).await;
    assert!(found.iter().any(|(_, _, value)| value.is_nan()), "unusable, and told");
    found.retain(|(_, _, value)| !value.is_nan());
    found.sort_by_key(|(side, share, _)| (*side == Side::Candidate, *share));
    let want = [
        (Side::Baseline, 1000, 1.0),
        // The other input.
        (Side::Candidate, 1000, 1.0),
        // The candidate's for sure once the first was not, which had 9 in 10.
        (Side::Candidate, 9000, 1.0),
    ];
    assert_eq!(found, want);
}

/// Repeated questions, each bad whoever answers it: the probabilities that the
/// words carry add up to the candidate's words, at any weight.
#[tokio::test]
async fn what_recurs_makes_no_candidate_look_served_too_often() {
    let home = Home::new().await;
    let (mut records, mut said) = (Vec::new(), Vec::new());
    for n in 0..4000_u32 {
        let mut id = [0; 15];
        id[..4].copy_from_slice(&n.to_be_bytes());
        let subject = format!("user-{n}");
        let candidate = domain::routing::bucket("salt", &subject) < 1000;
        let arm = if candidate { Arm::Candidate } else { Arm::Stable };
        let question = (n.wrapping_mul(2_654_435_761) >> 16) as u8 % 50;
        let record = RequestRecord {
            id: RequestId::from_random(id),
            subject,
            input: record(question).input,
            ..tenth(0, arm)
        };
        said.push((at(1000), word(&record, "bad", 1.0)));
        records.push(record);
    }
    home.store.ingest(&batch(1, &records), at(200)).await.unwrap();
    home.store.ingest(&Batch { feedback: said, ..batch(2, &[]) }, at(1000)).await.unwrap();
    let found = words(&home.store).await;
    let candidate = found.iter().filter(|(side, ..)| *side == Side::Candidate).count();
    let expected: f64 = found.iter().map(|(_, share, _)| f64::from(*share) / 10_000.0).sum();
    assert_eq!((found.len(), candidate), (100, 50), "every question by both sides");
    assert!((expected - 50.0).abs() < 12.0, "{expected} against {candidate}");
}

#[tokio::test]
async fn what_comes_late_is_known_late_and_never_before_what_was_judged() {
    let home = Home::new().await;
    let took = 120;
    let one = |n: u8, ms: i64| RequestRecord { at: at(ms - took), ..tenth(n, Arm::Control) };
    let slack = SLACK.millis();
    let ship = async |seq: u64, record: RequestRecord, received: i64| {
        home.store.ingest(&batch(seq, &[record]), at(received)).await.unwrap();
    };
    ship(1, one(1, 1_000), 1_000 + slack).await;
    ship(2, one(2, 1_001), 5_000).await;
    ship(3, one(3, 9_000), 6_000).await;
    let known = async || -> Vec<i64> {
        all(&home.store).await.iter().map(|o| o.place.known.0 - NOW.0).collect()
    };
    assert_eq!(known().await, [1_000, 5_000 - slack, 6_000], "nobody knows of the future");

    let lag = LOOK_LAG.millis();
    assert_eq!(home.store.judge_until(ROLLOUT, at(10_000)).await.unwrap(), at(10_000 - lag));
    assert_eq!(home.store.judge_until(ROLLOUT, at(10_000)).await.unwrap(), at(10_000 - lag));
    // A batch whose clock was read before the look, written after it.
    ship(4, one(4, 7_000), 7_500).await;
    assert_eq!(known().await[3], 10_000 - lag + 1);
    // The clock is set back by an hour: looks go on.
    let back = 10_000 - 3_600_000;
    assert_eq!(home.store.judge_until(ROLLOUT, at(back)).await.unwrap(), at(10_000 - lag));
    ship(5, one(5, back), back + 10).await;
    let later = home.store.judge_until(ROLLOUT, at(back + 1_000)).await.unwrap();
    assert_eq!(later, at(11_000 - lag));
    let judged = home.store.outcomes(ROLLOUT, None, later, 100).await.unwrap();
    assert_eq!(judged.len(), 5, "what came after the clock was set back is judged");
    // And forward again: nothing is judged twice or skipped.
    assert_eq!(home.store.judge_until(ROLLOUT, at(12_000)).await.unwrap(), {
        at((12_000 - lag).max(11_000 - lag + 12_000 - (back + 1_000)))
    });
}

/// The same answers through one gateway and through ten, in any order.
#[tokio::test]
async fn ten_gateways_make_the_sequence_that_one_would() {
    let (one, ten) = (Home::new().await, Home::new().await);
    let records: Vec<RequestRecord> =
        (0..100).map(|n| tenth(n, if n % 7 == 0 { Arm::Candidate } else { Arm::Stable })).collect();
    let said: Vec<_> = records.iter().step_by(3).map(|r| (at(500), word(r, "bad", 1.0))).collect();
    one.store.ingest(&batch(1, &records), at(700)).await.unwrap();
    let last = Batch { feedback: said.clone(), ..batch(2, &[]) };
    one.store.ingest(&last, at(710)).await.unwrap();
    for gateway in (0..10).rev() {
        let of = |n: usize| (n + 3) % 10 == gateway;
        let mine: Vec<_> =
            records.iter().enumerate().filter(|(n, _)| of(*n)).map(|(_, r)| r.clone()).collect();
        let name: GatewayName = format!("gw-{gateway}").parse().unwrap();
        let said = said.iter().enumerate().filter(|(n, _)| of(*n)).map(|(_, w)| w.clone());
        // Words travel with other answers than those they are about.
        let batch = Batch { gateway: name, feedback: said.collect(), ..batch(1, &mine) };
        ten.store.ingest(&batch, at(600 + 30 * gateway as i64)).await.unwrap();
    }
    let (one, ten) = (all(&one.store).await, all(&ten.store).await);
    assert_eq!(one.len(), 134);
    assert_eq!(one, ten);
}

#[tokio::test]
async fn reading_on_from_a_place_reads_every_outcome_once() {
    let home = Home::new().await;
    let records: Vec<RequestRecord> = (0..200)
        .map(|n| RequestRecord { at: at(i64::from(n) / 7), ..tenth(n, Arm::Stable) })
        .collect();
    home.store.ingest(&batch(1, &records), at(500)).await.unwrap();
    let whole = all(&home.store).await;
    assert_eq!(whole.len(), 200);
    assert!(whole.windows(2).all(|two| two[0].place < two[1].place));
    let (mut found, mut after) = (Vec::new(), None);
    for (until, limit) in [(at(125), 7), (at(125), 300), (at(130), 300), (at(130), 9), (EVER, 300)]
    {
        let page = home.store.outcomes(ROLLOUT, after, until, limit).await.unwrap();
        after = page.last().map(|o| o.place).or(after);
        found.extend(page);
    }
    assert_eq!(found, whole);
    assert_eq!(home.store.outcomes(RolloutId(8), None, EVER, 9).await.unwrap(), []);
    let sql = crate::telemetry::outcomes::sql("EXPLAIN QUERY PLAN ", ROLLOUT, after, EVER, 9);
    let plan = plan(home.store.telemetry.readers(), sql.unwrap()).await;
    assert!(plan.contains("PRIMARY KEY") && plan.contains("(known,id)>"), "{plan}");
    assert!(!plan.contains("TEMP B-TREE"), "{plan}");
}

#[tokio::test]
async fn a_flood_is_thinned_by_whole_units_whatever_the_arm() {
    let home = Home::new().await;
    let most = MAX_OUTCOMES_PER_SECOND * RATE_WINDOW.millis().unsigned_abs() / 1000;
    let flood = |first: u32, n: u32| -> Vec<RequestRecord> {
        (first..first + n)
            .map(|n| {
                let mut id = [0; 15];
                id[..4].copy_from_slice(&n.to_be_bytes());
                let subject = format!("user-{}", n % 2000);
                let arm = if n % 2 == 0 { Arm::Candidate } else { Arm::Stable };
                RequestRecord { id: RequestId::from_random(id), subject, ..tenth(0, arm) }
            })
            .collect()
    };
    let window = RATE_WINDOW.millis();
    let start = window - NOW.0.rem_euclid(window);
    let first = home.store.ingest(&batch(1, &flood(0, most as u32)), at(start)).await.unwrap();
    assert_eq!(first.outcomes_thinned, 0);
    let more = home.store.ingest(&batch(2, &flood(10_000, 3_500)), at(start + 1)).await.unwrap();
    assert_eq!(all(&home.store).await.len() as u64, most + 3_500 - more.outcomes_thinned);
    let next = flood(20_000, 4_000);
    home.store.ingest(&batch(3, &next), at(start + window)).await.unwrap();
    let kept: Vec<_> = all(&home.store)
        .await
        .into_iter()
        .filter(|o| o.place.known >= at(start + window - 1000))
        .collect();
    assert!(kept.iter().all(|o| o.halvings == 3), "4 000 before, 500 fit");
    assert!((350..650).contains(&kept.len()), "{}", kept.len());
    let candidates = kept.iter().filter(|o| o.side == Side::Candidate).count();
    assert!((kept.len() * 2 / 5..kept.len() * 3 / 5).contains(&candidates), "{candidates}");
    let units: BTreeSet<u64> = kept.iter().map(|o| o.unit).collect();
    assert_eq!(units.len() * 2, kept.len(), "both answers to each who stays");
    let calm =
        home.store.ingest(&batch(4, &flood(30_000, 10)), at(start + 3 * window)).await.unwrap();
    assert_eq!(calm.outcomes_thinned, 0, "everybody again");
}

#[tokio::test]
async fn outcomes_of_a_rollout_are_forgotten_together() {
    let home = Home::new().await;
    let other = RequestRecord { rollout: Some(RolloutId(8)), ..tenth(2, Arm::Control) };
    home.store.ingest(&batch(1, &[tenth(1, Arm::Control), other]), at(200)).await.unwrap();
    home.store.judge_until(ROLLOUT, at(5_000)).await.unwrap();
    assert_eq!(home.store.forget_outcomes(ROLLOUT).await.unwrap(), 1);
    assert_eq!(home.store.forget_outcomes(ROLLOUT).await.unwrap(), 0);
    assert_eq!(all(&home.store).await, []);
    assert_eq!(home.store.outcomes(RolloutId(8), None, EVER, 9).await.unwrap().len(), 1);
}

/// An answer of a variant of an experiment with the number of [`ROLLOUT`].
fn drawn(n: u8, variant: u8, shares: [u16; 3]) -> RequestRecord {
    let shares = shares.map(Share::from_bp);
    RequestRecord {
        rollout: None,
        arm: Arm::Variant,
        share: shares[usize::from(variant)],
        drawn: Some(Drawn {
            experiment: ExperimentId(ROLLOUT.0),
            name: format!("v{variant}"),
            variant,
            segment: Some(1),
            shares: shares.to_vec(),
        }),
        ..record(n)
    }
}

#[tokio::test]
async fn an_experiments_outcomes_say_what_was_drawn_and_each_request_speaks() {
    let home = Home::new().await;
    let (first, second) = (drawn(1, 2, [5000, 3000, 2000]), drawn(2, 0, [9000, 500, 500]));
    // The same question to two variants: two requests, two words.
    let second = RequestRecord { input: first.input, ..second };
    let say = |record: &RequestRecord, name: &str| (at(120), word(record, name, 1.0));
    let said = vec![say(&first, "accepted"), say(&second, "accepted"), say(&second, "accepted")];
    let sent = Batch { feedback: said, ..batch(1, &[first.clone(), second.clone()]) };
    let done = home.store.ingest(&sent, at(200)).await.unwrap();
    assert_eq!((done.feedback_counted, done.feedback_repeated), (2, 1));
    let kept = all(&home.store).await;
    let words = |o: &KnownOutcome| matches!(o.measured, Measured::Feedback { .. });
    assert_eq!(kept.iter().filter(|o| words(o)).count(), 2);
    for record in [&first, &second] {
        let wanted = record.drawn.clone().unwrap();
        let of: Vec<_> = kept.iter().filter(|o| o.share == record.share).collect();
        assert_eq!(of.len(), 2, "an answer and a word: {kept:?}");
        for outcome in of {
            let drawn = outcome.drawn.clone().unwrap();
            assert_eq!(drawn.variant, wanted.variant);
            assert_eq!((drawn.segment, drawn.shares), (Some(1), wanted.shares.clone()));
            assert_eq!(drawn.cost_nano_usd, record.cost_nano_usd);
        }
    }
    assert!(kept.iter().all(|o| o.pair.is_none()));
}
