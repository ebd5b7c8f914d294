//! Tables whose rows are found by their key.

use sea_orm::{DbBackend, DbErr};
use sea_orm_migration::{SchemaManager, prelude::TableCreateStatement};

/// Creates a table whose key is not a number. On SQLite its rows lie in the key itself; else each key
/// would lie in an index besides, which every insert writes and every look-up passes
/// (<https://sqlite.org/withoutrowid.html>). Not for long rows that change: verification's codes cost
/// more so.
///
/// # Errors
/// The database's.
pub async fn create_keyed_table(
    manager: &SchemaManager<'_>,
    mut table: TableCreateStatement,
) -> Result<(), DbErr> {
    if manager.get_database_backend() == DbBackend::Sqlite {
        table.extra("WITHOUT ROWID");
    }
    manager.create_table(table).await
}
