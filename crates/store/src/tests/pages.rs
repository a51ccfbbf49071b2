use super::{Doc, Home, NOW, plan};
use crate::{Cursor, Index, Kind, MAX_PAGE, Query, Store, Tx};
use domain::ids::{AppName, RolloutId};
use std::collections::BTreeSet;

const STATES: [&str; 3] = ["checking", "rolling_out", "live"];

fn app(i: u64) -> AppName {
    format!("app-{}", i % 7).parse().unwrap()
}

async fn fill(store: &Store, kind: Kind, numbers: std::ops::Range<u64>) {
    let mut tx = Tx::new(NOW);
    for i in numbers {
        let index =
            Index::none().app(&app(i)).state(STATES[(i % 3) as usize]).parent(RolloutId(i % 5));
        tx.create(kind, format!("o-{i:05}"), &Doc { n: i }, index);
    }
    store.commit(tx).await.unwrap();
}

/// All numbers of a list, page by page.
async fn walk(store: &Store, query: Query) -> Vec<u64> {
    let (mut numbers, mut cursor) = (Vec::new(), None);
    loop {
        let page = store.list::<Doc>(query.clone().after(cursor)).await.unwrap();
        numbers.extend(page.items.iter().map(|item| item.doc.n));
        let Some(next) = page.next else { return numbers };
        // What a client sends back is text.
        cursor = Some(next.to_string().parse::<Cursor>().unwrap());
    }
}

#[tokio::test]
async fn ten_thousand_objects_are_paged_without_gap_or_repetition() {
    const ALL: u64 = 10_000;
    let home = Home::new().await;
    fill(&home.store, Kind::Change, 0..ALL).await;
    fill(&home.store, Kind::Release, 0..10).await;
    let of = || Query::of(Kind::Change).limit(999);
    let wanted = |keep: &dyn Fn(u64) -> bool| (0..ALL).filter(|i| keep(*i)).collect::<Vec<_>>();
    for (query, want) in [
        (of(), wanted(&|_| true)),
        (of().app(&app(3)), wanted(&|i| i % 7 == 3)),
        (of().state("live"), wanted(&|i| i % 3 == 2)),
        (of().state("live").state("checking"), wanted(&|i| i % 3 != 1)),
        (of().parent(RolloutId(4)).app(&app(0)), wanted(&|i| i % 5 == 4 && i % 7 == 0)),
        (of().app(&app(1)).state("live").parent("ro-0"), wanted(&|i| i % 105 == 50)),
    ] {
        assert_eq!(home.store.count(&query).await.unwrap(), want.len() as u64, "{query:?}");
        assert_eq!(walk(&home.store, query.clone()).await, want, "{query:?}");
        let mut newest = walk(&home.store, query.clone().newest_first()).await;
        newest.reverse();
        assert_eq!(newest, want, "{query:?}, newest first");
    }
}

#[tokio::test]
async fn objects_made_between_two_pages_move_nothing() {
    let home = Home::new().await;
    fill(&home.store, Kind::Change, 0..30).await;
    let newest = Query::of(Kind::Change).newest_first().limit(20);
    let first = home.store.list::<Doc>(newest.clone()).await.unwrap();
    fill(&home.store, Kind::Change, 30..40).await;
    let second = home.store.list::<Doc>(newest.after(first.next)).await.unwrap();
    let seen: Vec<u64> = first.items.iter().chain(&second.items).map(|item| item.doc.n).collect();
    assert_eq!(seen, (0..30).rev().collect::<Vec<_>>());
    assert_eq!(second.next, None);
}

#[tokio::test]
async fn a_page_has_bounds() {
    let home = Home::new().await;
    fill(&home.store, Kind::Change, 0..u64::from(MAX_PAGE) + 5).await;
    for (limit, want) in [(0, 1), (1, 1), (u32::MAX, MAX_PAGE as usize)] {
        let page = home.store.list::<Doc>(Query::of(Kind::Change).limit(limit)).await.unwrap();
        assert_eq!(page.items.len(), want);
        assert!(page.next.is_some());
    }
    assert!("somewhere".parse::<Cursor>().is_err());
}

