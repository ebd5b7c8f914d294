//! One pooled connection and what may be done with it: a statement that has an end, then back into
//! the pool or closed. `Tx` and `Reader` are made of it.
//!
//! What a statement that is cut does to its connection, as tried on SQLite and Postgres
//! (`tests/service/tx.rs` repeats it):
//!
//! * Dropping the statement's future stops nobody. Postgres goes on with the statement and keeps
//!   its locks; SQLite's worker thread runs it to its end. The transaction stays open on that
//!   connection, and the next answer that it gives may be that of the statement that was cut.
//! * Dropping the connection gives it back, and sqlx pings it first, without a deadline. From a
//!   peer that is silent no answer ever comes: the slot is gone until TCP gives up, and behind a
//!   proxy that acknowledges for ever.
//! * A timeout around the task that owns the connection does not end that task, nor free the slot.
//!
//! So the limit belongs where the connection is, and a connection that was cut is closed: its slot
//! is free at once, Postgres rolls back when it sees the end of the stream (`tcp_user_timeout`
//! where it does not), SQLite when its worker has come to the end of the statement.

use std::{sync::Arc, time::Duration};

use futures::future::BoxFuture;
use sea_orm::{
    ConnAcquireErr, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr, Statement,
    sqlx::{self, AssertSqlSafe, Executor as _, PgPool, Postgres, Sqlite, pool::PoolConnection},
};
use sea_query_sqlx::SqlxValues;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::task::AbortOnDropHandle;

use super::{
    error::gone,
    file::DatabaseFile,
    kept::{ConnectionPermit, Kept},
    notes::Notes,
};

/// How long giving back may take: sqlx asks the peer whether it is still there.
const RELEASE: Duration = Duration::from_secs(2);

/// The connections to one database, and what they tell of it. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Pool {
    pub(super) kind: PoolKind,
    pub(super) notes: Arc<Notes>,
    /// Of an SQLite database that this process owns.
    pub(super) file: Option<Arc<DatabaseFile>>,
    /// Reads the URL's file again and again, as long as there is one of the clones.
    pub(super) _following: Option<Arc<AbortOnDropHandle<()>>>,
}

#[derive(Debug, Clone)]
pub(super) enum PoolKind {
    Postgres(PgPool),
    Sqlite(Kept),
}

/// A connection out of a pool. Closed when dropped.
#[derive(Debug)]
pub(super) struct Connection {
    pooled: Option<Pooled>,
    notes: Arc<Notes>,
}

#[derive(Debug)]
enum Pooled {
    Postgres(PoolConnection<Postgres>),
    Sqlite(PoolConnection<Sqlite>, Kept, ConnectionPermit),
}

impl Pool {
    pub(super) async fn acquire(&self) -> Result<Connection, DbErr> {
        // Nothing would tell: SQLite goes on in a file that was deleted, and all is lost at the
        // end. And a connection that was made now would be one to whatever stands in its place.
        if self.file.as_ref().is_some_and(|file| !file.is_in_place()) {
            return Err(gone());
        }
        let pooled = match &self.kind {
            PoolKind::Postgres(pool) => pool.acquire().await.map(Pooled::Postgres),
            PoolKind::Sqlite(kept) => {
                let acquired = kept.acquire().await;
                acquired.map(|(it, turn)| Pooled::Sqlite(it, kept.clone(), turn))
            }
        };
        match pooled {
            Ok(pooled) => Ok(Connection {
                pooled: Some(pooled),
                notes: Arc::clone(&self.notes),
            }),
            Err(sqlx::Error::PoolTimedOut) => Err(too_late()),
            Err(error) => Err(DbErr::Conn(RuntimeErr::SqlxError(error.into()))),
        }
    }

    pub(super) fn backend(&self) -> DbBackend {
        match self.kind {
            PoolKind::Postgres(_) => DbBackend::Postgres,
            PoolKind::Sqlite(_) => DbBackend::Sqlite,
        }
    }

    pub(super) async fn close(&self) {
        match &self.kind {
            PoolKind::Postgres(pool) => pool.close().await,
            PoolKind::Sqlite(kept) => kept.close().await,
        }
    }
}

impl Connection {
    /// Runs one statement, but not beyond `end`. The connection comes back only if it can be used
    /// again.
    pub(super) async fn run<T>(
        mut self,
        end: Instant,
        statement: impl FnOnce(&mut Self) -> BoxFuture<'_, Result<T, sqlx::Error>>,
    ) -> (Option<Self>, Result<T, DbErr>) {
        let result = timeout_at(end, statement(&mut self)).await;
        match result {
            Ok(Ok(answer)) => (Some(self), Ok(answer)),
            Ok(Err(error)) => {
                self.notes.take(&error);
                // After any other error nobody knows in what state the connection is: SQLITE_FULL
                // and SQLITE_IOERR, for two, roll back by themselves, and so does a server that was
                // lost. Statements that follow would then each commit alone.
                let kept = is_about_the_data(&error).then_some(self);
                (kept, Err(DbErr::Query(RuntimeErr::SqlxError(error.into()))))
            }
            Err(_) => (None, Err(too_late())),
        }
    }

