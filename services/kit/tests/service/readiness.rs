//! Ready means that the database takes writes: each way in which it does not, and the way back.

use std::time::{Duration, Instant};

use kit::{
    clock::Clock,
    db::Db,
    testing::{Postgres, SmallDisk, eventually},
};
use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection};

use crate::running::{NoMigrations, Running, serve_on};

/// I20.
const KNOWN: Duration = Duration::from_secs(30);

/// A way in which a database takes no writes, done behind the service's back.
enum Way {
    /// Somebody else holds SQLite's write lock.
    Locked,
    Full(SmallDisk),
    /// After a failover: the connections lead to a server that has become a replica.
    ReadOnly(&'static Postgres),
}

/// What is behind the service's back.
struct Behind(DatabaseConnection);

impl Behind {
    async fn run(&self, sql: &str) {
        self.0.execute_unprepared(sql).await.unwrap();
    }
}

impl Way {
    async fn all() -> Vec<Self> {
        let mut all = vec![Self::Locked];
        all.extend(SmallDisk::mount().map(Self::Full));
        all.extend(Postgres::shared().await.map(Self::ReadOnly));
        all
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Locked => "the database is locked",
            Self::Full(_) => "the database is full",
            Self::ReadOnly(_) => "the database is read-only",
        }
    }

    async fn url(&self, folder: &tempfile::TempDir) -> String {
        match self {
            Self::Locked => format!("sqlite:{}", folder.path().join("test.db").display()),
            Self::Full(disk) => format!("sqlite:{}", disk.folder().join("test.db").display()),
            Self::ReadOnly(postgres) => postgres.database("readiness").await,
        }
    }

    async fn begin(&self, behind: &Behind, db: &Db) {
        match self {
            Self::Locked => behind.run("BEGIN IMMEDIATE").await,
            Self::Full(disk) => {
                disk.fill();
                // The service meets it first: it is refused a write that needs space.
                let tx = db.write("test").await.unwrap();
                let wide = "CREATE TABLE wide AS SELECT zeroblob(1000000) AS octets";
                assert!(tx.execute_unprepared(wide).await.is_err() || tx.commit().await.is_err());
            }
            Self::ReadOnly(_) => {
                behind
                    .run("ALTER DATABASE readiness SET default_transaction_read_only = on")
                    .await;
                behind.run(DISCONNECT_OTHERS).await;
            }
        }
    }

    async fn end(&self, behind: &Behind) {
        match self {
            Self::Locked => behind.run("ROLLBACK").await,
            Self::Full(disk) => disk.free(),
            // Those that are connected stay read-only, as to a server that was demoted.
            Self::ReadOnly(_) => {
                behind.run("SET default_transaction_read_only = off").await;
                behind
                    .run("ALTER DATABASE readiness RESET default_transaction_read_only")
                    .await;
            }
        }
    }
}

const DISCONNECT_OTHERS: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()";

async fn until(running: &Running, code: u16, reason: &str) -> String {
    eventually(reason, KNOWN, async || {
        let (found, body) = running.get("/readyz").await;
        (found == code && body.contains(reason)).then_some(body)
    })
    .await
}

#[tokio::test]
async fn i20_a_database_that_takes_no_writes_is_not_ready_within_seconds_and_says_why() {
    for way in Way::all().await {
        let folder = kit::testing::folder();
        let url = way.url(&folder).await;
        let db = Db::connect(&url.parse().unwrap(), Clock::default())
            .await
            .unwrap();
        db.migrate::<NoMigrations>().await.unwrap();
        let mut options = sea_orm::ConnectOptions::new(&url);
        options.max_connections(1);
        let behind = Behind(Database::connect(options).await.unwrap());
        let running = serve_on::<NoMigrations>(db.clone(), folder).await;
        assert_eq!(running.get("/readyz").await.0, 200);

        way.begin(&behind, &db).await;
        let begun = Instant::now();
        let body = until(&running, 503, way.reason()).await;
        assert!(body.contains("advice"), "{body}");
        assert_eq!(
            running.get("/livez").await.0,
            200,
            "a restart would not help"
        );
        way.end(&behind).await;
        until(&running, 200, "\"ready\":true").await;
        assert!(begun.elapsed() < KNOWN);
        // Every connection that is used from now on takes writes.
        for _ in 0..20 {
            let writes = (0..8).map(|_| db.check_write());
            futures::future::try_join_all(writes).await.unwrap();
        }
        running.stop().await;
    }
}

#[tokio::test]
async fn a_write_check_leaves_nothing_behind() {
    let folder = kit::testing::folder();
    let url = format!("sqlite:{}", folder.path().join("test.db").display());
    let db = Db::connect(&url.parse().unwrap(), Clock::default())
        .await
        .unwrap();
    db.migrate::<NoMigrations>().await.unwrap();
    db.check_write().await.unwrap();
    let count = sea_orm::Statement::from_string(db.backend(), "SELECT COUNT(*) FROM write_checks");
    let row = db.reader().query_one_raw(count).await.unwrap().unwrap();
    assert_eq!(row.try_get_by_index::<i64>(0).unwrap(), 0);
}
