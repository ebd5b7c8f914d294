//! One UPDATE for many rows, each with its own values: settling a batch is a few statements, not hundreds.

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr, Statement, Value};
use uuid::Uuid;

/// Most values of one statement, well below SQLite's 32,766 and Postgres' 65,535.
const VALUES: usize = 16_000;

/// Runs `sql` for all `rows` and returns the ids that it names in `RETURNING id`. In it, `{rows}` becomes a list of
/// values named `given.column1`, `given.column2`, …, as both databases call them; `$1` is `first`. Does nothing for no
/// rows.
///
/// # Errors
/// The database's.
pub async fn update_each<const N: usize>(
    tx: &DatabaseTransaction,
    sql: &str,
    first: Value,
    rows: &[[Value; N]],
) -> Result<Vec<Uuid>, DbErr> {
    let mut updated = Vec::with_capacity(rows.len());
    for rows in rows.chunks(VALUES / N) {
        let lists: Vec<String> = (0..rows.len())
            .map(|row| placeholders::<N>(2 + row * N))
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

fn placeholders<const N: usize>(from: usize) -> String {
    let all: Vec<String> = (from..from + N).map(|place| format!("${place}")).collect();
    format!("({})", all.join(", "))
}
