//! What a service of a test stands on: a folder, a clock, settings, and a database that the test
//! looks at, too.

use std::path::{Path, PathBuf};

use sea_orm::{
    ConnectionTrait as _, Database, DatabaseConnection, QueryResult, Statement, TryGetable,
};
use sea_orm_migration::MigratorTrait;
use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::{Environment, Postgres, SOON, eventually};
use crate::{clock::Clock, db::Db};

/// The ground under one service, or under several replicas of it. Replicas share all secrets, which
/// are files in the folder; only on Postgres can two of them run.
#[derive(Debug)]
pub struct World {
    /// The time that services started here go by.
    pub clock: Clock,
    folder: TempDir,
    database_url: String,
    database: OnceCell<DatabaseConnection>,
}

impl World {
    /// With a database in a file, which the service makes.
    pub fn on_sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory can be made");
        let database_url = format!("sqlite:{}", folder.path().join("database.sqlite").display());
        Self {
            clock: Clock::default(),
            folder,
            database_url,
            database: OnceCell::new(),
        }
    }

    /// With a database in a file on this disk.
    pub fn on_disk(disk: &super::SmallDisk) -> Self {
        let database = disk.folder().join("database.sqlite");
        Self {
            database_url: format!("sqlite:{}", database.display()),
            ..Self::on_sqlite()
        }
    }

    /// With a database of its own in the Postgres of this test binary, its tables made as `usher
    /// migrate` makes them; nothing where there is no Postgres.
    pub async fn on_postgres<M: MigratorTrait>(name: &str) -> Option<Self> {
        let database_url = Postgres::shared().await?.database(name).await;
        let url = database_url.parse().expect("a server's URL is one");
        let db = Db::connect(&url, Clock::default())
            .await
            .expect("the server answers");
        db.migrate::<M>().await.expect("the tables can be made");
        // Its connections would count against the server's, and hold the database open.
        db.close().await;
        Some(Self {
            database_url,
            ..Self::on_sqlite()
        })
    }

    /// The settings that all services have: free ports, the database, the operators' token.
    pub fn settings(&self) -> Environment {
        let token = self.file("admin-token").display().to_string();
        Environment::default().with(&[
            ("USHER_LISTEN", "127.0.0.1:0"),
            ("USHER_ADMIN_LISTEN", "127.0.0.1:0"),
            ("USHER_ADMIN_TOKEN_FILE", &token),
            ("USHER_DATABASE_URL", &self.database_url),
        ])
    }

    /// The folder, gone with this value.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A file in the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    /// A second way into the database, past the service, which must have been started.
    pub async fn database(&self) -> &DatabaseConnection {
        let connect = async || Database::connect(&self.database_url).await;
        let connected = self.database.get_or_try_init(connect).await;
        connected.expect("the service made the database")
    }

    /// Runs a statement behind the service's back.
    pub async fn execute(&self, sql: &str) {
        let done = self.database().await.execute_unprepared(sql).await;
        done.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// The number that a query answers with.
    pub async fn number(&self, sql: &str) -> i64 {
        let answers: Vec<i64> = self.answers(sql).await;
        *answers
            .first()
            .unwrap_or_else(|| panic!("{sql} found nothing"))
    }

    /// The texts that a query answers with.
    pub async fn texts(&self, sql: &str) -> Vec<String> {
        self.answers(sql).await
    }

    /// How many rows there are: of a table, or `table WHERE condition`.
    pub async fn count(&self, rows: &str) -> i64 {
        self.number(&format!("SELECT COUNT(*) FROM {rows}")).await
    }

    /// Waits until the last of such rows has gone: what a worker has yet to do.
    pub async fn until_none(&self, rows: &str) {
        let none = async || (self.count(rows).await == 0).then_some(());
        eventually(&format!("no more {rows}"), SOON, none).await;
    }

    async fn answers<T: TryGetable>(&self, sql: &str) -> Vec<T> {
        let database = self.database().await;
        let statement = Statement::from_string(database.get_database_backend(), sql);
        let rows = database.query_all_raw(statement).await;
        let rows = rows.unwrap_or_else(|error| panic!("{sql}: {error}"));
        let first = |row: &QueryResult| row.try_get_by_index(0);
        let answers: Result<_, _> = rows.iter().map(first).collect();
        answers.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }
}
