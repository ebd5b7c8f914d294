//! One row for whoever asked for another code, known or not, under an HMAC of address or account
//! id: when they did the last ten times, and whether the last one still waits to be served.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, big_integer_null, binary, uuid_null},
};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut table = Table::create();
        table
            .table("resends")
            .col(binary("subject").primary_key())
            .col(uuid_null("account_id"))
            .col(big_integer_null("wanted_at"));
        for nth in 1..=10 {
            table.col(big_integer(format!("taken_{nth}_at")));
        }
        manager.create_table(table).await?;
        let oldest_first = Index::create()
            .name("resends_taken")
            .table("resends")
            .col("taken_1_at")
            .to_owned();
        manager.create_index(oldest_first).await?;
        let of_nobody = Index::create()
            .name("resends_of_nobody")
            .table("resends")
            .col("taken_1_at")
            .and_where(Expr::col("account_id").is_null())
            .to_owned();
        manager.create_index(of_nobody).await?;
        let unserved = Index::create()
            .name("resends_wanted")
            .table("resends")
            .col("wanted_at")
            .and_where(Expr::col("wanted_at").is_not_null())
            .to_owned();
        manager.create_index(unserved).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table("resends").to_owned())
            .await
    }
}
