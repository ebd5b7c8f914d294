//! The database's clock, which decides wherever several processes have to agree.

use std::time::SystemTime;

use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, Statement};

use crate::clock::{Clock, Timestamp};

/// A claim that ends more than so many leases from now was made before the clock was set back: its
/// holder would have renewed it by now, to a nearer end. More than one, because replicas may be
/// told different leases.
pub const LEASES_AHEAD: u32 = 10;

/// Begins a transaction on SQLite. IMMEDIATE, because a transaction that upgrades later fails without
/// waiting when another one wrote meanwhile. As text, so that the driver's own count of open
/// transactions has no part in it: SQLite refuses BEGIN where a transaction is still open, while the
/// driver would answer with a savepoint that never commits.
pub(super) const BEGIN: &str = "BEGIN IMMEDIATE";

/// How Postgres says what time it is.
macro_rules! postgres_now {
    () => {
        "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)"
    };
}

/// Begins a transaction on Postgres and asks for the time, in one trip to the database.
pub(super) const BEGIN_AND_TELL: &str = concat!("BEGIN; ", postgres_now!());

/// Now, by SQLite's clock: it asks this machine, and so do we.
#[expect(
    clippy::disallowed_methods,
    reason = "the database's clock, which `Clock::be_fast` is not to move"
)]
pub(super) fn on_this_machine(clock: &Clock) -> Timestamp {
    clock.shift(Timestamp::from(SystemTime::now()))
}

/// Now, by the database's clock and the injected offset.
pub(super) async fn now(
    connection: &impl ConnectionTrait,
    clock: &Clock,
) -> Result<Timestamp, DbErr> {
    let backend = connection.get_database_backend();
    if backend == DbBackend::Sqlite {
        return Ok(on_this_machine(clock));
    }
    let row = connection.query_one_raw(Statement::from_string(backend, postgres_now!()));
    told(row.await?, clock)
}

/// Reads the row that the database answers with.
pub(super) fn told(row: Option<QueryResult>, clock: &Clock) -> Result<Timestamp, DbErr> {
    let row = row.ok_or_else(|| DbErr::Custom("the database did not tell the time".to_owned()))?;
    Ok(clock.shift(Timestamp(row.try_get_by_index(0)?)))
}
