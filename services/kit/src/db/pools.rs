//! How connections are made: patience, durability, what notices a peer that has vanished, and a URL
//! that is renewed meanwhile.

use std::{path::Path, sync::Arc, time::Duration};

use sea_orm::{
    DatabaseConnection, SqlxPostgresConnector, SqlxSqliteConnector,
    sqlx::{
        self, ConnectOptions as _, Connection as _, PgConnection, PgPool,
        pool::PoolConnectionMetadata,
        postgres::{PgConnectOptions, PgPoolOptions},
        sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
    },
};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::{
    DatabaseUrl,
    connection::{Pool, PoolKind},
    kept::{Kept, PATIENCE},
    notes::Notes,
};
use crate::files;

/// A connection that was idle for so long is asked whether it is alive before it is used.
const IDLE: Duration = Duration::from_secs(1);
/// How long its answer may take. Less than `PATIENCE` by enough to make a new connection instead.
const ANSWER: Duration = Duration::from_millis(750);

/// What Postgres is told with each connection.
const SETTINGS: [(&str, &str); 7] = [
    // As `PATIENCE`. The server ends the wait itself and says why; cut from here it would only
    // seem to be silent.
    ("lock_timeout", "2s"),
    // As `tx::LIMIT`: a statement that was cut here ends there too, and lets go of its locks.
    ("statement_timeout", "8s"),
    // A transaction that its client forgot: with a lost task, nobody else would end it.
    ("idle_in_transaction_session_timeout", "10s"),
    // The server notices a client that vanished within ten seconds, and lets go of its locks.
    ("tcp_keepalives_idle", "5"),
    ("tcp_keepalives_interval", "2"),
    ("tcp_keepalives_count", "2"),
    ("tcp_user_timeout", "10000"),
];

pub(super) async fn sqlite(path: &Path, connections: u32) -> Result<Pool, sqlx::Error> {
    let options = SqliteConnectOptions::new()
        // As it stands: a URL would be percent-decoded, and the lock beside it would not.
        .filename(path)
        .create_if_missing(true)
        // With FULL a commit is on disk before it is acknowledged; with NORMAL the log is synced
        // only at checkpoints, and a power cut would take acknowledged accounts along.
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(PATIENCE)
        // What is erased is gone, and not only unlinked from its page.
        .pragma("secure_delete", "on")
        // What would undo a statement of many rows; by default a file of its own for each, soon.
        .pragma("temp_store", "memory")
        // 16 MiB of log instead of 4: a page that many commits changed is copied back once.
        .pragma("wal_autocheckpoint", "4000")
        // A batch's rows come back at once: its thread need not wait for us after each fiftieth.
        .row_buffer_size(1_024)
        .disable_statement_logging();
    let pool = SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(PATIENCE)
        .test_before_acquire(false);
    Ok(Pool {
        kind: PoolKind::Sqlite(Kept::new(pool.connect_with(options).await?, connections)),
        notes: Arc::default(),
        file: None,
        _following: None,
    })
}

/// Connects when first used.
pub(super) fn postgres(url: &DatabaseUrl) -> Result<Pool, sqlx::Error> {
    let notes = Arc::<Notes>::default();
    let noted = Arc::clone(&notes);
    let pool = PgPoolOptions::new()
        .max_connections(8)
        .acquire_timeout(PATIENCE)
        .test_before_acquire(false)
        // sqlx sets neither keepalive nor a user timeout on its sockets, and neither would notice a
        // peer behind a proxy: so whoever takes a connection that was idle asks it first. sqlx' own
        // test does so each time, and without a deadline.
        .before_acquire(move |connection, facts| {
            Box::pin(is_usable(connection, facts, Arc::clone(&noted)))
        });
    let pool = pool.connect_lazy_with(options(url)?);
    Ok(Pool {
        _following: follow(url, &pool),
        kind: PoolKind::Postgres(pool),
        notes,
        file: None,
    })
}

fn options(url: &DatabaseUrl) -> Result<PgConnectOptions, sqlx::Error> {
    let options = url.text().parse::<PgConnectOptions>()?;
    Ok(options.options(SETTINGS).disable_statement_logging())
}

/// Has new connections made by the URL as its file says it then, if it stands in one. Those that
/// there are go on: a password that is rotated holds for new logins only.
fn follow(url: &DatabaseUrl, pool: &PgPool) -> Option<Arc<AbortOnDropHandle<()>>> {
    let (file, pool) = (url.file()?.to_owned(), pool.clone());
    let shown = file.display().to_string();
    let take = move |url: DatabaseUrl| match options(&url) {
        Ok(options) => {
            pool.set_connect_options(options);
            tracing::info!("The database URL in {shown} was read anew; new connections take it.");
        }
        Err(_) => tracing::error!(
            "The database URL in {shown} leads to SQLite now: that takes a restart. Until then the one before holds."
        ),
    };
    let following = files::follow(file, url.clone(), DatabaseUrl::read, take);
    Some(Arc::new(AbortOnDropHandle::new(tokio::spawn(following))))
}

async fn is_usable(
    connection: &mut PgConnection,
    facts: PoolConnectionMetadata,
    notes: Arc<Notes>,
) -> Result<bool, sqlx::Error> {
    // To a server that takes no writes any more: another one may by now. This one answered, so the
    // good-bye of `false` finds it listening.
    if notes.is_outdated(facts.age) {
        return Ok(false);
    }
    if facts.idle_for < IDLE {
        return Ok(true);
    }
    match timeout(ANSWER, connection.ping()).await {
        Ok(answer) => answer.map(|()| true),
        // An error closes the connection without a word to its peer, and the pool makes a new one;
        // `false` would say good-bye first, and wait for this peer, which is silent.
        Err(_) => Err(sqlx::Error::PoolTimedOut),
    }
}

impl Pool {
    /// The connections as SeaORM's own.
    pub(super) async fn for_sea_orm(&self) -> DatabaseConnection {
        match &self.kind {
            PoolKind::Postgres(pool) => {
                SqlxPostgresConnector::from_sqlx_postgres_pool(pool.clone())
            }
            PoolKind::Sqlite(kept) => SqlxSqliteConnector::from_sqlx_sqlite_pool(kept.pool().await),
        }
    }
}
