//! `mails`, the ledger, and `attempts`, what operators read of it. `store` describes the columns.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, big_integer_null, blob, integer, text, uuid},
};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mails = Table::create()
            .table("mails")
            .col(uuid("code_id").primary_key())
            .col(uuid("account_id"))
            .col(text("template"))
            .col(text("locale"))
            .col(blob("address_mac"))
            .col(text("address_key_id"))
            .col(text("state"))
            .col(integer("claim_no"))
            .col(big_integer("claimed_until"))
            .col(integer("unknown_attempts"))
            .col(text("reason"))
            .col(big_integer_null("ended_at"))
            .col(big_integer("keep_until"))
            .to_owned();
        manager.create_table(mails).await?;
        let attempts = Table::create()
            .table("attempts")
            .col(uuid("id").primary_key())
            .col(uuid("code_id"))
            .col(uuid("account_id"))
            .col(integer("attempt"))
            .col(text("outcome"))
            .col(text("reply"))
            .col(big_integer("ended_at"))
            .col(text("trace_id"))
            .to_owned();
        manager.create_table(attempts).await?;
        for (name, table, columns) in [
            ("mails_keep_until", "mails", &["keep_until"][..]),
            ("attempts_newest", "attempts", &["ended_at", "id"][..]),
            ("attempts_of_mail", "attempts", &["code_id"][..]),
        ] {
            let mut index = Index::create().name(name).table(table).to_owned();
            for column in columns {
                index.col(*column);
            }
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table("attempts").to_owned())
            .await?;
        manager
            .drop_table(Table::drop().table("mails").to_owned())
            .await
    }
}
