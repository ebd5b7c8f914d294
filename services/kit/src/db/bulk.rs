//! Many rows at once. One UPDATE for many, each with its own values: marking a batch is a few
//! statements, not hundreds.

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement, Value};
use uuid::Uuid;

use super::tx::Tx;

/// Most values of one statement, well below SQLite's 32,766 and Postgres' 65,535.
const VALUES: usize = 16_000;

/// Runs `sql` for all `rows` and returns the ids that it names in `RETURNING`. In it, `given` is a
/// table of these `columns` with the rows in it, and `$1`, `$2`, … are the `shared` values. Does
/// nothing for no rows.
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
    let mut updated = Vec::with_capacity(rows.len());
    for rows in rows.chunks(VALUES / N) {
        let statement = given(tx, columns, sql, shared, rows);
        for row in tx.query_all_raw(statement).await? {
            updated.push(row.try_get_by_index(0)?);
        }
    }
    Ok(updated)
}

/// The same without an answer: see [`Tx::later`].
///
/// # Errors
/// The database's.
pub async fn update_given_later<const N: usize>(
    tx: &Tx,
    columns: [&str; N],
    sql: &str,
    shared: &[Value],
    rows: &[[Value; N]],
) -> Result<(), DbErr> {
    for rows in rows.chunks(VALUES / N) {
        let statement = given(tx, columns, sql, shared, rows);
        tx.later().execute_raw(statement).await?;
    }
    Ok(())
}

fn given<const N: usize>(
    tx: &Tx,
    columns: [&str; N],
    sql: &str,
    shared: &[Value],
    rows: &[[Value; N]],
) -> Statement {
    let (backend, columns) = (tx.get_database_backend(), columns.join(", "));
    let row_values = rows.iter().flatten().cloned();
    let (lists, sql, values): (Vec<String>, String, Vec<Value>) = if backend == DbBackend::Sqlite {
        // SQLite searches all names of a statement for each name: thousands of values have none.
        let row = format!("({})", ["?"; N].join(", "));
        let (sql, shared) = in_order(sql, shared);
        (
            vec![row; rows.len()],
            sql,
            row_values.chain(shared).collect(),
        )
    } else {
        // The shared values come first, so that `$1` means the same in each chunk's text.
        let row = |nth| placeholders(shared.len() + nth * N + 1, N);
        let values = shared.iter().cloned().chain(row_values).collect();
        ((0..rows.len()).map(row).collect(), sql.to_owned(), values)
    };
    let lists = lists.join(", ");
    let sql = format!("WITH given({columns}) AS (VALUES {lists}) {sql}");
    Statement::from_sql_and_values(backend, sql, values)
}

/// `sql` with `?` for each `$1`, `$2`, …, and their values in the order in which it has them.
fn in_order(sql: &str, shared: &[Value]) -> (String, Vec<Value>) {
    let mut parts = sql.split('$');
    let (mut ordered, mut values) = (parts.next().unwrap_or_default().to_owned(), Vec::new());
    for part in parts {
        let (digit, rest) = part.split_at(1);
        let place: usize = digit
            .parse()
            .expect("there are fewer than ten, counted from 1");
        values.push(shared[place - 1].clone());
        ordered.push('?');
        ordered.push_str(rest);
    }
    (ordered, values)
}

/// Locks the rows with these keys until the transaction ends, in the order of the keys.
///
/// # Errors
/// The database's.
pub async fn lock_rows(
    tx: &Tx,
    table: &str,
    key: &str,
    keys: impl Iterator<Item = Uuid>,
) -> Result<(), DbErr> {
    let backend = tx.get_database_backend();
    // There the transaction is alone anyway, since its BEGIN IMMEDIATE.
    if backend == DbBackend::Sqlite {
        return Ok(());
    }
    let mut keys: Vec<Uuid> = keys.collect();
    // Two transactions that take several rows each never wait for one another in a circle if both
    // take them in this order; a statement by itself takes them in whatever order its plan finds.
    keys.sort_unstable();
    for keys in keys.chunks(VALUES) {
        let places = placeholders(1, keys.len());
        let sql =
            format!("SELECT {key} FROM {table} WHERE {key} IN {places} ORDER BY {key} FOR UPDATE");
        let keys = keys.iter().map(|key| Value::from(*key));
        tx.query_all_raw(Statement::from_sql_and_values(backend, sql, keys))
            .await?;
    }
    Ok(())
}

/// `($2, $3, $4)`.
fn placeholders(from: usize, number: usize) -> String {
    let all: Vec<String> = (from..from + number)
        .map(|place| format!("${place}"))
        .collect();
    format!("({})", all.join(", "))
}
