//! A write transaction as a type: one moment, one name, one end.
//!
//! No transaction exists without one. Every statement runs under what is left of `LIMIT`; at the
//! limit, and after any error but those of the data, the connection is closed (`connection` says
//! why). A transaction that is dropped without `commit` is rolled back; one that is dropped in the
//! middle of a statement, because its caller was cancelled, takes its connection along.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use async_trait::async_trait;
use futures::future::BoxFuture;
use opentelemetry::{KeyValue, metrics::Histogram};
use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, Statement,
    sqlx::{self, sqlite::SqliteQueryResult},
};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};
use uuid::{NoContext, Uuid};

use super::{
    connection::{Connection, Pool, too_late},
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
    /// Beyond it nothing is done any more.
    end: Instant,
    file: Option<Arc<DatabaseFile>>,
}

#[derive(Debug)]
struct TxState {
    /// Out while a statement runs on it.
    connection: Option<Connection>,
    /// To be sent with the next one.
    later: Later,
    /// Whether the database knows of the transaction.
    is_begun: bool,
    /// A statement failed.
    failed: bool,
}

impl TxState {
    fn of(connection: Option<Connection>) -> Self {
        Self {
            connection,
            later: Later::default(),
            is_begun: false,
            failed: false,
        }
    }
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
        let connection = pool.acquire().await?;
        let (mut state, now);
        if backend == DbBackend::Sqlite {
            // BEGIN goes along with the first statement. The file is this process's own, and this
            // is its only connection that writes: whoever wrote before has ended.
            state = TxState::of(Some(connection));
            state
                .later
                .add(Statement::from_string(backend, time::BEGIN));
            now = time::on_this_machine(clock);
        } else {
            let (kept, told) = connection
                .run(begun + LIMIT, |it| {
                    Box::pin(it.query_first(time::BEGIN_AND_TELL))
                })
                .await;
            let told = told?; // what failed here is not given back, whatever the reason
            (state, now) = (TxState::of(kept), time::told(told, clock)?);
            state.is_begun = true;
        }
        Ok(Self {
            state: Mutex::new(state),
            backend,
            now,
            name,
            begun,
            end: begun + LIMIT,
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
        self.end = self.end.min(end);
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
        self.send_later().await
    }

    /// Keeps what was written.
    ///
    /// # Errors
    /// The database's; where it `is_away`, whether the commit happened nobody knows. Also when a
    /// statement of this transaction failed before: then nothing was written.
    pub async fn commit(self) -> Result<(), DbErr> {
        let later = {
            let mut state = self.state.lock().await;
            // Postgres would answer COMMIT with a silent rollback, and the caller would not know.
            if state.failed {
                let refused = "a statement of this transaction failed; it is not committed";
                return Err(DbErr::Custom(refused.to_owned()));
            }
            state.later.take()
        };
        match later {
            // What fails ends the text, and COMMIT is not reached.
            Some(later) => {
                let commit = Later::joined(later, Statement::from_string(self.backend, COMMIT));
                self.run(|it| Box::pin(it.execute(commit))).await.map(drop)
            }
            None => self.execute_unprepared(COMMIT).await.map(drop),
        }?;
        // Once more, and after the commit: whoever is answered now finds it in a file that was
        // there when it was written.
        let is_kept = |file: &Arc<DatabaseFile>| file.holds_what_was_committed();
        if !self.file.as_ref().is_none_or(is_kept) {
            return Err(gone());
        }
        self.release().await;
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

    async fn release(&self) {
        if let Some(connection) = self.state.lock().await.connection.take() {
            connection.release();
        }
    }

    /// This statement behind those that wait for it.
    async fn with_later(&self, statement: Statement) -> Result<Statement, DbErr> {
        if !self.state.lock().await.later.takes(&statement) {
            self.send_later().await?;
        }
        Ok(match self.state.lock().await.later.take() {
            Some(later) => Later::joined(later, statement),
            None => statement,
        })
    }

    /// Sends the statements that wait.
    async fn send_later(&self) -> Result<(), DbErr> {
        let later = self.state.lock().await.later.take();
        match later {
            Some(later) => self.run(|it| Box::pin(it.execute(later))).await.map(drop),
            None => Ok(()),
        }
    }

    async fn run<T>(
        &self,
        statement: impl FnOnce(&mut Connection) -> BoxFuture<'_, Result<T, sqlx::Error>>,
    ) -> Result<T, DbErr> {
        let mut state = self.state.lock().await;
        state.is_begun = true;
        // Out while the statement runs: if its caller is cancelled, it goes with this future and is
        // closed. Its next answer would be that of the statement that was cut.
        let Some(connection) = state.connection.take() else {
            return Err(too_late()); // closed by an earlier error, which was told
        };
        let (kept, result) = connection.run(self.end, statement).await;
        state.connection = kept;
        // Also after an error of the data: Postgres takes nothing but ROLLBACK then, and SQLite
        // would go on and commit the rest.
        state.failed |= result.is_err();
        result
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
        self.send_later().await?; // by themselves: the answer counts the rows of this one
        self.run(|it| Box::pin(it.execute(statement))).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.send_later().await?;
        let sql = sql.to_owned();
        self.run(|it| Box::pin(async move { it.execute_unprepared(&sql).await }))
            .await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let statement = self.with_later(statement).await?;
        self.run(|it| Box::pin(it.query_one(statement))).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let statement = self.with_later(statement).await?;
        self.run(|it| Box::pin(it.query_all(statement))).await
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
        if !self.0.state.lock().await.later.takes(&statement) {
            self.0.send_later().await?;
        }
        self.0.state.lock().await.later.add(statement);
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
