//! The accounts themselves. One random unique index only: a second one would cost as much as the
//! row.

use sea_orm::DbBackend;
use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, big_integer_null, pk_uuid, text},
};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut email_key = text("email_key");
        email_key.unique_key();
        if manager.get_database_backend() == DbBackend::Postgres {
            // Octets decide, never a locale's rules, which change with the system's libraries.
            email_key.extra("COLLATE \"C\"");
        }
        let table = Table::create()
            .table("accounts")
            .col(pk_uuid("id"))
            .col(text("email"))
            .col(email_key)
            .col(text("display_name"))
            .col(text("locale"))
            .col(text("status"))
            .col(big_integer("created_at"))
            .col(big_integer_null("verified_at"))
            .to_owned();
        manager.create_table(table).await?;
        // For `usher account list`; in the order of commits, so that it grows at its end.
        let newest_first = Index::create()
            .name("accounts_created_at_id")
            .table("accounts")
            .col("created_at")
            .col("id")
            .to_owned();
        manager.create_index(newest_first).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table("accounts").to_owned())
            .await
    }
}
