use super::{Doc, Home, NOW};
use crate::{CommitError, Index, Kind, NewEffect, Store, Tx};
use domain::units::Timestamp;
use serde_json::json;

async fn enqueue(store: &Store, effects: &[NewEffect]) -> u64 {
    let mut tx = Tx::new(NOW);
    for effect in effects {
        tx.effect(effect.clone());
    }
    store.commit(tx).await.unwrap().new_effects
}

async fn due(store: &Store, now: Timestamp) -> Vec<String> {
    let effects = store.due_effects("x", now, 100).await.unwrap();
    effects.into_iter().map(|effect| effect.key).collect()
}

#[tokio::test]
async fn an_effect_is_enqueued_once_for_ever() {
    let home = Home::new().await;
    let effect = NewEffect::new("merge/ch-1", "x", json!({"branch": "b"}));
    assert_eq!(enqueue(&home.store, &[effect.clone(), effect.clone()]).await, 1);
    let found = home.store.due_effects("x", NOW, 10).await.unwrap();
    let [one] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((one.kind.as_str(), &one.payload), ("x", &json!({"branch": "b"})));

    let mut tx = Tx::new(NOW);
    tx.effect_done(one.id).create(Kind::Meta, "merged", &Doc { n: 1 }, Index::none());
    home.store.commit(tx).await.unwrap();
    assert_eq!(due(&home.store, NOW).await, Vec::<String>::new());
    assert_eq!(enqueue(&home.store, &[effect]).await, 0, "done is done");
    assert_eq!(home.store.effect("merge/ch-1").await.unwrap().unwrap().done_at, Some(NOW));
}

#[tokio::test]
async fn an_effect_done_twice_is_recorded_once() {
    let home = Home::new().await;
    enqueue(&home.store, &[NewEffect::new("k", "x", json!(null))]).await;
    let id = home.store.due_effects("x", NOW, 1).await.unwrap()[0].id;
    for (object, recorded) in [("first", true), ("second", false)] {
        let mut tx = Tx::new(NOW);
        tx.effect_done(id).create(Kind::Meta, object, &Doc { n: 1 }, Index::none());
        let outcome = home.store.commit(tx).await;
        assert_eq!(outcome.is_ok(), recorded);
        if let Err(error) = outcome {
            assert!(matches!(error, CommitError::EffectNotPending { .. }), "{error:?}");
        }
    }
    assert_eq!(home.store.get::<Doc>(Kind::Meta, "second").await.unwrap(), None);
}

#[tokio::test]
async fn a_failed_effect_waits_and_keeps_its_story() {
    let home = Home::new().await;
    let later = Timestamp(NOW.0 + 1000);
    let effects = [
        NewEffect::new("a", "x", json!(1)),
        NewEffect::new("b", "x", json!(2)).not_before(later),
        NewEffect::new("c", "x", json!(3)),
        NewEffect::new("d", "another", json!(4)),
    ];
    enqueue(&home.store, &effects).await;
    assert_eq!(due(&home.store, NOW).await, ["a", "c"]);
    assert_eq!(due(&home.store, later).await, ["a", "b", "c"], "in the order they were enqueued");

    let a = home.store.effect("a").await.unwrap().unwrap();
    home.store.effect_failed(a.id, Timestamp(later.0 + 1), "remote hung up").await.unwrap();
    home.store.effect_failed(a.id, Timestamp(later.0 + 1), &"é".repeat(5000)).await.unwrap();
    assert_eq!(due(&home.store, later).await, ["b", "c"]);
    let a = home.store.effect("a").await.unwrap().unwrap();
    assert_eq!(a.attempts, 2);
    assert_eq!(a.error.map(|text| text.chars().count()), Some(2000));
    assert_eq!(home.store.next_effect_at("x").await.unwrap(), Some(Timestamp(0)));

    let mut tx = Tx::new(NOW);
    for effect in home.store.due_effects("x", Timestamp(i64::MAX), 10).await.unwrap() {
        tx.effect_done(effect.id);
    }
    home.store.commit(tx).await.unwrap();
    assert_eq!(home.store.next_effect_at("x").await.unwrap(), None);
    home.store.effect_failed(a.id, NOW, "too late").await.unwrap();
    assert_eq!(home.store.effect("a").await.unwrap().unwrap().attempts, 2);
}
