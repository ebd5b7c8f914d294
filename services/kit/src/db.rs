//! A service's own database: SQLite or Postgres by URL, one writer, the database's clock. Commands open a
//! transaction here and pass it to their stores.

mod bulk;
mod limit;
mod lock;
mod migrate;

use std::{fmt, str::FromStr, time::Duration};

use anyhow::Context as _;
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbBackend,
    DbErr, RuntimeErr, SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait,
    sqlx::{
        self,
        sqlite::{SqliteJournalMode, SqliteSynchronous},
    },
};

pub use bulk::update_each;
pub use limit::{LIMIT, detached, measured, within_limit};

use crate::clock::{Clock, Timestamp};

/// Where a database is: `sqlite:PATH` or `postgres://…`. Never printed: it may hold a password.
#[derive(Clone)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// The file of an SQLite database.
    pub fn sqlite_path(&self) -> Option<&str> {
        let path = self.0.strip_prefix("sqlite:")?;
        let path = path.strip_prefix("//").unwrap_or(path);
        Some(path.split('?').next().unwrap_or(path))
    }
}

impl FromStr for DatabaseUrl {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        let known = ["sqlite:", "postgres:", "postgresql:"]
            .iter()
            .any(|scheme| url.starts_with(scheme));
        let in_memory = url.contains(":memory:") || url.contains("mode=memory");
        let nowhere = url == "sqlite:" || url == "sqlite://";
        match known && !in_memory && !nowhere {
            true => Ok(Self(url.to_owned())),
            false => {
                Err("expected sqlite:PATH (a file) or postgres://USER@HOST/DATABASE".to_owned())
            }
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatabaseUrl(<redacted>)")
    }
}

/// A database with its clock. Clones share the connections.
#[derive(Debug, Clone)]
pub struct Db {
    writer: DatabaseConnection,
    reader: DatabaseConnection,
    clock: Clock,
    _lock: Option<std::sync::Arc<std::fs::File>>, // held while any clone lives: one process owns an SQLite file
}

impl Db {
    /// Opens the database. An SQLite file is created if it is missing and locked against a second process;
    /// Postgres is connected to when it is first used, so that a start does not wait for it.
    ///
    /// # Errors
    /// When the file cannot be opened or another process owns it.
    pub async fn connect(url: &DatabaseUrl, clock: Clock) -> anyhow::Result<Self> {
        let Some(path) = url.sqlite_path() else {
            let pool = Database::connect(postgres(url))
                .await
                .context("The Postgres URL cannot be used.")?;
            return Ok(Self {
                writer: pool.clone(),
                reader: pool,
                clock,
                _lock: None,
            });
        };
        let lock = lock::acquire(path)?;
        let unopened = || format!("The SQLite database {path} cannot be opened.");
        let writer = Database::connect(sqlite(path, 1))
            .await
            .context(unopened())?;
        let reader = Database::connect(sqlite(path, 4))
            .await
            .context(unopened())?;
        Ok(Self {
            writer,
            reader,
            clock,
            _lock: Some(std::sync::Arc::new(lock)),
        })
    }

    /// Opens the database to read from it beside the process that owns it.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub async fn observe(url: &DatabaseUrl) -> anyhow::Result<Self> {
        let (options, clock) = (
            url.sqlite_path()
                .map_or_else(|| postgres(url), |path| sqlite(path, 1)),
            Clock::default(),
        );
        let pool = Database::connect(options)
            .await
            .context("The database cannot be opened.")?;
        Ok(Self {
            writer: pool.clone(),
            reader: pool,
            clock,
            _lock: None,
        })
    }

    /// Begins a write transaction. On SQLite it takes the write lock at once (IMMEDIATE): a transaction that
    /// upgrades later fails without waiting when another one wrote meanwhile.
    ///
    /// # Errors
    /// When the database is away or stays locked; `is_away` tells.
    pub async fn begin(&self) -> Result<DatabaseTransaction, DbErr> {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        self.writer.begin_with_options(options).await
    }

    /// Connections for reading outside a transaction.
    pub fn reader(&self) -> &DatabaseConnection {
        &self.reader
    }

    /// The clock whose offset `now` adds.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Which kind of database it is.
    pub fn backend(&self) -> DbBackend {
        self.writer.get_database_backend()
    }

    /// Now, by the database's clock and the injected offset. Read it once a transaction and bind it into every
    /// predicate and row, so that all of them agree.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn now(&self, connection: &impl ConnectionTrait) -> Result<Timestamp, DbErr> {
        let backend = connection.get_database_backend();
        let sql = match backend {
            DbBackend::Sqlite => "SELECT CAST(unixepoch('subsec') * 1000000 AS INTEGER)",
            _ => "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)",
        };
        let row = connection
            .query_one_raw(Statement::from_string(backend, sql))
            .await?;
        let row =
            row.ok_or_else(|| DbErr::Custom("the database did not tell the time".to_owned()))?;
        Ok(self.clock.shift(Timestamp(row.try_get_by_index(0)?)))
    }

    /// Closes the connections of every clone. SQLite then folds its log into the one file, so that a stopped service
    /// leaves nothing beside it.
    pub async fn close(&self) {
        let closed = futures::future::join(self.reader.close_by_ref(), self.writer.close_by_ref());
        // Whoever still uses a connection is not waited for: the process ends in any case.
        let _ = tokio::time::timeout(Duration::from_millis(500), closed).await;
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn ping(&self) -> Result<(), DbErr> {
        self.reader.ping().await
    }
}

