use super::{Home, NOW, entry, plan};
use crate::{AuditQuery, LogError, Store, Tx};
use domain::audit::{Actor, Entry};
use domain::merkle::{self, Hash, TileKind, leaf_hash, node_hash, tiles};
use domain::units::Timestamp;
use tlog_tiles::{Hash as TheirHash, check_record, check_tree};

/// RFC 9162 section 2.1.1, word for word: the slow way to a root.
fn naive_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => merkle::empty_root(),
        [leaf] => *leaf,
        _ => {
            let split = leaves.len().next_power_of_two() / 2;
            node_hash(&naive_root(&leaves[..split]), &naive_root(&leaves[split..]))
        }
    }
}

fn theirs(proof: Vec<Hash>) -> Vec<TheirHash> {
    proof.into_iter().map(TheirHash).collect()
}

/// Appends so many entries, in transactions of 0, 1, 2, … entries.
async fn grow(store: &Store, entries: u64) {
    let (mut next, mut size) = (0, 0);
    while next < entries {
        let mut tx = Tx::new(NOW);
        for _ in 0..size {
            if next < entries {
                tx.audit(entry(&format!("n.{next}"), "test"));
                next += 1;
            }
        }
        let done = store.commit(tx).await.unwrap();
        assert_eq!((done.log_size, done.entries.end), (next, next));
        size += 1;
    }
}

async fn leaves(store: &Store) -> Vec<Hash> {
    let mut leaves = Vec::new();
    loop {
        let found = store.log_entries(leaves.len() as u64, 777).await.unwrap();
        if found.is_empty() {
            return leaves;
        }
        for entry in found {
            assert_eq!(entry.index, leaves.len() as u64);
            leaves.push(leaf_hash(&entry.bytes));
        }
    }
}

#[tokio::test]
async fn three_thousand_entries_hash_to_what_the_standard_says() {
    const SIZE: u64 = 3000;
    let home = Home::new().await;
    grow(&home.store, SIZE).await;
    assert_eq!(home.store.log_size().await.unwrap(), SIZE);
    let leaves = leaves(&home.store).await;
    assert_eq!(leaves.len() as u64, SIZE);
    let root = home.store.log_root(SIZE).await.unwrap();
    for size in [0, 1, 2, 3, 255, 256, 257, 1023, 1024, 2047, 2999, SIZE] {
        let old = home.store.log_root(size).await.unwrap();
        assert_eq!(old, naive_root(&leaves[..size as usize]), "root of {size}");
        let proof = home.store.consistency(size, SIZE).await.unwrap();
        assert!(merkle::verify_consistency(size, &old, SIZE, &root, &proof), "{size} → {SIZE}");
        if size > 0 {
            check_tree(&theirs(proof), SIZE, TheirHash(root), size, TheirHash(old)).unwrap();
            let at = size - 1;
            let proof = home.store.inclusion(at, size).await.unwrap();
            assert!(merkle::verify_inclusion(&leaves[at as usize], at, size, &proof, &old));
        }
    }
    for index in (0..SIZE).step_by(97) {
        let proof = home.store.inclusion(index, SIZE).await.unwrap();
        let leaf = TheirHash(leaves[index as usize]);
        check_record(&theirs(proof), SIZE, TheirHash(root), index, leaf).unwrap();
    }
}

#[tokio::test]
async fn the_tiles_hold_the_whole_log() {
    let home = Home::new().await;
    grow(&home.store, 600).await;
    let leaves = leaves(&home.store).await;
    let mut from_bundles = Vec::new();
    for tile in tiles(600) {
        match tile.kind {
            TileKind::Entries => {
                let bundle = home.store.log_bundle(tile.index, tile.width).await.unwrap().unwrap();
                let entries = merkle::parse_entry_bundle(&bundle).unwrap();
                from_bundles.extend(entries.into_iter().map(leaf_hash));
            }
            TileKind::Hashes { level } => {
                let bytes =
                    home.store.log_tile(level, tile.index, tile.width).await.unwrap().unwrap();
                let want: Vec<Hash> = tile
                    .nodes()
                    .iter()
                    .map(|node| {
                        let (low, span) = ((node.index << node.level) as usize, 1 << node.level);
                        naive_root(&leaves[low..low + span])
                    })
                    .collect();
                assert_eq!(bytes, want.concat(), "{tile}");
            }
        }
    }
    assert_eq!(from_bundles, leaves);
    for (level, index, width) in
        [(0, 2, 89), (0, 3, 1), (1, 0, 3), (0, 0, 0), (0, 0, 257), (9, 0, 1)]
    {
        assert_eq!(
            home.store.log_tile(level, index, width).await.unwrap(),
            None,
            "{level}/{index}"
        );
    }
    assert_eq!(home.store.log_bundle(u64::MAX, 256).await.unwrap(), None);
    assert_eq!(home.store.log_bundle(2, 89).await.unwrap(), None);
}

#[tokio::test]
async fn what_cannot_be_proven_is_said() {
    let home = Home::new().await;
    grow(&home.store, 3).await;
    let error = home.store.inclusion(3, 3).await.unwrap_err();
    assert_eq!(error.to_string(), "entry 3 is not in a log of 3");
    let error = home.store.log_root(4).await.unwrap_err();
    assert_eq!(error.to_string(), "the audit log has 3 entries, not 4");
    assert!(matches!(home.store.consistency(3, 2).await, Err(LogError::NotProvable(_))));
}

