//! Whose codes they are: one row an account. A row is never deleted: it is what makes a repeated
//! AccountCreated harmless.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, big_integer_null, pk_uuid, text},
};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table("verifications")
            .col(pk_uuid("account_id"))
            .col(text("email"))
            .col(text("address_key")) // lower-cased: what a resend is looked up by
            .col(text("display_name"))
            .col(text("locale"))
            .col(big_integer("account_created_at")) // by accounts' clock
            .col(big_integer("created_at"))
            .col(big_integer_null("verified_at"))
            .to_owned();
        manager.create_table(table).await?;
        // The one random index of its table: addresses come in any order.
        let by_address = Index::create()
            .name("verifications_address_key")
            .table("verifications")
            .col("address_key")
            .to_owned();
        manager.create_index(by_address).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table("verifications").to_owned())
            .await
    }
}
