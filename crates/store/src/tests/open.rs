use super::{Home, create, doc};
use crate::{OpenError, Store, StoreError};
use std::path::Path;

async fn refused(path: &Path) -> String {
    Store::open(path).await.unwrap_err().to_string()
}

#[tokio::test]
async fn what_was_stored_is_there_after_opening_again() {
    let home = Home::new().await;
    create(&home.store, "a", 1).await.unwrap();
    home.store.close().await.unwrap();
    assert!(!home.directory.path().join("state.db-wal").exists(), "closing leaves tidy files");
    let again = Store::open(home.directory.path()).await.unwrap();
    assert_eq!(doc(&again, "a").await, Some((1, 1)));
    assert!(
        matches!(create(&home.store, "b", 1).await.map(|_| ()), Ok(())),
        "a closed store opens again to write"
    );
}

#[tokio::test]
async fn the_state_survives_the_loss_of_telemetry() {
    let home = Home::new().await;
    create(&home.store, "a", 1).await.unwrap();
    home.store.close().await.unwrap();
    std::fs::remove_file(home.directory.path().join("telemetry.db")).unwrap();
    let again = Store::open(home.directory.path()).await.unwrap();
    assert_eq!(doc(&again, "a").await, Some((1, 1)));
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_left_alone() {
    let home = Home::new().await;
    let mut writing = home.store.state.write().await.unwrap();
    sqlx::query("INSERT INTO tidegate_schema (version) VALUES (99)")
        .execute(writing.connection())
        .await
        .unwrap();
    writing.commit().await.unwrap();
    let error = Store::open(home.directory.path()).await.unwrap_err();
    assert!(matches!(error, OpenError::Newer { found: 99, .. }), "{error:?}");
    assert!(error.to_string().contains("run the newer version"), "{error}");
}

#[tokio::test]
async fn a_migration_that_fails_leaves_the_file_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("x.db");
    let db = crate::db::Db::open(&file, sqlx::sqlite::SqliteSynchronous::Full).await.unwrap();
    let good = "CREATE TABLE one (a INTEGER)";
    crate::migrate::migrate(&db, &file, &[good]).await.unwrap();
    let error = crate::migrate::migrate(
        &db,
        &file,
        &[good, "CREATE TABLE two (a INTEGER); INSERT INTO nowhere VALUES (1)"],
    )
    .await
    .unwrap_err();
    assert!(matches!(error, OpenError::Migration { version: 2, .. }), "{error:?}");
    let tables: Vec<String> = sqlx::query_scalar("SELECT name FROM sqlite_master ORDER BY name")
        .fetch_all(db.readers())
        .await
        .unwrap();
    assert_eq!(tables, ["one", "tidegate_schema"]);
    let third = "CREATE TABLE two (a INTEGER); INSERT INTO two VALUES (1)";
    crate::migrate::migrate(&db, &file, &[good, third]).await.unwrap();
}

#[tokio::test]
async fn other_files_are_recognised() {
    let foreign = tempfile::tempdir().unwrap();
    let file = foreign.path().join("state.db");
    let db = crate::db::Db::open(&file, sqlx::sqlite::SqliteSynchronous::Full).await.unwrap();
    let mut writing = db.write().await.unwrap();
    sqlx::query("CREATE TABLE theirs (a)").execute(writing.connection()).await.unwrap();
    writing.commit().await.unwrap();
    assert!(refused(foreign.path()).await.contains("not one of Tidegate's"));

    let garbage = tempfile::tempdir().unwrap();
    std::fs::write(garbage.path().join("state.db"), vec![b'x'; 5000]).unwrap();
    let text = refused(garbage.path()).await;
    assert!(
        text.contains("damaged") && text.contains("backup") && text.contains("state.db"),
        "{text}"
    );

    let telemetry = tempfile::tempdir().unwrap();
    std::fs::write(telemetry.path().join("telemetry.db"), vec![b'x'; 5000]).unwrap();
    let text = refused(telemetry.path()).await;
    assert!(text.contains("move it away"), "{text}");

    let text = refused(&garbage.path().join("state.db")).await;
    assert!(text.contains("cannot be made"), "{text}");
}

#[tokio::test]
async fn one_controller_at_a_time() {
    let home = Home::new().await;
    let other = Store::open(home.directory.path()).await.unwrap();
    let claim = home.store.claim().unwrap();
    let error = other.claim().unwrap_err();
    assert!(matches!(error, OpenError::InUse { .. }), "{error:?}");
    drop(claim);
    drop(other.claim().unwrap());
}

#[test]
fn result_codes_become_words_with_a_next_step() {
    let pool = StoreError::from(sqlx::Error::PoolTimedOut);
    assert!(pool.to_string().contains("repeat in a moment"), "{pool}");
    let crashed = StoreError::from(sqlx::Error::WorkerCrashed);
    assert!(crashed.to_string().contains("look at the disk"), "{crashed}");
}
