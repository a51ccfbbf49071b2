use super::{Home, NOW, plan};
use crate::{Ingested, RequestQuery, Store};
use analysis::cells::Cells;
use analysis::{Batch, Cell, CellKey};
use domain::ids::{Digest, Generation, ReleaseId, RequestId, RolloutId};
use domain::routing::Arm;
use domain::telemetry::{AnswerStatus, RequestRecord};
use domain::units::{Share, Timestamp};

pub(super) const ROLLOUT: RolloutId = RolloutId(7);

/// An answer of the candidate in rollout 7, step 1, at half.
pub(super) fn record(n: u8) -> RequestRecord {
    RequestRecord {
        id: RequestId::from_random([n; 15]),
        at: Timestamp(NOW.0 + i64::from(n)),
        gateway: "gw".parse().unwrap(),
        app: "support".parse().unwrap(),
        release: ReleaseId(Digest::of(b"candidate")),
        arm: Arm::Candidate,
        rollout: Some(ROLLOUT),
        step: 1,
        share: Share::from_bp(5000),
        drawn: None,
        generation: Generation(3),
        bucket: 17,
        subject: format!("hash-of-{n}"),
        tenant: None,
        input: Digest::of(&[n]),
        status: AnswerStatus::Ok,
        error: None,
        fallback: "none".to_owned(),
        streamed: false,
        latency_us: 120_000,
        ttft_us: 40_000,
        retries: 0,
        prompt_tokens: 10,
        completion_tokens: 5,
        cost_nano_usd: 1234,
        schema_failed: None,
        served_model: None,
        prompt: None,
        answer: None,
        preview: None,
    }
}

/// What a gateway makes of these answers.
pub(super) fn batch(seq: u64, records: &[RequestRecord]) -> Batch {
    let mut cells = Cells::default();
    records.iter().for_each(|record| cells.add(record));
    Batch {
        gateway: "gw".parse().unwrap(),
        epoch: u64::MAX,
        seq,
        serving: Generation(3),
        cells: cells.take(),
        records: records.to_vec(),
        feedback: Vec::new(),
        dropped: 0,
    }
}

pub(super) async fn all_cells(store: &Store) -> Vec<(CellKey, Cell)> {
    store.cells(ROLLOUT, i64::MIN, i64::MAX).await.unwrap()
}

async fn total(store: &Store) -> u64 {
    all_cells(store).await.iter().map(|(_, cell)| cell.n).sum()
}

#[tokio::test]
async fn a_batch_delivered_twice_counts_once() {
    let home = Home::new().await;
    let first = batch(1, &[record(1), record(2)]);
    let done = home.store.ingest(&first, NOW).await.unwrap();
    assert_eq!(done, Ingested { cells: 1, records: 2, ..Ingested::default() });
    let again = home.store.ingest(&first, NOW).await.unwrap();
    assert_eq!(again, Ingested { duplicate: true, ..Ingested::default() });
    assert_eq!(total(&home.store).await, 2);

    let next = home.store.ingest(&batch(2, &[record(3)]), NOW).await.unwrap();
    assert_eq!((next.missed, next.records), (0, 1));
    let gap = home.store.ingest(&batch(5, &[]), NOW).await.unwrap();
    assert_eq!((gap.duplicate, gap.missed), (false, 2));
    let old = home.store.ingest(&batch(4, &[record(4)]), NOW).await.unwrap();
    assert!(old.duplicate, "batches of an epoch come in order");
    let restarted = Batch { epoch: 1, ..batch(1, &[record(5)]) };
    assert_eq!(home.store.ingest(&restarted, NOW).await.unwrap().records, 1);
    assert_eq!(total(&home.store).await, 4);
}