#[tokio::test]
async fn every_filter_has_its_index() {
    let home = Home::new().await;
    let of = || Query::of(Kind::Change);
    for (query, index) in [
        (of(), "objects_by_kind"),
        (of().app(&app(1)), "objects_by_app"),
        (of().state("live"), "objects_by_state"),
        (of().parent("ro-1"), "objects_by_parent"),
        (of().app(&app(1)).newest_first().after(Some(Cursor(7))), "objects_by_app"),
        (of().app(&app(1)).state("live").newest_first(), "objects_by_app_state"),
    ] {
        let plan = plan(home.store.state.readers(), query.sql("EXPLAIN QUERY PLAN ")).await;
        assert!(plan.contains(&format!("SEARCH objects USING INDEX {index}")), "{query:?}: {plan}");
        assert!(!plan.contains("TEMP B-TREE"), "{query:?} sorts: {plan}");
    }
}

#[tokio::test]
async fn ids_are_found_by_how_they_begin() {
    let home = Home::new().await;
    let mut tx = Tx::new(NOW);
    for id in ["sha256:aa01", "sha256:aa02", "sha256:ab", "sha256:b"] {
        tx.create(Kind::Release, id, &0, Index::none());
    }
    tx.create(Kind::Change, "sha256:aa03", &0, Index::none());
    home.store.commit(tx).await.unwrap();
    let ids =
        async |prefix: &str, limit| home.store.ids(Kind::Release, prefix, limit).await.unwrap();
    assert_eq!(ids("sha256:aa", 9).await, ["sha256:aa01", "sha256:aa02"]);
    assert_eq!(ids("sha256:a", 2).await, ["sha256:aa01", "sha256:aa02"]);
    assert_eq!(ids("sha256:b", 9).await, ["sha256:b"]);
    assert!(ids("sha256:c", 9).await.is_empty());
    let asked = crate::object::ids_sql("EXPLAIN QUERY PLAN ", Kind::Release, "a", 3);
    let plan = plan(home.store.state.readers(), asked).await;
    assert!(plan.contains("SEARCH objects USING COVERING INDEX"), "{plan}");
    assert!(!plan.contains("TEMP B-TREE"), "{plan}");
}

#[tokio::test]
async fn only_the_latest_reports_of_a_rollout_stay() {
    let home = Home::new().await;
    fill(&home.store, Kind::Tick, 0..50).await;
    let ticks = |rollout: u64| Query::of(Kind::Tick).parent(RolloutId(rollout)).newest_first();
    assert_eq!(home.store.prune_ticks(RolloutId(2), 3).await.unwrap(), 7);
    assert_eq!(home.store.prune_ticks(RolloutId(2), 3).await.unwrap(), 0);
    assert_eq!(walk(&home.store, ticks(2)).await, [47, 42, 37]);
    assert_eq!(walk(&home.store, ticks(3)).await.len(), 10, "others are left alone");
    let left: BTreeSet<u64> = walk(&home.store, Query::of(Kind::Tick)).await.into_iter().collect();
    assert_eq!(left.len(), 43);
}

#[tokio::test]
async fn a_token_is_found_by_the_hash_of_its_secret() {
    let home = Home::new().await;
    let hash = domain::ids::Digest::of(b"secret").hex();
    let mut tx = Tx::new(NOW);
    tx.create(Kind::Token, &hash, &Doc { n: 1 }, Index::none().parent("ana"));
    home.store.commit(tx).await.unwrap();
    assert_eq!(home.store.token_by_hash::<Doc>(&hash).await.unwrap().map(|t| t.doc.n), Some(1));
    assert_eq!(home.store.token_by_hash::<Doc>("00").await.unwrap(), None);
}

#[tokio::test]
async fn a_document_of_another_form_is_named() {
    #[derive(Debug, serde::Deserialize)]
    struct Other {
        #[expect(dead_code, reason = "only its absence matters")]
        missing: String,
    }
    let home = Home::new().await;
    fill(&home.store, Kind::Change, 0..1).await;
    let error = home.store.get::<Other>(Kind::Change, "o-00000").await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("change `o-00000`") && text.contains("another version"), "{text}");
    let error = home.store.get::<Vec<String>>(Kind::Change, "o-00000").await.unwrap_err();
    assert!(!error.to_string().contains("map"), "no content and no type names: {error}");
}
