//! Write transactions come to an end: at their limit, when their caller is cancelled, after an
//! error. What is said in `kit::db::connection` of connections and slots is tried here, on SQLite
//! and on Postgres.

use std::time::{Duration, Instant};

use futures::future::join_all;
use kit::{
    clock::Clock,
    db::{Db, LIMIT, is_away},
    testing::{Postgres, SOON, eventually},
};
use sea_orm::{ConnectionTrait as _, Database, DbBackend, Statement};
use tokio::time::timeout;

/// As many as a pool on Postgres has.
const CONNECTIONS: usize = 8;

/// A statement that takes a while, and what it runs on.
struct Slow {
    db: Db,
    sql: &'static str,
    _folder: tempfile::TempDir,
}

async fn sqlite() -> Slow {
    let folder = kit::testing::folder();
    let url = format!("sqlite:{}", folder.path().join("test.db").display());
    // Some 250 ms: several times what it is to outlast here, and far less than the next writer waits.
    let sql = "INSERT INTO things WITH RECURSIVE counted(n) AS
               (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < 1000000)
               SELECT max(n) FROM counted";
    let db = Db::connect(&url.parse().unwrap(), Clock::default())
        .await
        .unwrap();
    Slow::new(db, sql, folder).await
}

async fn postgres(name: &str) -> Option<Slow> {
    let url = Postgres::shared().await?.database(name).await;
    let db = Db::connect(&url.parse().unwrap(), Clock::default())
        .await
        .unwrap();
    let sql = "INSERT INTO things SELECT 1 FROM pg_sleep(30)";
    Some(Slow::new(db, sql, kit::testing::folder()).await)
}

impl Slow {
    async fn new(db: Db, sql: &'static str, folder: tempfile::TempDir) -> Self {
        let tx = db.write("test").await.unwrap();
        tx.execute_unprepared("CREATE TABLE things (number BIGINT NOT NULL)")
            .await
            .unwrap();
        tx.commit().await.unwrap();
        Self {
            db,
            sql,
            _folder: folder,
        }
    }

    fn insert(&self, number: impl Into<Option<i64>>) -> Statement {
        let sql = match self.db.backend() {
            DbBackend::Sqlite => "INSERT INTO things VALUES (?)",
            _ => "INSERT INTO things VALUES ($1)",
        };
        Statement::from_sql_and_values(self.db.backend(), sql, [number.into().into()])
    }

    /// What is committed.
    async fn numbers(&self) -> Vec<i64> {
        let sql = "SELECT number FROM things ORDER BY number";
        let rows = Statement::from_string(self.db.backend(), sql);
        let rows = self.db.reader().query_all_raw(rows).await.unwrap();
        rows.iter()
            .map(|row| row.try_get_by_index(0).unwrap())
            .collect()
    }

    /// Writes a row and answers with how many there are, each committed.
    async fn write(&self) -> i64 {
        let tx = self.db.write("test").await.unwrap();
        tx.execute_unprepared("INSERT INTO things VALUES (1)")
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let count = Statement::from_string(self.db.backend(), "SELECT COUNT(*) FROM things");
        let row = self
            .db
            .reader()
            .query_one_raw(count)
            .await
            .unwrap()
            .unwrap();
        row.try_get_by_index(0).unwrap()
    }
}