/// Whether the database could not be used just now: locked, timed out, unreachable, out of space. The work may be
/// done again later as it is; any other error would only come again.
pub fn is_away(error: &DbErr) -> bool {
    let (DbErr::Conn(runtime) | DbErr::Exec(runtime) | DbErr::Query(runtime)) = error else {
        return matches!(error, DbErr::ConnectionAcquire(_));
    };
    let RuntimeErr::SqlxError(error) = runtime else {
        return true;
    };
    match &**error {
        sqlx::Error::Database(error) => error.code().is_some_and(|code| is_away_code(&code)),
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => true,
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => true,
        _ => false,
    }
}

/// SQLite's result codes (https://sqlite.org/rescode.html), printed as decimal numbers whose low byte is the
/// primary code, and Postgres' five-character SQLSTATEs.
fn is_away_code(code: &str) -> bool {
    const BUSY_LOCKED_READONLY_IOERR_FULL_CANTOPEN: [u32; 6] = [5, 6, 8, 10, 13, 14];
    // Connection, insufficient resources, operator intervention, rollback (serialization, deadlock), invalid
    // transaction state (left behind by a lost connection), lock not available.
    const SQLSTATES: [&str; 6] = ["08", "53", "57", "40", "25", "55P03"];
    match code.parse::<u32>() {
        Ok(number) if code.len() != 5 => {
            BUSY_LOCKED_READONLY_IOERR_FULL_CANTOPEN.contains(&(number & 0xff))
        }
        _ => SQLSTATES.iter().any(|class| code.starts_with(class)),
    }
}

/// How long a transaction waits for a connection, and then for a lock. A caller may wait behind another group that
/// waits as long; all of it has to be over well before the caller's deadline of 10 s, so that the answer is
/// UNAVAILABLE and no riddle.
const PATIENCE: Duration = Duration::from_secs(2);

/// WAL with FULL: a commit is on disk before it is acknowledged. `secure_delete`: what is erased is gone.
fn sqlite(path: &str, connections: u32) -> ConnectOptions {
    let (mut options, file) = (ConnectOptions::new("sqlite:"), path.to_owned());
    options
        .max_connections(connections)
        .acquire_timeout(PATIENCE)
        .sqlx_logging(false);
    options.test_before_acquire(false);
    options.map_sqlx_sqlite_opts(move |options| {
        options
            .filename(&file) // as it stands: a URL would be percent-decoded, and the lock beside it would not
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(PATIENCE)
            .pragma("secure_delete", "on")
    });
    options
}

/// A transaction that its client forgot is ended by the server: with a lost task, nobody else would.
fn postgres(url: &DatabaseUrl) -> ConnectOptions {
    let mut options = ConnectOptions::new(url.0.clone());
    options
        .max_connections(8)
        .acquire_timeout(PATIENCE)
        .sqlx_logging(false);
    options
        .connect_lazy(true)
        .test_before_acquire_if_idle_for(Duration::from_secs(30));
    options.map_sqlx_postgres_opts(|options| {
        options.options([
            ("idle_in_transaction_session_timeout", "10s"),
            ("lock_timeout", "2s"),
        ])
    });
    options
}
