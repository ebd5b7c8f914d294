//! One row a code, which is its own outbox: mail state, schedule, claim and trace context stand in
//! it. The digits do not: they are derived from key, id and salt.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, big_integer_null, binary, boolean, integer, pk_uuid, text, uuid},
};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table("codes")
            .col(pk_uuid("id"))
            .col(uuid("account_id"))
            .col(integer("number"))
            .col(big_integer("version")) // grows with every change that a watcher sees
            .col(text("key_id"))
            .col(integer("length"))
            .col(binary("salt"))
            .col(text("state"))
            .col(text("mail_state"))
            .col(big_integer("created_at"))
            .col(big_integer("expires_at")) // 0 once somebody was told that it has expired
            .col(big_integer_null("expired_at"))
            .col(integer("guesses"))
            .col(integer("mail_attempts"))
            .col(boolean("mail_reached")) // an attempt got as far as the mail server
            .col(big_integer_null("accepted_at"))
            .col(big_integer("next_attempt_at"))
            .col(big_integer("scheduled_at")) // when that was written
            .col(integer("claim_no"))
            .col(big_integer("claimed_until")) // 0 when nobody holds it
            .col(text("traceparent"))
            .col(text("tracestate"))
            .to_owned();
        manager.create_table(table).await?;
        let by_account = Index::create()
            .name("codes_account_id_number")
            .table("codes")
            .col("account_id")
            .col("number")
            .unique()
            .to_owned();
        manager.create_index(by_account).await?;
        // An account has at most one live code: the rule itself, whatever the program does.
        let live = Index::create()
            .name("codes_live")
            .table("codes")
            .col("account_id")
            .unique()
            .and_where(Expr::col("state").eq("live"))
            .to_owned();
        manager.create_index(live).await?;
        // What is due, what has expired while it waited, and what was written before the clock was
        // set back: as small as the backlog.
        for (name, column) in [
            ("codes_due", "next_attempt_at"),
            ("codes_expired", "expires_at"),
            ("codes_scheduled", "scheduled_at"),
        ] {
            let pending = Index::create()
                .name(name)
                .table("codes")
                .col(column)
                .and_where(Expr::col("mail_state").eq("pending"))
                .to_owned();
            manager.create_index(pending).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table("codes").to_owned())
            .await
    }
}
