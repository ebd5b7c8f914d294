//! Which keys made which accounts in the last 24 hours. Holds hashes only.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table(IdempotencyKeys::Table)
            .col(
                ColumnDef::new(IdempotencyKeys::KeyHash)
                    .binary_len(32)
                    .not_null()
                    .primary_key(),
            )
            .col(
                ColumnDef::new(IdempotencyKeys::Fingerprint)
                    .binary_len(32)
                    .not_null(),
            )
            .col(ColumnDef::new(IdempotencyKeys::AccountId).uuid().not_null())
            .col(
                ColumnDef::new(IdempotencyKeys::CreatedAt)
                    .big_integer()
                    .not_null(),
            )
            .to_owned();
        manager.create_table(table).await?;
        let oldest_first = Index::create()
            .name("idempotency_keys_created_at")
            .table(IdempotencyKeys::Table)
            .col(IdempotencyKeys::CreatedAt)
            .to_owned();
        manager.create_index(oldest_first).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table(IdempotencyKeys::Table).to_owned())
            .await
    }
}

#[derive(DeriveIden)]
enum IdempotencyKeys {
    Table,
    KeyHash,
    Fingerprint,
    AccountId,
    CreatedAt,
}
