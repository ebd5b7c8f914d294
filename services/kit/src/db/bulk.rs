//! One UPDATE for many rows, each with its own values: marking a batch is a few statements, not hundreds.

use sea_orm::{ConnectionTrait, DbErr, Statement, Value};
use uuid::Uuid;

use super::tx::Tx;

/// Most values of one statement, well below SQLite's 32,766 and Postgres' 65,535.
const VALUES: usize = 16_000;

/// Runs `sql` for all `rows` and returns the ids that it names in `RETURNING`. In it, `given` is a table of these
/// `columns` with the rows in it, and `$1`, `$2`, … are the `shared` values. Does nothing for no rows.
///
/// ```sql
/// UPDATE mails SET claimed_until = $1 FROM given WHERE mails.id = given.id RETURNING mails.id
/// ```
///
/// # Errors
/// The database's.
pub async fn update_given<const N: usize>(
    tx: &Tx,
    columns: [&str; N],
    sql: &str,
    shared: &[Value],
    rows: &[[Value; N]],
) -> Result<Vec<Uuid>, DbErr> {
    let columns = columns.join(", ");
    let mut updated = Vec::with_capacity(rows.len());
    for rows in rows.chunks(VALUES / N) {
        let mut values = shared.to_vec();
        let mut lists = Vec::with_capacity(rows.len());
        for row in rows {
            lists.push(placeholders(values.len() + 1, N));
            values.extend(row.iter().cloned());
        }
        let sql = format!(
            "WITH given({columns}) AS (VALUES {}) {sql}",
            lists.join(", ")
        );
        let statement = Statement::from_sql_and_values(tx.get_database_backend(), sql, values);
        for row in tx.query_all_raw(statement).await? {
            updated.push(row.try_get_by_index(0)?);
        }
    }
    Ok(updated)
}

/// `($2, $3, $4)`.
fn placeholders(from: usize, number: usize) -> String {
    let all: Vec<String> = (from..from + number)
        .map(|place| format!("${place}"))
        .collect();
    format!("({})", all.join(", "))
}
