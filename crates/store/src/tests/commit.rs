use super::{Doc, Home, NOW, create, doc, entry};
use crate::{CommitError, Index, Kind, NewEffect, Store, StoreError, Tx};
use domain::ids::{Digest, Generation};
use serde_json::json;
use std::future::poll_fn;
use std::task::Poll;

/// Everything a transaction can hold, on top of an object of generation 1.
fn everything(blob: &[u8]) -> Tx {
    let mut tx = Tx::new(NOW);
    tx.create(Kind::Change, "ch-1", &Doc { n: 1 }, Index::none())
        .update(Kind::Meta, "a", Generation(1), &Doc { n: 2 }, Index::none())
        .audit(entry("a.changed", "meta/a"))
        .audit(entry("change.created", "change/ch-1"))
        .effect(NewEffect::new("k", "push", json!({"x": 1})));
    tx.insert_blob(blob.to_vec());
    tx
}

/// What there is of [`everything`]: all or nothing, or this fails.
async fn all_or_nothing(store: &Store, blob: &[u8]) -> bool {
    let seen = [
        store.get::<Doc>(Kind::Change, "ch-1").await.unwrap().is_some(),
        doc(store, "a").await == Some((2, 2)),
        store.log_size().await.unwrap() == 3,
        store.effect("k").await.unwrap().is_some(),
        store.has_blob(&Digest::of(blob)).await.unwrap(),
    ];
    assert!(seen.iter().all(|part| *part == seen[0]), "a part of a transaction: {seen:?}");
    if !seen[0] {
        assert_eq!(store.log_size().await.unwrap(), 1);
        assert_eq!(doc(store, "a").await, Some((1, 1)));
    }
    seen[0]
}

#[tokio::test]
async fn a_transaction_happens_whole() {
    let home = Home::new().await;
    create(&home.store, "a", 1).await.unwrap();
    let mut commits = home.store.subscribe();
    let done = home.store.commit(everything(b"blob")).await.unwrap();
    assert!(all_or_nothing(&home.store, b"blob").await);
    assert!(commits.has_changed().unwrap());
    commits.mark_unchanged();
    assert_eq!(done.entries, 1..3);
    assert_eq!(done.generation(Kind::Meta, "a"), Some(Generation(2)));
    assert_eq!(done.new_effects, 1);
    assert_eq!(done.log_root, home.store.log_root(3).await.unwrap());
}

#[tokio::test]
async fn a_conflict_names_both_generations_and_leaves_nothing() {
    let home = Home::new().await;
    create(&home.store, "a", 1).await.unwrap();
    let mut tx = everything(b"blob");
    tx.update(Kind::Meta, "a", Generation(7), &Doc { n: 9 }, Index::none());
    let error = home.store.commit(tx).await.unwrap_err();
    assert!(
        matches!(
            error,
            CommitError::Conflict {
                kind: Kind::Meta,
                expected: Some(Generation(7)),
                actual: Some(Generation(2)),
                ..
            }
        ),
        "{error:?}"
    );
    assert!(error.to_string().contains("expected generation 7, found 2"), "{error}");
    assert!(!all_or_nothing(&home.store, b"blob").await);
}

#[tokio::test]
async fn what_is_there_is_not_created_and_what_is_not_there_is_not_changed() {
    let home = Home::new().await;
    create(&home.store, "a", 1).await.unwrap();
    let again = create(&home.store, "a", 2).await.unwrap_err();
    assert_eq!(again.to_string(), "the meta `a` exists already");
    let mut tx = Tx::new(NOW);
    tx.update(Kind::Meta, "b", Generation(1), &Doc { n: 1 }, Index::none());
    let absent = home.store.commit(tx).await.unwrap_err();
    assert_eq!(absent.to_string(), "the meta `b` does not exist");
    let mut tx = Tx::new(NOW);
    tx.delete(Kind::Meta, "a", Generation(3));
    assert!(matches!(home.store.commit(tx).await, Err(CommitError::Conflict { .. })));
    assert_eq!(doc(&home.store, "a").await, Some((1, 1)));
}

