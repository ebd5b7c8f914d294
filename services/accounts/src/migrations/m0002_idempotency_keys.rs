//! Which keys made which accounts in the last 24 hours. Holds hashes only.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, binary, uuid},
};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table("idempotency_keys")
            .col(binary("key_hash").primary_key())
            .col(binary("fingerprint"))
            .col(uuid("account_id"))
            .col(big_integer("created_at"))
            .to_owned();
        manager.create_table(table).await?;
        // For `forget_keys`, which would else read all keys of a day every ten minutes.
        let oldest_first = Index::create()
            .name("idempotency_keys_created_at")
            .table("idempotency_keys")
            .col("created_at")
            .to_owned();
        manager.create_index(oldest_first).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table("idempotency_keys").to_owned())
            .await
    }
}
