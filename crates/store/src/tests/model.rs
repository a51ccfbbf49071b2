//! Any sequence of transactions leaves the store as the obvious model of it.

use super::{Doc, Home, NOW, entry};
use crate::{CommitError, Index, Kind, Query, Store, Tx};
use domain::ids::Generation;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Of each name: the last generation ever, and the present number if it exists.
type Model = BTreeMap<u8, (u64, Option<u64>)>;

/// What is done to one name. Generations are given relative to the right one,
/// so that most writes fit and some do not.
#[derive(Debug, Clone)]
enum Op {
    Create(u64),
    Update(u64, u64),
    Put(u64),
    Delete(u64),
    Expect(u64),
    ExpectNone,
}

fn op() -> impl Strategy<Value = Op> {
    let off = || prop_oneof![9 => Just(0_u64), 1 => Just(1_u64)];
    let n = || 0..100_u64;
    prop_oneof![
        4 => n().prop_map(Op::Create),
        4 => (off(), n()).prop_map(|(off, n)| Op::Update(off, n)),
        1 => n().prop_map(Op::Put),
        2 => off().prop_map(Op::Delete),
        1 => off().prop_map(Op::Expect),
        1 => Just(Op::ExpectNone),
    ]
}

/// Does it to the model; false if the store must refuse.
fn apply(model: &mut Model, name: u8, op: &Op) -> bool {
    let (last, present) = model.entry(name).or_default();
    let next = match (op, *present) {
        (Op::Create(n), None) | (Op::Put(n), _) | (Op::Update(0, n), Some(_)) => Some(*n),
        (Op::Delete(0), Some(_)) => {
            *present = None;
            return true;
        }
        (Op::Expect(0), Some(_)) | (Op::ExpectNone, None) => return true,
        _ => return false,
    };
    *last += 1;
    *present = next;
    true
}

fn put_in(tx: &mut Tx, name: u8, op: &Op, last: u64) {
    let index = Index::none;
    let at = |off: u64| Generation(last + off);
    match op {
        Op::Create(n) => tx.create(Kind::Meta, name, &Doc { n: *n }, index()),
        Op::Update(off, n) => tx.update(Kind::Meta, name, at(*off), &Doc { n: *n }, index()),
        Op::Put(n) => tx.put(Kind::Meta, name, &Doc { n: *n }, index()),
        Op::Delete(off) => tx.delete(Kind::Meta, name, at(*off)),
        Op::Expect(off) => tx.expect(Kind::Meta, name, Some(at(*off))),
        Op::ExpectNone => tx.expect(Kind::Meta, name, None),
    };
}

async fn stored(store: &Store) -> BTreeMap<u8, (u64, u64)> {
    let page = store.list::<Doc>(Query::of(Kind::Meta)).await.unwrap();
    page.items
        .into_iter()
        .map(|item| (item.id.parse().unwrap(), (item.generation.0, item.doc.n)))
        .collect()
}

async fn check(transactions: Vec<Vec<(u8, Op)>>) {
    let home = Home::new().await;
    let (mut model, mut log) = (Model::new(), 0);
    for ops in transactions {
        let mut tx = Tx::new(NOW);
        let mut after = model.clone();
        let mut fits = true;
        for (name, op) in &ops {
            put_in(&mut tx, *name, op, after.get(name).map_or(0, |(last, _)| *last));
            fits = fits && apply(&mut after, *name, op);
        }
        tx.audit(entry("model.changed", "model"));
        match home.store.commit(tx).await {
            Ok(done) => {
                assert!(fits, "accepted {ops:?}");
                model = after;
                log += 1;
                assert_eq!(done.log_size, log);
            }
            Err(CommitError::Conflict { .. }) => assert!(!fits, "refused {ops:?}"),
            Err(other) => panic!("{other}"),
        }
        let want =
            model.iter().filter_map(|(name, (last, n))| Some((*name, (*last, (*n)?)))).collect();
        assert_eq!(stored(&home.store).await, want, "after {ops:?}");
        assert_eq!(home.store.log_size().await.unwrap(), log);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn transactions_do_what_the_model_says(
        transactions in prop::collection::vec(prop::collection::vec((0..3_u8, op()), 1..4), 1..15)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(check(transactions));
    }
}