#[tokio::test]
async fn a_decision_holds_only_while_what_it_was_based_on_does() {
    let home = Home::new().await;
    create(&home.store, "a", 1).await.unwrap();
    for (expected, holds) in
        [(Some(Generation(1)), true), (None, false), (Some(Generation(2)), false)]
    {
        let mut tx = Tx::new(NOW);
        tx.expect(Kind::Meta, "a", expected).put(Kind::Meta, "seen", &Doc { n: 1 }, Index::none());
        assert_eq!(home.store.commit(tx).await.is_ok(), holds, "{expected:?}");
    }
    assert_eq!(doc(&home.store, "seen").await, Some((1, 1)));
    assert_eq!(doc(&home.store, "a").await, Some((1, 1)), "looking at it is no write");
}

#[tokio::test]
async fn a_name_that_comes_back_goes_on_counting() {
    let home = Home::new().await;
    create(&home.store, "a", 1).await.unwrap();
    let mut tx = Tx::new(NOW);
    tx.update(Kind::Meta, "a", Generation(1), &Doc { n: 2 }, Index::none()).delete(
        Kind::Meta,
        "a",
        Generation(2),
    );
    home.store.commit(tx).await.unwrap();
    assert_eq!(doc(&home.store, "a").await, None);
    create(&home.store, "a", 3).await.unwrap();
    assert_eq!(doc(&home.store, "a").await, Some((3, 3)), "a generation is never used twice");
}

#[tokio::test]
async fn an_entry_that_cannot_be_a_leaf_stops_the_command() {
    let home = Home::new().await;
    for (details, says) in [
        (json!("x".repeat(70_000)), "store the large part as a blob"),
        (json!({"n": u64::MAX}), "write it as text"),
    ] {
        let mut tx = Tx::new(NOW);
        tx.create(Kind::Meta, "a", &Doc { n: 1 }, Index::none());
        tx.audit(domain::audit::Entry { details, ..entry("a.b", "c") });
        let error = home.store.commit(tx).await.unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
        assert_eq!(doc(&home.store, "a").await, None);
    }
}

/// Drops the commit after so many polls; false if it got through before. Every
/// poll is an answer of the database.
async fn dropped_after(polls: u32, store: &Store) -> bool {
    let mut commit = Box::pin(store.commit(everything(b"blob")));
    let mut seen = 0;
    let outcome = poll_fn(|context| {
        if seen == polls {
            return Poll::Ready(None);
        }
        seen += 1;
        commit.as_mut().poll(context).map(Some)
    })
    .await;
    outcome.map(Result::unwrap).is_none()
}

#[tokio::test]
async fn a_commit_dropped_anywhere_is_whole_or_absent() {
    const ROUNDS: u32 = 10;
    let mut dropped = 0;
    // How many polls a commit takes depends on who is faster, so several rounds
    // drop at different places.
    for _ in 0..ROUNDS {
        let home = Home::new().await;
        create(&home.store, "a", 1).await.unwrap();
        for polls in 1.. {
            let through = !dropped_after(polls, &home.store).await;
            dropped += u32::from(!through);
            // Whoever has the turn to write finds nobody else at work.
            home.store.state.write().await.unwrap().roll_back().await.unwrap();
            let whole = all_or_nothing(&home.store, b"blob").await;
            assert!(whole || !through, "acknowledged and not there");
            // It may also be dropped between being durable and being told so.
            if whole {
                break;
            }
        }
    }
    assert!(dropped >= ROUNDS, "dropped {dropped} times only");
}