#[tokio::test]
async fn cells_of_all_gateways_are_one() {
    let home = Home::new().await;
    let (ours, theirs) = ([record(1), record(2)], [record(3), record(4), record(5)]);
    home.store.ingest(&batch(1, &ours), NOW).await.unwrap();
    let other = Batch { gateway: "gw-2".parse().unwrap(), ..batch(1, &theirs) };
    home.store.ingest(&other, NOW).await.unwrap();

    let mut want = Cells::default();
    ours.iter().chain(&theirs).for_each(|record| want.add(record));
    let stored = all_cells(&home.store).await;
    assert_eq!(stored.iter().cloned().collect::<Cells>(), want);
    assert_eq!(stored.len(), 1, "one second, one key");
    let app = "support".parse().unwrap();
    let second = NOW.second();
    assert_eq!(home.store.app_cells(&app, second, second + 1).await.unwrap(), stored);
    assert_eq!(home.store.app_cells(&app, second + 1, second + 9).await.unwrap(), []);
    assert_eq!(home.store.cells(ROLLOUT, second - 9, second).await.unwrap(), []);
    assert_eq!(home.store.cells(RolloutId(8), 0, i64::MAX).await.unwrap(), []);
}

#[tokio::test]
async fn cells_of_different_keys_stay_apart() {
    let home = Home::new().await;
    let base = record(1);
    let variants = [
        base.clone(),
        RequestRecord { arm: Arm::Control, ..record(2) },
        RequestRecord { step: 2, ..record(3) },
        RequestRecord { share: Share::from_bp(4999), ..record(4) },
        RequestRecord { at: Timestamp(base.at.0 + 1000), ..record(5) },
        RequestRecord { release: ReleaseId(Digest::of(b"x")), ..record(6) },
        RequestRecord { app: "other".parse().unwrap(), ..record(7) },
        RequestRecord { rollout: None, arm: Arm::Stable, ..record(8) },
    ];
    home.store.ingest(&batch(1, &variants), NOW).await.unwrap();
    let stored = all_cells(&home.store).await;
    let keys: std::collections::BTreeSet<CellKey> =
        stored.iter().map(|(key, _)| key.clone()).collect();
    let want = variants[..7].iter().map(CellKey::of).collect();
    assert_eq!(keys, want);
    let app = home.store.app_cells(&base.app, i64::MIN, i64::MAX).await.unwrap();
    assert_eq!(app.len(), 7, "in a rollout or not, of this app");
}

#[tokio::test]
async fn a_request_is_found_with_its_mirrored_copy() {
    let home = Home::new().await;
    let served = RequestRecord { arm: Arm::Control, ..record(1) };
    let mirrored = RequestRecord { arm: Arm::Shadow, ..record(1) };
    home.store.ingest(&batch(1, &[mirrored.clone(), served.clone()]), NOW).await.unwrap();
    let again = home.store.ingest(&batch(2, std::slice::from_ref(&served)), NOW).await.unwrap();
    assert_eq!(again.records, 0, "a record is kept once");
    assert_eq!(home.store.request(&served.id).await.unwrap(), [served, mirrored]);
    assert_eq!(home.store.request(&record(9).id).await.unwrap(), []);
}