#[tokio::test]
async fn only_what_is_durable_is_signed() {
    let home = Home::new().await;
    grow(&home.store, 5).await;
    let root = home.store.log_root(3).await.unwrap();
    home.store.save_checkpoint(3, &root, "three", NOW).await.unwrap();
    let other = home.store.save_checkpoint(4, &root, "four", NOW).await.unwrap_err();
    assert!(matches!(other, LogError::OtherRoot { size: 4 }), "{other:?}");
    let beyond = home.store.save_checkpoint(6, &root, "six", NOW).await.unwrap_err();
    assert!(matches!(beyond, LogError::NotThatLong { size: 6, have: 5 }), "{beyond:?}");
    let saved = home.store.checkpoint().await.unwrap().unwrap();
    assert_eq!((saved.size, saved.root, saved.note.as_str()), (3, root, "three"));
    let root = home.store.log_root(5).await.unwrap();
    home.store.save_checkpoint(5, &root, "five", NOW).await.unwrap();
    home.store.save_checkpoint(5, &root, "five, later", NOW).await.unwrap();
    assert_eq!(home.store.checkpoint().await.unwrap().unwrap().note, "five, later");
}

#[tokio::test]
async fn entries_and_hashes_are_neither_changed_nor_taken_out() {
    let home = Home::new().await;
    grow(&home.store, 3).await;
    for sql in [
        "UPDATE log_entries SET action = 'x' WHERE idx = 1",
        "DELETE FROM log_entries WHERE idx = 2",
        "UPDATE log_hashes SET hash = x'00'",
        "DELETE FROM log_hashes",
    ] {
        let mut writing = home.store.state.write().await.unwrap();
        let error = sqlx::query(sql).execute(writing.connection()).await.unwrap_err();
        assert!(error.to_string().contains("append-only"), "{sql}: {error}");
    }
}

#[tokio::test]
async fn a_log_whose_hashes_were_tampered_with_is_not_grown() {
    let home = Home::new().await;
    grow(&home.store, 3).await;
    let mut writing = home.store.state.write().await.unwrap();
    sqlx::query("UPDATE log_state SET root = zeroblob(32)")
        .execute(writing.connection())
        .await
        .unwrap();
    writing.commit().await.unwrap();
    let mut tx = Tx::new(NOW);
    tx.audit(entry("x", "y"));
    let error = home.store.commit(tx).await.unwrap_err();
    assert!(error.to_string().contains("damaged"), "{error}");
    assert_eq!(home.store.log_size().await.unwrap(), 3);
}

async fn actions(store: &Store, query: AuditQuery) -> Vec<String> {
    let page = store.audit(&query).await.unwrap();
    page.items.iter().map(|found| found.entry().unwrap().action).collect()
}

fn at(action: &str, at: i64, actor: Actor, app: &str) -> Entry {
    Entry {
        at: Timestamp(at),
        actor,
        app: app.parse().ok(),
        ..entry(action, &format!("app/{app}"))
    }
}

#[tokio::test]
async fn entries_are_found_by_who_what_where_and_when() {
    let home = Home::new().await;
    let ana = Actor::Person("ana".parse().unwrap());
    let mut tx = Tx::new(NOW);
    tx.audit(at("a", 10, ana.clone(), "one"))
        .audit(at("b", 20, Actor::Controller, "one"))
        .audit(at("c", 30, ana.clone(), "two"))
        .audit(at("a", 40, Actor::System, "two"));
    home.store.commit(tx).await.unwrap();
    let all = AuditQuery::default;
    for (query, want) in [
        (all(), vec!["a", "c", "b", "a"]),
        (AuditQuery { oldest_first: true, ..all() }, vec!["a", "b", "c", "a"]),
        (AuditQuery { actor: Some(ana.clone()), ..all() }, vec!["c", "a"]),
        (AuditQuery { app: "one".parse().ok(), ..all() }, vec!["b", "a"]),
        (AuditQuery { action: Some("a".to_owned()), ..all() }, vec!["a", "a"]),
        (AuditQuery { object: Some("app/two".to_owned()), actor: Some(ana), ..all() }, vec!["c"]),
        (
            AuditQuery { since: Some(Timestamp(20)), until: Some(Timestamp(40)), ..all() },
            vec!["c", "b"],
        ),
    ] {
        assert_eq!(actions(&home.store, query.clone()).await, want, "{query:?}");
    }
    let first = home.store.audit(&AuditQuery { limit: 3, ..all() }).await.unwrap();
    let rest = AuditQuery { limit: 3, cursor: first.next, ..all() };
    assert_eq!(first.items.len(), 3);
    assert_eq!(actions(&home.store, rest).await, ["a"]);
}

#[tokio::test]
async fn entries_are_found_by_index() {
    let home = Home::new().await;
    let all = AuditQuery::default;
    for (query, index) in [
        (AuditQuery { app: "one".parse().ok(), ..all() }, "log_by_app"),
        (AuditQuery { actor: Some(Actor::Controller), ..all() }, "log_by_actor"),
        (AuditQuery { action: Some("a".to_owned()), ..all() }, "log_by_action"),
        (AuditQuery { object: Some("a".to_owned()), ..all() }, "log_by_object"),
    ] {
        let plan = plan(home.store.state.readers(), query.sql("EXPLAIN QUERY PLAN ")).await;
        assert!(plan.contains(index) && !plan.contains("TEMP B-TREE"), "{plan}");
    }
}
