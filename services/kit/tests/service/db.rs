//! The database: its clock, its lock, its write transactions, on SQLite and on Postgres.

use std::time::Duration;

use kit::{
    clock::{Clock, Timestamp},
    db::{self, DatabaseUrl, Db},
    testing::Postgres,
};
use sea_orm::{ConnectionTrait as _, FromQueryResult, Statement};

#[derive(Debug, FromQueryResult)]
struct Number {
    number: i64,
}

async fn number(db: &Db, sql: &str) -> i64 {
    let statement = Statement::from_string(db.backend(), sql);
    Number::find_by_statement(statement)
        .one(db.reader())
        .await
        .unwrap()
        .unwrap()
        .number
}

async fn sqlite(folder: &tempfile::TempDir, clock: Clock) -> Db {
    Db::connect(&url(folder), clock).await.unwrap()
}

fn url(folder: &tempfile::TempDir) -> DatabaseUrl {
    format!("sqlite:{}", folder.path().join("test.db").display())
        .parse()
        .unwrap()
}

#[tokio::test]
async fn i12_now_is_the_databases_clock_and_the_injected_offset() {
    let folder = kit::testing::folder();
    let clock = Clock::default();
    let mut dbs = vec![sqlite(&folder, clock.clone()).await];
    let postgres = Postgres::shared().await;
    if let Some(postgres) = postgres {
        let url = postgres.database("clock").await.parse().unwrap();
        dbs.push(Db::connect(&url, clock.clone()).await.unwrap());
    }
    for db in &dbs {
        let before = db.now(db.reader()).await.unwrap();
        assert!(before.since(clock.now()).max(clock.now().since(before)) < Duration::from_secs(5));
        clock.advance(Duration::from_secs(3_600));
        let after = db.now(db.reader()).await.unwrap();
        assert!(after.since(before) >= Duration::from_secs(3_600));
        assert!(after.since(before) < Duration::from_secs(3_630));
        clock.rewind(Duration::from_secs(3_600));
    }
}

#[tokio::test]
async fn a_second_owner_of_an_sqlite_file_is_told_who_holds_it() {
    let folder = kit::testing::folder();
    let first = sqlite(&folder, Clock::default()).await;
    let refused = Db::connect(&url(&folder), Clock::default())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains(&format!("in use by process {}", std::process::id())),
        "{refused}"
    );
    drop(first);
    sqlite(&folder, Clock::default()).await;
}

#[tokio::test]
async fn commits_are_on_disk_before_they_are_acknowledged() {
    let folder = kit::testing::folder();
    let db = sqlite(&folder, Clock::default()).await;
    let tx = db.write("test").await.unwrap();
    let pragma = |name: &str| Statement::from_string(db.backend(), format!("PRAGMA {name}"));
    let mode: String = tx
        .query_one_raw(pragma("journal_mode"))
        .await
        .unwrap()
        .unwrap()
        .try_get_by_index(0)
        .unwrap();
    let synchronous: i32 = tx
        .query_one_raw(pragma("synchronous"))
        .await
        .unwrap()
        .unwrap()
        .try_get_by_index(0)
        .unwrap();
    assert_eq!((mode.as_str(), synchronous), ("wal", 2), "2 is FULL");
}

#[tokio::test]
async fn concurrent_write_transactions_wait_for_each_other_and_none_fails() {
    let folder = kit::testing::folder();
    let db = sqlite(&folder, Clock::default()).await;
    let tx = db.write("test").await.unwrap();
    tx.execute_unprepared("CREATE TABLE counter (number INTEGER NOT NULL)")
        .await
        .unwrap();
    tx.execute_unprepared("INSERT INTO counter VALUES (0)")
        .await
        .unwrap();
    tx.commit().await.unwrap();
    // Not so many that the last one would wait longer than any may.
    let writers: Vec<_> = (0..16)
        .map(|_| tokio::spawn(increment(db.clone())))
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(number(&db, "SELECT number FROM counter").await, 16);
}

async fn increment(db: Db) {
    let tx = db.write("test").await.unwrap();
    tx.execute_unprepared("UPDATE counter SET number = number + 1")
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_cancelled_caller_does_not_cut_a_detached_transaction() {
    let folder = kit::testing::folder();
    let db = sqlite(&folder, Clock::default()).await;
    let tx = db.write("test").await.unwrap();
    tx.execute_unprepared("CREATE TABLE counter (number INTEGER NOT NULL)")
        .await
        .unwrap();
    tx.execute_unprepared("INSERT INTO counter VALUES (0)")
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let (done, finished) = tokio::sync::oneshot::channel();
    let mut caller = Box::pin(db::detached({
        let db = db.clone();
        async move {
            increment(db).await;
            done.send(()).unwrap();
        }
    }));
    assert!(futures::poll!(&mut caller).is_pending());
    drop(caller);
    finished.await.unwrap();
    assert_eq!(number(&db, "SELECT number FROM counter").await, 1);
}

#[tokio::test]
async fn a_database_that_cannot_be_reached_is_away_and_a_bad_statement_is_not() {
    let unreachable = "postgres://usher@127.0.0.1:1/usher".parse().unwrap();
    let db = Db::connect(&unreachable, Clock::default())
        .await
        .expect("a start does not wait for Postgres");
    assert!(db::is_away(&db.write("test").await.unwrap_err()));
    let folder = kit::testing::folder();
    let db = sqlite(&folder, Clock::default()).await;
    let tx = db.write("test").await.unwrap();
    assert!(!db::is_away(
        &tx.execute_unprepared("SELECT nonsense FROM nowhere")
            .await
            .unwrap_err()
    ));
}

#[test]
fn a_timestamp_survives_protobuf_and_refuses_what_is_none() {
    let at = Timestamp(1_764_000_000_123_456);
    let proto = prost_types::Timestamp::from(at);
    assert_eq!(Timestamp::from_proto(&proto), Some(at));
    assert_eq!(at.to_string(), "2025-11-24T16:00:00.123456Z");
    assert_eq!(
        Timestamp::from_proto(&prost_types::Timestamp {
            seconds: 0,
            nanos: -1
        }),
        None
    );
}