#[tokio::test]
async fn a_full_disk_changes_nothing_and_is_survived() {
    let home = Home::new().await;
    create(&home.store, "a", 1).await.unwrap();
    end_the_disk_here(&home.store).await;
    let blob = vec![7; 1 << 20];
    let error = home.store.commit(everything(&blob)).await.unwrap_err();
    assert!(matches!(error, CommitError::Store(StoreError::Full)), "{error:?}");
    assert!(error.to_string().contains("free some space"), "{error}");
    assert!(!all_or_nothing(&home.store, &blob).await);
    // The connection was closed with its limit; the next one has none.
    home.store.commit(everything(&blob)).await.unwrap();
    assert!(all_or_nothing(&home.store, &blob).await);
}

/// Makes the writing connection believe that the disk ends here.
async fn end_the_disk_here(store: &Store) {
    let mut writing = store.state.write().await.unwrap();
    sqlx::query("PRAGMA max_page_count = 1").fetch_all(writing.connection()).await.unwrap();
    writing.commit().await.unwrap();
}

#[tokio::test]
async fn readers_cannot_write() {
    let home = Home::new().await;
    let error = sqlx::query("DELETE FROM objects").execute(home.store.state.readers()).await;
    let error = StoreError::from(error.unwrap_err());
    assert!(matches!(error, StoreError::ReadOnly(_)), "{error:?}");
}

/// Adds one to a counter as a command would: read, decide, commit, and read
/// again after a conflict. Says how often it had to.
async fn add_one(store: &Store) -> u64 {
    for conflicts in 0.. {
        let now = store.get::<Doc>(Kind::Meta, "counter").await.unwrap().unwrap();
        let mut tx = Tx::new(NOW);
        let next = Doc { n: now.doc.n + 1 };
        tx.update(Kind::Meta, "counter", now.generation, &next, Index::none())
            .audit(entry("counter.added", "meta/counter"));
        match store.commit(tx).await {
            Ok(_) => return conflicts,
            Err(CommitError::Conflict { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
    unreachable!("the loop has no end")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_writers_lose_no_update_and_never_find_the_database_locked() {
    const WRITERS: u64 = 12;
    const EACH: u64 = 10;
    let home = Home::new().await;
    create(&home.store, "counter", 0).await.unwrap();
    // A second handle on the same files stands for another process.
    let other = Store::open(home.directory.path()).await.unwrap();
    let tasks: Vec<_> = (0..WRITERS)
        .map(|i| {
            let store = if i % 4 == 0 { other.clone() } else { home.store.clone() };
            tokio::spawn(async move {
                let mut numbers = Vec::new();
                for _ in 0..EACH {
                    add_one(&store).await;
                    numbers.push(store.allocate("change").await.unwrap());
                }
                numbers
            })
        })
        .collect();
    let mut numbers = Vec::new();
    for task in tasks {
        let given = task.await.unwrap();
        assert!(given.is_sorted(), "numbers grow: {given:?}");
        numbers.extend(given);
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=WRITERS * EACH).collect::<Vec<_>>(), "each number given once");
    let total = WRITERS * EACH;
    assert_eq!(doc(&home.store, "counter").await, Some((total + 1, total)));
    assert_eq!(home.store.log_size().await.unwrap(), total + 1);
}

#[tokio::test]
async fn blobs_are_what_their_digest_says() {
    let home = Home::new().await;
    let digest = home.store.put_blob(b"bytes").await.unwrap();
    assert_eq!(home.store.put_blob(b"bytes").await.unwrap(), digest);
    assert_eq!(home.store.get_blob(&digest).await.unwrap().as_deref(), Some(&b"bytes"[..]));
    assert_eq!(home.store.get_blob(&Digest::of(b"other")).await.unwrap(), None);
    let mut writing = home.store.state.write().await.unwrap();
    sqlx::query("UPDATE blobs SET bytes = x'00'").execute(writing.connection()).await.unwrap();
    writing.commit().await.unwrap();
    assert!(matches!(home.store.get_blob(&digest).await, Err(StoreError::Corrupt(_))));
}