#[tokio::test]
async fn a_statement_on_postgres_ends_at_the_limit_and_its_slot_is_free_at_once() {
    let Some(slow) = postgres("at_limit").await else {
        return;
    };
    let cut = async || {
        let tx = slow.db.write("test").await.unwrap();
        tx.execute_unprepared(slow.sql).await.unwrap_err()
    };
    let begun = Instant::now();
    for error in join_all((0..CONNECTIONS).map(|_| cut())).await {
        assert!(is_away(&error), "{error}");
    }
    assert!(begun.elapsed() < LIMIT + Duration::from_secs(2));
    let begun = Instant::now();
    assert_eq!(slow.write().await, 1, "nothing of what was cut is kept");
    assert!(begun.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn a_statement_on_sqlite_ends_at_the_limit_and_the_next_writer_waits_for_its_thread_only() {
    let slow = sqlite().await;
    let tx = slow.db.write("test").await.unwrap();
    tx.execute_unprepared("INSERT INTO things VALUES (2)")
        .await
        .unwrap(); // so that BEGIN is not what is cut
    tokio::time::pause(); // while SQLite's thread works nothing else does: the clock goes on to the limit
    let error = tx.execute_unprepared(slow.sql).await.unwrap_err();
    tokio::time::resume();
    assert!(is_away(&error), "{error}");
    drop(tx);
    assert_eq!(slow.write().await, 1, "nothing of what was cut is kept");
}

#[tokio::test]
async fn a_cancelled_caller_takes_its_connection_along_and_leaves_no_transaction_open() {
    let mut all = vec![sqlite().await];
    all.extend(postgres("cancelled").await);
    for slow in all {
        let cut = async || {
            let tx = slow.db.write("test").await.unwrap();
            tx.execute_unprepared("INSERT INTO things VALUES (2)")
                .await
                .unwrap();
            let statement = tx.execute_unprepared(slow.sql);
            assert!(timeout(Duration::from_millis(50), statement).await.is_err());
        };
        match slow.db.backend() {
            DbBackend::Sqlite => cut().await,
            _ => drop(join_all((0..CONNECTIONS).map(|_| cut())).await),
        }
        assert_eq!(slow.write().await, 1, "nothing of what was cut is kept");
    }
}

#[tokio::test]
async fn a_transaction_that_is_dropped_is_rolled_back_and_its_connection_used_again() {
    let mut all = vec![sqlite().await];
    all.extend(postgres("dropped").await);
    for slow in all {
        for _ in 0..2 * CONNECTIONS {
            let tx = slow.db.write("test").await.unwrap();
            tx.execute_unprepared("INSERT INTO things VALUES (2)")
                .await
                .unwrap();
        }
        assert_eq!(slow.write().await, 1);
    }
}

/// On SQLite BEGIN goes along with the first statement, whichever that is.
#[tokio::test]
async fn a_transaction_keeps_nothing_that_was_not_committed_and_leaves_nothing_open_whatever_came_first()
 {
    let mut all = vec![sqlite().await];
    all.extend(postgres("first").await);
    for slow in all {
        let begun = async || slow.db.write("test").await.unwrap();
        // Nothing came at all.
        drop(begun().await);
        begun().await.rollback().await;
        begun().await.commit().await.unwrap();
        // Something that waits to be sent.
        let tx = begun().await;
        tx.later().execute_raw(slow.insert(2)).await.unwrap();
        drop(tx);
        // A statement that is refused.
        let tx = begun().await;
        let refused = tx.execute_raw(slow.insert(None)).await.unwrap_err();
        assert!(!is_away(&refused), "{refused}");
        drop(tx);
        // One that counts its values itself, and answers.
        let returning = || {
            let sql = "INSERT INTO things VALUES ($1) RETURNING number";
            Statement::from_sql_and_values(slow.db.backend(), sql, [3_i64.into()])
        };
        let tx = begun().await;
        assert!(tx.query_one_raw(returning()).await.unwrap().is_some());
        drop(tx);
        assert!(slow.numbers().await.is_empty());
        let tx = begun().await;
        assert!(tx.query_one_raw(returning()).await.unwrap().is_some());
        tx.commit().await.unwrap();
        assert_eq!(slow.numbers().await, [3]);
    }
}

#[tokio::test]
async fn a_transaction_in_which_a_statement_failed_takes_no_other_and_is_not_committed() {
    let mut all = vec![sqlite().await];
    all.extend(postgres("failed").await);
    for slow in all {
        for is_committed in [false, true] {
            let tx = slow.db.write("test").await.unwrap();
            tx.execute_raw(slow.insert(2)).await.unwrap();
            let refused = tx.execute_raw(slow.insert(None)).await.unwrap_err();
            assert!(!is_away(&refused));
            for sql in ["INSERT INTO things VALUES (3)", "no SQL, if it is asked"] {
                let refused = tx.execute_unprepared(sql).await.unwrap_err().to_string();
                let failed = "a statement of this transaction failed";
                assert!(refused.contains(failed), "{sql}: {refused}");
            }
            match is_committed {
                false => tx.rollback().await,
                true => drop(tx.commit().await.expect_err("Postgres would keep nothing")),
            }
        }
        assert_eq!(slow.write().await, 1, "nothing of it is kept or in the way");
    }
}

#[tokio::test]
async fn statements_without_an_answer_are_done_in_their_order_before_what_follows_them() {
    let mut all = vec![sqlite().await];
    all.extend(postgres("later").await);
    for slow in all {
        let tx = slow.db.write("test").await.unwrap();
        for number in [2, 3] {
            let insert = slow.insert(number);
            tx.later().execute_raw(insert).await.unwrap();
        }
        let last = Statement::from_string(slow.db.backend(), "SELECT MAX(number) FROM things");
        let last = tx.query_one_raw(last).await.unwrap().unwrap();
        assert_eq!(last.try_get_by_index::<i64>(0).unwrap(), 3);
        tx.later().execute_raw(slow.insert(4)).await.unwrap();
        let doubled = Statement::from_sql_and_values(
            slow.db.backend(),
            "UPDATE things SET number = number * $1",
            [2_i64.into()],
        );
        // Counts its values itself, and so cannot be sent along.
        tx.later().execute_raw(doubled).await.unwrap();
        tx.later().execute_raw(slow.insert(5)).await.unwrap();
        let changed = tx.execute_raw(slow.insert(6)).await.unwrap();
        assert_eq!(changed.rows_affected(), 1, "of this statement alone");
        tx.later().execute_raw(slow.insert(7)).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(slow.numbers().await, [4, 5, 6, 6, 7, 8]);
    }
}

#[tokio::test]
async fn a_statement_without_an_answer_that_fails_fails_what_follows_and_nothing_is_kept() {
    let mut all = vec![sqlite().await];
    all.extend(postgres("later_failed").await);
    for slow in all {
        for is_asked in [false, true] {
            let tx = slow.db.write("test").await.unwrap();
            tx.later().execute_raw(slow.insert(2)).await.unwrap();
            let refused = tx.later().execute_raw(slow.insert(None)).await;
            let refused = match (is_asked, refused) {
                (_, Err(at_once)) => at_once,
                (false, Ok(_)) => tx.commit().await.unwrap_err(),
                (true, Ok(_)) => {
                    let asked = Statement::from_string(slow.db.backend(), "SELECT 1");
                    let refused = tx.query_all_raw(asked).await.unwrap_err();
                    tx.commit().await.unwrap_err();
                    refused
                }
            };
            assert!(!is_away(&refused), "{refused}");
            assert!(slow.numbers().await.is_empty());
        }
    }
}

/// A Postgres with a full disk, one that starts up or is to be left alone: each has a code of its own,
/// and the statement that was to be run has been refused by none.
#[tokio::test]
async fn a_server_that_takes_no_new_connections_is_away_whatever_its_reason() {
    let Some(slow) = postgres("closed").await else {
        return;
    };
    let server = Postgres::shared().await.unwrap();
    let operator = Database::connect(server.database("closer").await);
    let operator = operator.await.unwrap();
    for sql in [
        "ALTER DATABASE closed ALLOW_CONNECTIONS false",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'closed'",
    ] {
        operator.execute_unprepared(sql).await.unwrap();
    }
    let refused = async || {
        let error = slow.db.write("test").await.unwrap_err();
        assert!(is_away(&error), "{error}");
        // Before that it may have been told that its connection ended.
        let is_closed = error.to_string().contains("not currently accepting");
        is_closed.then_some(())
    };
    eventually("a connection to be refused", SOON, refused).await;
    let reopened = "ALTER DATABASE closed ALLOW_CONNECTIONS true";
    operator.execute_unprepared(reopened).await.unwrap();
    assert_eq!(slow.write().await, 1);
}

/// SQLITE_FULL rolls back by itself. A driver that counts begins and commits then takes what
/// follows for savepoints of a transaction that is not there, and nothing is committed any more.
#[tokio::test]
async fn i01_what_is_committed_after_a_full_disk_is_kept() {
    let slow = sqlite().await;
    let tx = slow.db.write("test").await.unwrap();
    tx.execute_unprepared("PRAGMA max_page_count = 1")
        .await
        .unwrap(); // as many as there are
    let full = tx
        .execute_unprepared(slow.sql.replace("max(n)", "n").as_str())
        .await;
    assert!(is_away(&full.unwrap_err()));
    drop(tx);
    for rows in 1..4 {
        assert_eq!(slow.write().await, rows, "another connection sees it");
    }
}

#[tokio::test]
async fn nobody_waits_longer_for_a_connection_than_for_a_lock() {
    let slow = sqlite().await;
    let held = slow.db.write("test").await.unwrap();
    let begun = Instant::now();
    assert!(is_away(&slow.db.write("test").await.unwrap_err()));
    assert!(begun.elapsed() < Duration::from_secs(4));
    held.rollback().await;
    assert_eq!(slow.write().await, 1);
}
