//! Makes the tables of verification: who is to be verified, their codes, what happened, and how often another code
//! was asked for.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(verifications()).await?;
        manager.create_table(codes()).await?;
        manager.create_table(history()).await?;
        manager.create_table(resends()).await?;
        for index in INDEXES {
            manager.get_connection().execute_unprepared(index).await?;
        }
        kit::outbox::create_table(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        kit::outbox::drop_table(manager).await?;
        for table in ["resends", "history", "codes", "verifications"] {
            manager
                .drop_table(Table::drop().table(table).to_owned())
                .await?;
        }
        Ok(())
    }
}

/// Partial indexes, which the schema builder does not know; the same SQL on SQLite and Postgres.
const INDEXES: [&str; 8] = [
    // The one random index of its table: addresses come in any order.
    "CREATE INDEX verifications_address_key ON verifications (address_key)",
    "CREATE UNIQUE INDEX codes_account_id_number ON codes (account_id, number)",
    // An account has at most one live code: the rule itself, whatever the code does.
    "CREATE UNIQUE INDEX codes_live ON codes (account_id) WHERE state = 'live'",
    // What is due, and what has expired while it waited: as small as the backlog.
    "CREATE INDEX codes_due ON codes (next_attempt_at) WHERE mail_state = 'pending'",
    "CREATE INDEX codes_expired ON codes (expires_at) WHERE mail_state = 'pending'",
    "CREATE INDEX history_account_id ON history (account_id, id)",
    "CREATE INDEX resends_taken ON resends (taken_1_at)",
    "CREATE INDEX resends_wanted ON resends (wanted_at) WHERE wanted_at IS NOT NULL",
];

/// One row an account. A row is never deleted: it is what makes a repeated AccountCreated harmless.
fn verifications() -> TableCreateStatement {
    let mut table = Table::create();
    table
        .table("verifications")
        .col(ColumnDef::new("account_id").uuid().not_null().primary_key())
        .col(ColumnDef::new("email").text().not_null())
        .col(ColumnDef::new("address_key").text().not_null()) // lower-cased: what a resend is looked up by
        .col(ColumnDef::new("display_name").text().not_null())
        .col(ColumnDef::new("locale").text().not_null())
        .col(
            ColumnDef::new("account_created_at")
                .big_integer()
                .not_null(),
        ) // by accounts' clock
        .col(ColumnDef::new("created_at").big_integer().not_null())
        .col(ColumnDef::new("verified_at").big_integer());
    table
}

/// One row a code, which is its own outbox: mail state, schedule, claim and trace context stand in it. The digits
/// do not: they are derived from key, id and salt.
fn codes() -> TableCreateStatement {
    let mut table = Table::create();
    table
        .table("codes")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(ColumnDef::new("account_id").uuid().not_null())
        .col(ColumnDef::new("number").integer().not_null())
        .col(ColumnDef::new("version").big_integer().not_null()) // grows with every change that a watcher sees
        .col(ColumnDef::new("key_id").text().not_null())
        .col(ColumnDef::new("digits").integer().not_null()) // how many, not which
        .col(ColumnDef::new("salt").binary().not_null())
        .col(ColumnDef::new("state").text().not_null())
        .col(ColumnDef::new("mail_state").text().not_null())
        .col(ColumnDef::new("created_at").big_integer().not_null())
        .col(ColumnDef::new("expires_at").big_integer().not_null())
        .col(ColumnDef::new("guesses").integer().not_null())
        .col(ColumnDef::new("mail_attempts").integer().not_null())
        .col(ColumnDef::new("mail_reached").boolean().not_null()) // an attempt got as far as the mail server
        .col(ColumnDef::new("accepted_at").big_integer())
        .col(ColumnDef::new("next_attempt_at").big_integer().not_null())
        .col(ColumnDef::new("claim_no").integer().not_null())
        .col(ColumnDef::new("lease_until").big_integer().not_null()) // 0 when nobody holds it
        .col(ColumnDef::new("traceparent").text().not_null())
        .col(ColumnDef::new("tracestate").text().not_null());
    table
}

/// What a row would forget. Append-only; no address, no digits.
fn history() -> TableCreateStatement {
    let mut table = Table::create();
    table
        .table("history")
        .col(
            ColumnDef::new("id")
                .big_integer()
                .not_null()
                .auto_increment()
                .primary_key(),
        )
        .col(ColumnDef::new("account_id").uuid().not_null())
        .col(ColumnDef::new("code_id").uuid())
        .col(ColumnDef::new("at").big_integer().not_null())
        .col(ColumnDef::new("what").text().not_null())
        .col(ColumnDef::new("detail").text().not_null());
    table
}

/// One row for whoever asked for another code, known or not, under an HMAC of address or account id: when they did
/// the last ten times, and whether the last one still waits to be served.
fn resends() -> TableCreateStatement {
    let mut table = Table::create();
    table
        .table("resends")
        .col(ColumnDef::new("subject").binary().not_null().primary_key())
        .col(ColumnDef::new("account_id").uuid())
        .col(ColumnDef::new("wanted_at").big_integer());
    for nth in 1..=10 {
        table.col(
            ColumnDef::new(format!("taken_{nth}_at"))
                .big_integer()
                .not_null(),
        );
    }
    table
}
