//! An SQLite file from outside, as an operator's shell writes into it.

use std::path::Path;

use sea_orm::{ConnectOptions, ConnectionTrait as _, Database, DbErr};

/// Runs statements on a database that exists, also while its service runs; each is a transaction of
/// its own. Nothing is flushed: what must outlive the machine is not written so.
///
/// # Errors
/// The database's.
pub async fn run_sql(
    file: &Path,
    statements: impl IntoIterator<Item = String>,
) -> Result<(), DbErr> {
    let mut options = ConnectOptions::new(format!("sqlite:{}?mode=rw", file.display()));
    options.max_connections(1).sqlx_logging(false); // one: what it is told holds for all that follows
    let db = Database::connect(options).await?;
    let quickly =
        "PRAGMA busy_timeout = 60000; PRAGMA synchronous = OFF; PRAGMA cache_size = -200000";
    db.execute_unprepared(quickly).await?;
    for statement in statements {
        db.execute_unprepared(&statement).await?;
    }
    db.close().await
}
