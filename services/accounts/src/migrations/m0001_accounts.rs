//! The accounts themselves. One random unique index only: a second one would cost as much as the row.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut email_key = ColumnDef::new(Accounts::EmailKey);
        email_key.text().not_null().unique_key();
        if manager.get_database_backend() == sea_orm::DbBackend::Postgres {
            email_key.extra("COLLATE \"C\""); // octets decide, never a locale's rules
        }
        let table = Table::create()
            .table(Accounts::Table)
            .col(ColumnDef::new(Accounts::Id).uuid().not_null().primary_key())
            .col(ColumnDef::new(Accounts::Email).text().not_null())
            .col(email_key)
            .col(ColumnDef::new(Accounts::DisplayName).text().not_null())
            .col(ColumnDef::new(Accounts::Locale).text().not_null())
            .col(ColumnDef::new(Accounts::Status).string_len(16).not_null())
            .col(ColumnDef::new(Accounts::CreatedAt).big_integer().not_null())
            .col(ColumnDef::new(Accounts::VerifiedAt).big_integer())
            .to_owned();
        manager.create_table(table).await?;
        let newest_first = Index::create()
            .name("accounts_created_at_id")
            .table(Accounts::Table)
            .col(Accounts::CreatedAt)
            .col(Accounts::Id)
            .to_owned();
        manager.create_index(newest_first).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table(Accounts::Table).to_owned())
            .await
    }
}

#[derive(DeriveIden)]
enum Accounts {
    Table,
    Id,
    Email,
    EmailKey,
    DisplayName,
    Locale,
    Status,
    CreatedAt,
    VerifiedAt,
}
