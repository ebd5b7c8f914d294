//! What callers that are not on `Tx` yet still use.

use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DbErr, SqliteTransactionMode, Statement,
    TransactionOptions, TransactionTrait, Value,
};
use uuid::Uuid;

use super::Db;

impl Db {
    /// Begins a write transaction without a limit.
    ///
    /// # Errors
    /// When the database is away or stays locked.
    pub async fn begin(&self) -> Result<DatabaseTransaction, DbErr> {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        self.for_migrations().begin_with_options(options).await
    }
}

/// `update_given` by number instead of by name.
///
/// # Errors
/// The database's.
pub async fn update_each<const N: usize>(
    tx: &impl ConnectionTrait,
    sql: &str,
    first: Value,
    rows: &[[Value; N]],
) -> Result<Vec<Uuid>, DbErr> {
    let mut updated = Vec::with_capacity(rows.len());
    for rows in rows.chunks(16_000 / N) {
        let lists: Vec<String> = (0..rows.len())
            .map(|row| super::bulk::placeholders(2 + row * N, N))
            .collect();
        let sql = sql.replace("{rows}", &format!("(VALUES {}) AS given", lists.join(", ")));
        let values = std::iter::once(first.clone()).chain(rows.iter().flatten().cloned());
        let statement = Statement::from_sql_and_values(tx.get_database_backend(), sql, values);
        for row in tx.query_all_raw(statement).await? {
            updated.push(row.try_get_by_index(0)?);
        }
    }
    Ok(updated)
}

/// Runs a transaction; `Tx` measures itself.
pub async fn measured<T>(_: &'static str, transaction: impl Future<Output = T>) -> T {
    transaction.await
}