#[tokio::test]
async fn requests_are_listed_newest_first_page_by_page() {
    let home = Home::new().await;
    let mut records: Vec<RequestRecord> = (0..50).map(record).collect();
    for record in records.iter_mut().step_by(5) {
        record.arm = Arm::Control;
        record.release = ReleaseId(Digest::of(b"stable"));
    }
    home.store.ingest(&batch(1, &records), NOW).await.unwrap();
    records.reverse();
    type Keep = fn(&RequestRecord) -> bool;
    let all = RequestQuery::default;
    let cases: [(RequestQuery, Keep); 6] = [
        (all(), |_| true),
        (RequestQuery { arm: Some(Arm::Control), ..all() }, |r| r.arm == Arm::Control),
        (RequestQuery { release: Some(ReleaseId(Digest::of(b"candidate"))), ..all() }, |r| {
            r.arm == Arm::Candidate
        }),
        (RequestQuery { since: Some(Timestamp(NOW.0 + 40)), ..all() }, |r| r.at.0 >= NOW.0 + 40),
        (RequestQuery { app: "other".parse().ok(), ..all() }, |_| false),
        (RequestQuery { rollout: Some(ROLLOUT), arm: Some(Arm::Control), ..all() }, |r| {
            r.arm == Arm::Control
        }),
    ];
    for (query, keep) in cases {
        let want: Vec<_> = records.iter().filter(|record| keep(record)).cloned().collect();
        let (mut found, mut cursor) = (Vec::new(), None);
        loop {
            let page = RequestQuery { limit: 7, cursor, ..query.clone() };
            let page = home.store.requests(&page).await.unwrap();
            found.extend(page.items);
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(found, want, "{query:?}");
    }
}

#[tokio::test]
async fn requests_are_found_by_index() {
    let home = Home::new().await;
    let all = RequestQuery::default;
    let app = || "support".parse().ok();
    let release = || Some(ReleaseId(Digest::of(b"x")));
    for (query, index) in [
        (RequestQuery { app: app(), ..all() }, "requests_by_app"),
        (RequestQuery { app: app(), release: release(), ..all() }, "requests_by_release"),
        (
            RequestQuery { rollout: Some(ROLLOUT), arm: Some(Arm::Control), ..all() },
            "requests_by_rollout",
        ),
    ] {
        let plan =
            plan(home.store.telemetry.readers(), query.sql("EXPLAIN QUERY PLAN ").unwrap()).await;
        assert!(plan.contains(index) && !plan.contains("TEMP B-TREE"), "{query:?}: {plan}");
    }
}

#[tokio::test]
async fn old_measurements_are_forgotten() {
    let home = Home::new().await;
    let late = RequestRecord { at: Timestamp(NOW.0 + 10_000), ..record(2) };
    home.store.ingest(&batch(1, &[record(1), late.clone()]), NOW).await.unwrap();
    let before = Timestamp(NOW.0 + 5_000);
    assert_eq!(home.store.prune_requests(before).await.unwrap(), 1);
    assert_eq!(home.store.prune_cells(before).await.unwrap(), 1);
    let left = home.store.requests(&RequestQuery::default()).await.unwrap();
    assert_eq!(left.items.as_slice(), std::slice::from_ref(&late));
    let keys: Vec<_> = all_cells(&home.store).await.into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, [CellKey::of(&late)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_gateways_ship_at_once() {
    let home = Home::new().await;
    let tasks: Vec<_> = (0..10_u8)
        .map(|g| {
            let store = home.store.clone();
            tokio::spawn(async move {
                for seq in 1..=5_u8 {
                    let records: Vec<_> = (0..3).map(|i| record(g * 20 + seq * 3 + i)).collect();
                    let gateway = format!("gw-{g}").parse().unwrap();
                    let batch = Batch { gateway, ..batch(u64::from(seq), &records) };
                    store.ingest(&batch, NOW).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(total(&home.store).await, 150);
}

#[tokio::test]
async fn what_was_used_is_summed_by_day_and_release() {
    let home = Home::new().await;
    let other = ReleaseId(Digest::of(b"other"));
    let first = record(1);
    let day = Timestamp(86_400_000);
    let records = [
        first.clone(),
        record(2),
        RequestRecord { release: other, ..record(3) },
        RequestRecord { at: Timestamp(NOW.0 + day.0), ..record(4) },
        RequestRecord { arm: Arm::Shadow, ..record(5) },
        RequestRecord { arm: Arm::Preview, ..record(6) },
    ];
    home.store.ingest(&batch(1, &records), NOW).await.unwrap();
    let all = home.store.used_by_day(&first.app, 0, i64::MAX).await.unwrap();
    let today = NOW.second().div_euclid(86_400);
    let mut seen: Vec<_> =
        all.iter().map(|d| (d.day - today, d.release == other, d.requests)).collect();
    seen.sort_unstable();
    assert_eq!(seen, [(0, false, 2), (0, true, 1), (1, false, 1)]);
    let ours = all.iter().find(|d| d.requests == 2).unwrap();
    assert_eq!(ours.prompt_tokens, 2 * first.prompt_tokens);
    assert_eq!(ours.answer_tokens, 2 * first.completion_tokens);
    let until = (today + 1) * 86_400;
    assert_eq!(home.store.used_by_day(&first.app, 0, until).await.unwrap().len(), 2);
    let nobody = "nobody".parse().unwrap();
    assert_eq!(home.store.used_by_day(&nobody, 0, i64::MAX).await.unwrap(), []);
}
