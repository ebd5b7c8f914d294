//! The tables of a service that consumes; for its migrations.

use sea_orm::DbErr;
use sea_orm_migration::SchemaManager;

use super::{letters, trials};

/// Creates `trials` and `dead_letters`.
///
/// # Errors
/// The database's.
pub async fn create_tables(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    trials::create_table(manager).await?;
    letters::create_table(manager).await
}

/// Drops them.
///
/// # Errors
/// The database's.
pub async fn drop_tables(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    letters::drop_table(manager).await?;
    trials::drop_table(manager).await
}
