//! A write transaction as a type: one moment, one name, one end.
//!
//! No transaction exists without one. Every statement runs under what is left of `LIMIT`; at the
//! limit, and after any error but those of the data, the connection is closed (`connection` says
//! why); after one of the data no other statement is taken. A transaction that is dropped without
//! `commit` is rolled back; one that is dropped in the middle of a statement, because its caller was
//! cancelled, takes its connection along.

mod state;

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use async_trait::async_trait;
use opentelemetry::{KeyValue, metrics::Histogram};
use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, Statement,
    sqlx::sqlite::SqliteQueryResult,
};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};
use uuid::{NoContext, Uuid};

use self::state::{TxState, failed};
use super::{
    connection::{Connection, Pool},
    error::gone,
    file::DatabaseFile,
    later::Later,
    time,
};
use crate::{
    clock::{Clock, Timestamp},
    telemetry::{self, names},
};

/// How long a transaction may take in all. Longer than any lock is waited for: beyond it the
/// connection is dead, and nothing else would tell, because a peer that vanished without a word
/// shows only after TCP's own quarter of an hour.
pub const LIMIT: Duration = Duration::from_secs(8);

const COMMIT: &str = "COMMIT";

/// How long rolling back may take; beyond it the connection is closed, which rolls back too.
const ROLLBACK: Duration = Duration::from_secs(1);

static DURATION: LazyLock<Histogram<f64>> = LazyLock::new(|| {
    telemetry::durations(
        names::DB_CLIENT_OPERATION_DURATION,
        "From a transaction's begin to its end.",
    )
});

/// An open write transaction. Statements run on it one after the other.
#[derive(Debug)]
#[must_use = "without `commit` nothing of it is kept"]
pub struct Tx {
    state: Mutex<TxState>,
    backend: DbBackend,
    now: Timestamp,
    name: &'static str,
    begun: Instant,
    file: Option<Arc<DatabaseFile>>,
}

impl Tx {
    /// Begins on a connection of `pool`, and reads the database's clock.
    pub(super) async fn begin(
        pool: &Pool,
        clock: &Clock,
        name: &'static str,
    ) -> Result<Self, DbErr> {
        let (begun, backend) = (Instant::now(), pool.backend());
        // The wait for a connection counts: `begun` is taken before it.
        let end = begun + LIMIT;
        let mut state = TxState::of(pool.acquire().await?, end);
        let now = if backend == DbBackend::Sqlite {
            // BEGIN goes along with the first statement. The file is this process's own, and this
            // is its only connection that writes: whoever wrote before has ended.
            state
                .later
                .add(Statement::from_string(backend, time::BEGIN));
            time::on_this_machine(clock)
        } else {
            // What fails here is not given back, whatever the reason: it is dropped.
            let told = state.run(|it| Box::pin(it.query_first(time::BEGIN_AND_TELL)));
            time::told(told.await?, clock)?
        };
        Ok(Self {
            state: Mutex::new(state),
            backend,
            now,
            name,
            begun,
            file: pool.file.clone(),
        })
    }

    /// Now, by the database's clock and the injected offset, read once when the transaction began:
    /// bind it into every predicate and row, so that all of them agree.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// A new UUID of version 7 (RFC 9562 §5.7) of that moment; those of one transaction are in no
    /// order.
    pub fn uuid_v7(&self) -> Uuid {
        self.now.uuid_v7(NoContext)
    }

    /// When it was begun, by this process's monotonic clock: not after the database read its own.
    /// Whoever has to judge a moment of the database's later, in memory, measures the distance from
    /// here.
    pub fn begun(&self) -> Instant {
        self.begun
    }

    /// Ends the transaction at `end`, if that is sooner than its limit: nobody waits for it any
    /// longer.
    pub fn until(mut self, end: Instant) -> Self {
        let state = self.state.get_mut();
        state.end = state.end.min(end);
        self
    }

