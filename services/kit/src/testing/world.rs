//! What a service of a test stands on: a folder, a clock, settings, and a database that the test
//! looks at, too; and the service itself, once or twice, in the test's process or in its own.

use std::{
    marker::PhantomData,
    path::{Path, PathBuf},
};

use sea_orm::{
    ConnectionTrait as _, Database, DatabaseConnection, DatabaseTransaction, QueryResult,
    Statement, TransactionTrait as _, TryGetable,
};
use sea_orm_migration::MigratorTrait;
use tempfile::TempDir;
use tokio::{process::Command, sync::OnceCell};
use tonic::transport::Channel;

use super::{
    Environment, Postgres, Process, SOON, Service, SmallDisk, eventually, folder, make_secrets,
};
use crate::{clock::Clock, db::Db};

/// A service as its tests start it: what differs from one to the other.
pub trait Tested {
    /// Who calls it.
    type Client: From<Channel>;
    /// Its tables.
    type Migrator: MigratorTrait;
    /// Its program: `env!("CARGO_BIN_EXE_…")`.
    const PROGRAM: &'static str;

    /// Builds it, and lets it run in the test's own process.
    ///
    /// # Errors
    /// What its `App::build` says.
    fn start(
        settings: &Environment,
        clock: Clock,
    ) -> impl Future<Output = anyhow::Result<Service<Self::Client>>>;
}

/// The ground under the service `S`, or under several replicas of it. Replicas share all secrets,
/// which are files in the folder; only on Postgres can two of them run.
#[derive(Debug)]
pub struct World<S = ()> {
    /// The time that services started here go by.
    pub clock: Clock,
    folder: TempDir,
    settings: Environment,
    database: OnceCell<DatabaseConnection>,
    service: PhantomData<fn() -> S>,
}

impl<S: Tested> World<S> {
    /// With a database of its own in the Postgres of this test binary, its tables made as `usher
    /// migrate` makes them; nothing where there is no Postgres.
    pub async fn on_postgres(name: &str) -> Option<Self> {
        Self::on_postgres_with::<S::Migrator>(name).await
    }

    /// Starts the service.
    pub async fn start(&self) -> Service<S::Client> {
        self.start_with(&[]).await
    }

    /// Starts it under further settings.
    ///
    /// # Panics
    /// When it does not start, with what it says.
    pub async fn start_with(&self, more: &[(&str, &str)]) -> Service<S::Client> {
        let settings = self.settings.clone().with(more);
        let start = async || match S::start(&settings, self.clock.clone()).await {
            Ok(service) => Some(service),
            // One that was stopped a moment ago lets go of its SQLite file with its last task.
            Err(error) if format!("{error:#}").contains("is in use by process") => None,
            Err(error) => panic!("the service does not start: {error:#}"),
        };
        eventually("the database to be let go of", SOON, start).await
    }

    /// Starts two replicas.
    pub async fn pair(&self) -> [Service<S::Client>; 2] {
        [self.start().await, self.start().await]
    }

    /// Starts it as a process of its own, under further settings.
    pub async fn process(&self, more: &[(&str, &str)]) -> Process<S::Client> {
        let settings = self.settings.clone().with(more);
        Process::start(Command::new(S::PROGRAM), &settings).await
    }

    /// Starts it as a process that is to end by itself, and returns whether it did so well, and its
    /// log.
    pub async fn run(&self, more: &[(&str, &str)]) -> (bool, String) {
        let settings = self.settings.clone().with(more);
        Process::<S::Client>::run(Command::new(S::PROGRAM), &settings).await
    }
}

impl<S> World<S> {
    /// As `on_postgres`, with tables that are named here.
    pub async fn on_postgres_with<M: MigratorTrait>(name: &str) -> Option<Self> {
        let database_url = Postgres::shared().await?.database(name).await;
        let url = database_url.parse().expect("a server's URL is one");
        let db = Db::connect(&url, Clock::default())
            .await
            .expect("the server answers");
        let made = db.migrate::<M>().await;
        made.expect("the tables can be made");
        // Its connections would count against the server's, and hold the database open.
        db.close().await;
        let world = Self::on(&database_url);
        make_secrets(world.folder());
        Some(world)
    }

    /// With a database in a file, which the service makes.
    pub fn on_sqlite() -> Self {
        let world = Self::on("");
        let database = format!("sqlite:{}", world.file("database.sqlite").display());
        world.with(&[("USHER_DATABASE_URL", &database)])
    }

    /// With a database in a file on this disk.
    pub fn on_disk(disk: &SmallDisk) -> Self {
        let database = disk.folder().join("database.sqlite");
        Self::on(&format!("sqlite:{}", database.display()))
    }

    /// What all services are told: free ports, the database, the operators' token.
    fn on(database_url: &str) -> Self {
        let world = Self {
            clock: Clock::default(),
            folder: folder(),
            settings: Environment::default(),
            database: OnceCell::new(),
            service: PhantomData,
        };
        let world = world.with(&[
            ("USHER_LISTEN", "127.0.0.1:0"),
            ("USHER_ADMIN_LISTEN", "127.0.0.1:0"),
            ("USHER_DATABASE_URL", database_url),
        ]);
        world.with_file("USHER_ADMIN_TOKEN_FILE", "admin-token")
    }

    /// This world, whose services have further settings.
    #[must_use]
    pub fn with(mut self, more: &[(&str, &str)]) -> Self {
        self.settings = self.settings.with(more);
        self
    }

    /// This world, whose services keep in its folder what the setting `name` says where to keep.
    #[must_use]
    pub fn with_file(self, name: &str, file: &str) -> Self {
        let path = self.file(file).display().to_string();
        self.with(&[(name, &path)])
    }

    /// The settings of its services.
    pub fn settings(&self) -> Environment {
        self.settings.clone()
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
        let connect = async || Database::connect(self.settings.get("USHER_DATABASE_URL")).await;
        let connected = self.database.get_or_try_init(connect).await;
        connected.expect("the service made the database")
    }

    /// Runs a statement behind the service's back.
    pub async fn execute(&self, sql: &str) {
        let done = self.database().await.execute_unprepared(sql).await;
        done.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// Holds the database's write lock, on SQLite, until what is returned is dropped.
    pub async fn lock(&self) -> DatabaseTransaction {
        let database = self.database().await;
        let writing = database.begin().await.expect("a transaction can begin");
        let wrote = writing.execute_unprepared("CREATE TABLE locked (n INTEGER)");
        wrote.await.expect("nobody else writes");
        writing
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
