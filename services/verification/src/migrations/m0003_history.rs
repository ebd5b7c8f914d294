//! What the other rows would forget. Append-only; no address, no digits.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, big_pk_auto, text, uuid, uuid_null},
};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table("history")
            .col(big_pk_auto("id"))
            .col(uuid("account_id"))
            .col(uuid_null("code_id"))
            .col(big_integer("at"))
            .col(text("what"))
            .col(text("detail"))
            .to_owned();
        manager.create_table(table).await?;
        let by_account = Index::create()
            .name("history_account_id")
            .table("history")
            .col("account_id")
            .col("id")
            .to_owned();
        manager.create_index(by_account).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table("history").to_owned())
            .await
    }
}