    /// Where statements go whose answer is of no use: on SQLite they are sent with the next one or
    /// with the commit, whose error theirs then is, and not each by a trip of its own.
    pub fn later(&self) -> Unanswered<'_> {
        Unanswered(self)
    }

    /// Waits until SQLite lets it write, which else the first statement does: for who decides
    /// something only then.
    ///
    /// # Errors
    /// The database's.
    pub async fn may_write(&self) -> Result<(), DbErr> {
        self.state.lock().await.send_later().await
    }

    /// Keeps what was written.
    ///
    /// # Errors
    /// The database's; where it `is_away`, whether the commit happened nobody knows. Also when a
    /// statement of this transaction failed before: then nothing was written.
    pub async fn commit(self) -> Result<(), DbErr> {
        let mut state = self.state.lock().await;
        // Postgres would answer COMMIT with a silent rollback, and the caller would not know.
        if state.failed {
            return Err(failed());
        }
        match state.later.take() {
            // What fails ends the text, and COMMIT is not reached.
            Some(later) => {
                let commit = Later::joined(later, Statement::from_string(self.backend, COMMIT));
                state.run(|it| Box::pin(it.execute(commit))).await.map(drop)
            }
            None => {
                let committing = state.run(|it| Box::pin(it.execute_unprepared(COMMIT)));
                committing.await.map(drop)
            }
        }?;
        // Once more, and after the commit: whoever is answered now finds it in a file that was
        // there when it was written.
        let is_kept = |file: &Arc<DatabaseFile>| file.holds_what_was_committed();
        if !self.file.as_ref().is_none_or(is_kept) {
            return Err(gone());
        }
        if let Some(connection) = state.connection.take() {
            connection.release();
        }
        Ok(())
    }

    /// Ends the transaction without a trace.
    pub async fn rollback(self) {
        let mut state = self.state.lock().await;
        match state.connection.take() {
            Some(connection) if state.is_begun => roll_back(connection).await,
            Some(connection) => connection.release(),
            None => {}
        }
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        let operation = KeyValue::new(names::DB_OPERATION_NAME, self.name);
        DURATION.record(self.begun.elapsed().as_secs_f64(), &[operation]);
        let state = self.state.get_mut();
        let left_open = state.connection.take();
        if !state.is_begun {
            return left_open.into_iter().for_each(Connection::release);
        }
        // `drop` cannot wait, so a task rolls back. Without a runtime the process is ending, and
        // the connection is closed: that rolls back too.
        if let (Some(connection), Ok(runtime)) = (left_open, tokio::runtime::Handle::try_current())
        {
            runtime.spawn(roll_back(connection));
        }
    }
}

async fn roll_back(mut connection: Connection) {
    let rolled_back = timeout(ROLLBACK, connection.execute_unprepared("ROLLBACK")).await;
    // Only what is provably outside any transaction goes back to the others.
    if matches!(rolled_back, Ok(Ok(_))) {
        connection.release();
    }
}

#[async_trait]
impl ConnectionTrait for Tx {
    fn get_database_backend(&self) -> DbBackend {
        self.backend
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        let mut state = self.state.lock().await;
        state.send_later().await?; // by themselves: the answer counts the rows of this one
        state.run(|it| Box::pin(it.execute(statement))).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let (mut state, sql) = (self.state.lock().await, sql.to_owned());
        state.send_later().await?;
        let run = state.run(|it| Box::pin(async move { it.execute_unprepared(&sql).await }));
        run.await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let mut state = self.state.lock().await;
        let statement = state.with_later(statement).await?;
        state.run(|it| Box::pin(it.query_one(statement))).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let mut state = self.state.lock().await;
        let statement = state.with_later(statement).await?;
        state.run(|it| Box::pin(it.query_all(statement))).await
    }
}

/// See [`Tx::later`].
#[derive(Debug)]
pub struct Unanswered<'tx>(&'tx Tx);

#[async_trait]
impl ConnectionTrait for Unanswered<'_> {
    fn get_database_backend(&self) -> DbBackend {
        self.0.backend
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        // Postgres takes one statement with values at a time.
        if self.0.backend != DbBackend::Sqlite {
            return self.0.execute_raw(statement).await;
        }
        let mut state = self.0.state.lock().await;
        if !state.later.takes(&statement) {
            state.send_later().await?;
        }
        state.later.add(statement);
        Ok(SqliteQueryResult::default().into())
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.0.execute_unprepared(sql).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.0.query_one_raw(statement).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.0.query_all_raw(statement).await
    }
}
