//! A service's own database: SQLite or Postgres by URL, one writer, the database's clock. Commands
//! open a `Tx` here and pass it to their stores; what only reads asks the `Reader`.

mod bulk;
mod connection;
mod error;
mod file;
mod kept;
mod later;
mod lock;
mod migrate;
mod notes;
mod pools;
mod reader;
mod task;
mod time;
mod tx;
mod url;
mod write_check;

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context as _, anyhow};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, sqlx};

use self::{connection::Pool, file::DatabaseFile};
use crate::clock::{Clock, Timestamp};

pub use bulk::{lock_rows, update_given, update_given_later};
pub use error::{StoreError, Trouble, is_away, refuses_data};
pub(crate) use file::make_folder;
pub use migrate::{MigrateError, Tables};
pub use reader::Reader;
pub use task::{detached, detached_within};
pub use time::LEASES_AHEAD;
pub use tx::{LIMIT, Tx, Unanswered};
pub use url::DatabaseUrl;

fn unopened(path: &str, error: &sqlx::Error) -> anyhow::Error {
    match Trouble::of_error(error) {
        Trouble::Damaged => anyhow!(
            "The SQLite database {path} is damaged, or is no database. {}",
            restore(path)
        ),
        _ => {
            let why = error::of_driver(error);
            anyhow!("The SQLite database {path} cannot be opened: {why}.")
        }
    }
}

fn postgres(url: &DatabaseUrl) -> anyhow::Result<Pool> {
    pools::postgres(url).context("USHER_DATABASE_URL: the Postgres URL cannot be used.")
}

fn restore(file: &str) -> String {
    format!(
        "Stop what uses it, then restore it from a copy; or, to begin with an empty one and lose what it held, move it \
         away: mv {file} {file}.damaged"
    )
}

/// A database with its clock. Clones share the connections.
#[derive(Debug, Clone)]
pub struct Db {
    writer: Pool,
    reader: Reader,
    clock: Clock,
    /// Of SQLite.
    file: Option<Arc<str>>,
    /// The file in which its URL stands.
    url_file: Option<Arc<Path>>,
}

impl Db {
    /// Opens the database. An SQLite file is created if it is missing and locked against a second
    /// process; Postgres is connected to when it is first used, so that a start does not wait for
    /// it.
    ///
    /// # Errors
    /// When the file cannot be opened or another process owns it.
    pub async fn connect(url: &DatabaseUrl, clock: Clock) -> anyhow::Result<Self> {
        let Some(path) = url.sqlite_path() else {
            let pool = postgres(url)?;
            return Ok(Self::of(pool.clone(), pool, clock, url));
        };
        // Before it is opened: a second process is to touch nothing of the first one's.
        let file = Arc::new(DatabaseFile::own(path)?);
        let unopened = |error: sqlx::Error| unopened(path, &error);
        // SQLite has one writer at a time: a second connection would only wait for the file's lock,
        // where waiting for this one is in order of arrival. With WAL the readers wait for nobody.
        let mut writer = pools::sqlite(file.path(), 1).await.map_err(unopened)?;
        let mut reader = pools::sqlite(file.path(), 4).await.map_err(unopened)?;
        (writer.file, reader.file) = (Some(Arc::clone(&file)), Some(file));
        Ok(Self::of(writer, reader, clock, url))
    }

    /// Opens the database to read from it beside the process that owns it.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub async fn observe(url: &DatabaseUrl) -> anyhow::Result<Self> {
        let path = url.sqlite_path();
        let pool = match path {
            Some(path) => {
                let opened = pools::sqlite(&file::observed(path)?, 1).await;
                opened.map_err(|error| unopened(path, &error))?
            }
            None => postgres(url)?,
        };
        Ok(Self::of(pool.clone(), pool, Clock::default(), url))
    }

    fn of(writer: Pool, reader: Pool, clock: Clock, url: &DatabaseUrl) -> Self {
        Self {
            writer,
            reader: Reader(reader),
            clock,
            file: url.sqlite_path().map(Arc::from),
            url_file: url.file().map(Arc::from),
        }
    }

    /// What to do about a trouble of this database.
    pub fn advice(&self, trouble: Trouble) -> String {
        match (&self.file, &self.url_file, trouble) {
            (Some(file), _, Trouble::Damaged) => restore(file),
            // Where the URL really stands is the place to correct it.
            (_, Some(url_file), _) => {
                let place = format!("{} (USHER_DATABASE_URL_FILE)", url_file.display());
                trouble.advice().replace("USHER_DATABASE_URL", &place)
            }
            _ => trouble.advice().to_owned(),
        }
    }

    /// Begins the write transaction `name`, and reads the database's clock. The name is what its
    /// duration is measured under: what it does, in lower-case words.
    ///
    /// # Errors
    /// When the database is away or stays locked; `is_away` tells.
    pub async fn write(&self, name: &'static str) -> Result<Tx, DbErr> {
        Tx::begin(&self.writer, &self.clock, name).await
    }

    /// Connections for reading outside a transaction.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// The clock whose offset `now` adds.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Which kind of database it is.
    pub fn backend(&self) -> DbBackend {
        self.writer.backend()
    }

    /// Now, by the database's clock and the injected offset, for those who only read. A transaction
    /// has its own.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn now(&self, connection: &impl ConnectionTrait) -> Result<Timestamp, DbErr> {
        time::now(connection, &self.clock).await
    }

    /// Closes the connections of every clone. SQLite then folds its log into the one file, so that
    /// a stopped service leaves nothing beside it.
    pub async fn close(&self) {
        let closed = futures::future::join(self.reader.0.close(), self.writer.close());
        // Whoever still uses a connection is not waited for: the process ends in any case.
        let _ = tokio::time::timeout(Duration::from_millis(500), closed).await;
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn ping(&self) -> Result<(), DbErr> {
        self.reader.execute_unprepared("SELECT 1").await.map(drop)
    }

    /// The connections as SeaORM's own, for its migrator only: nothing else has no limit.
    async fn for_migrations(&self) -> DatabaseConnection {
        self.writer.for_sea_orm().await
    }
}