    pub(super) async fn execute(
        &mut self,
        statement: Statement,
    ) -> Result<ExecResult, sqlx::Error> {
        let (sql, values) = parts(statement);
        match self.pooled() {
            Pooled::Postgres(it) => Ok(sqlx::query_with(sql, values)
                .execute(&mut **it)
                .await?
                .into()),
            Pooled::Sqlite(it, ..) => Ok(sqlx::query_with(sql, values)
                .execute(&mut **it)
                .await?
                .into()),
        }
    }

    pub(super) async fn execute_unprepared(
        &mut self,
        sql: &str,
    ) -> Result<ExecResult, sqlx::Error> {
        let sql = AssertSqlSafe(sql.to_owned());
        match self.pooled() {
            Pooled::Postgres(it) => Ok(it.execute(sql).await?.into()),
            Pooled::Sqlite(it, ..) => Ok(it.execute(sql).await?.into()),
        }
    }

    /// Runs statements that stand in one text, and answers with the first row of any of them.
    pub(super) async fn query_first(
        &mut self,
        sql: &'static str,
    ) -> Result<Option<QueryResult>, sqlx::Error> {
        // All rows are read: what comes after the first would else be left to run, or not.
        Ok(match self.pooled() {
            Pooled::Postgres(it) => {
                let rows = sqlx::raw_sql(sql).fetch_all(&mut **it).await?;
                rows.into_iter().next().map(Into::into)
            }
            Pooled::Sqlite(it, ..) => {
                let rows = sqlx::raw_sql(sql).fetch_all(&mut **it).await?;
                rows.into_iter().next().map(Into::into)
            }
        })
    }

    pub(super) async fn query_one(
        &mut self,
        statement: Statement,
    ) -> Result<Option<QueryResult>, sqlx::Error> {
        let (sql, values) = parts(statement);
        let found = match self.pooled() {
            Pooled::Postgres(it) => {
                let row = sqlx::query_with(sql, values)
                    .fetch_optional(&mut **it)
                    .await?;
                row.map(Into::into)
            }
            Pooled::Sqlite(it, ..) => {
                let row = sqlx::query_with(sql, values)
                    .fetch_optional(&mut **it)
                    .await?;
                row.map(Into::into)
            }
        };
        Ok(found)
    }

    pub(super) async fn query_all(
        &mut self,
        statement: Statement,
    ) -> Result<Vec<QueryResult>, sqlx::Error> {
        let (sql, values) = parts(statement);
        let found = match self.pooled() {
            Pooled::Postgres(it) => {
                let rows = sqlx::query_with(sql, values).fetch_all(&mut **it).await?;
                rows.into_iter().map(Into::into).collect()
            }
            Pooled::Sqlite(it, ..) => {
                let rows = sqlx::query_with(sql, values).fetch_all(&mut **it).await?;
                rows.into_iter().map(Into::into).collect()
            }
        };
        Ok(found)
    }

    /// Gives the connection back. Only for one that is provably outside any transaction.
    pub(super) fn release(mut self) {
        match self.pooled.take() {
            Some(Pooled::Postgres(mut it)) => give_back(it.return_to_pool()),
            Some(Pooled::Sqlite(it, kept, _turn)) => {
                // Closed meanwhile: the pool is, too, and closes what comes back.
                if let Some(mut it) = kept.keep(it) {
                    give_back(it.return_to_pool());
                }
            }
            None => {}
        }
    }

    fn pooled(&mut self) -> &mut Pooled {
        self.pooled
            .as_mut()
            .expect("only `release` and `drop` take it, and both are the end")
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        match self.pooled.take() {
            // Detached from its pool it frees its slot at once, whatever its peer does.
            Some(Pooled::Postgres(it)) => drop(it.detach()),
            Some(Pooled::Sqlite(it, ..)) => drop(it.detach()),
            None => {}
        }
    }
}

fn give_back(returned: impl Future<Output = ()> + Send + 'static) {
    // sqlx pings before it takes a connection back, and a peer that is silent never answers. The
    // caller does not wait for that, and at the limit the connection is dropped with the future.
    tokio::spawn(timeout(RELEASE, returned));
}

fn parts(statement: Statement) -> (AssertSqlSafe<String>, SqlxValues) {
    let values = statement
        .values
        .unwrap_or_else(|| sea_orm::Values(Vec::new()));
    (AssertSqlSafe(statement.sql), SqlxValues(values))
}

/// Time is over, or no connection was free in time: the database counts as away.
pub(super) fn too_late() -> DbErr {
    DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)
}

/// Whether the database looked at the statement and refused it, as it would again on any other
/// connection.
fn is_about_the_data(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(refusal) = error else {
        // The answer came whole, or the statement was never sent: only our types did not fit it.
        return matches!(
            error,
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::Encode(_)
        );
    };
    let code = refusal.code().unwrap_or_default();
    // A SQLSTATE has five characters; SQLite's numbers have fewer, and end in the primary one's
    // byte. Here ERROR, TOOBIG, CONSTRAINT, MISMATCH, RANGE (<https://sqlite.org/rescode.html>),
    // and the classes 22 (data exception), 23 (integrity constraint) and 42 (syntax, access rule).
    match code.parse::<u32>() {
        Ok(number) if code.len() != 5 => matches!(number & 0xff, 1 | 18 | 19 | 20 | 25),
        _ => ["22", "23", "42"]
            .iter()
            .any(|class| code.starts_with(class)),
    }
}
