//! The database's clock, which decides wherever several processes have to agree.

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};

use crate::clock::{Clock, Timestamp};

/// A claim that ends more than so many leases from now was made before the clock was set back: its
/// holder would have renewed it by now, to a nearer end. More than one, because replicas may be
/// told different leases.
pub const LEASES_AHEAD: u32 = 10;

/// Now, by the database's clock and the injected offset.
pub(super) async fn now(
    connection: &impl ConnectionTrait,
    clock: &Clock,
) -> Result<Timestamp, DbErr> {
    let backend = connection.get_database_backend();
    let sql = match backend {
        DbBackend::Sqlite => "SELECT CAST(unixepoch('subsec') * 1000000 AS INTEGER)",
        _ => "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)",
    };
    let row = connection
        .query_one_raw(Statement::from_string(backend, sql))
        .await?;
    let row = row.ok_or_else(|| DbErr::Custom("the database did not tell the time".to_owned()))?;
    Ok(clock.shift(Timestamp(row.try_get_by_index(0)?)))
}
