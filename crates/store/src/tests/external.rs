//! Samples of external signals.

use super::*;
use domain::external::{ExternalSample, Read};
use domain::ids::RolloutId;

fn sample(signal: &str, at: i64, read: Read) -> ExternalSample {
    ExternalSample { signal: signal.to_owned(), at: Timestamp(at), candidate: read, control: None }
}

#[tokio::test]
async fn samples_come_back_in_order_of_time_and_the_first_word_stands() {
    let home = Home::new().await;
    let store = &home.store;
    let (one, other) = (RolloutId(1), RolloutId(2));
    for (rollout, sample) in [
        (one, sample("csat", 200, Read::Empty)),
        (one, sample("csat", 100, Read::Number(4.5))),
        (one, sample("csat", 100, Read::Number(1.0))),
        (one, sample("drift", 150, Read::NotANumber)),
        (other, sample("csat", 150, Read::Failed("away".to_owned()))),
    ] {
        store.add_external(rollout, &sample).await.unwrap();
    }
    let read = |until| store.external(one, "csat", Timestamp(until));
    assert_eq!(
        read(300).await.unwrap(),
        [sample("csat", 100, Read::Number(4.5)), sample("csat", 200, Read::Empty)]
    );
    assert_eq!(read(199).await.unwrap().len(), 1);
    assert_eq!(store.prune_external(Timestamp(200)).await.unwrap(), 3);
    assert_eq!(read(300).await.unwrap(), [sample("csat", 200, Read::Empty)]);
}

#[tokio::test]
async fn a_look_reads_the_newest_of_many() {
    let home = Home::new().await;
    let store = &home.store;
    for at in 0..1_010 {
        store.add_external(RolloutId(1), &sample("csat", at, Read::Empty)).await.unwrap();
    }
    let read = store.external(RolloutId(1), "csat", Timestamp(i64::MAX)).await.unwrap();
    assert_eq!((read.len(), read[0].at, read[999].at), (1_000, Timestamp(10), Timestamp(1_009)));
}
