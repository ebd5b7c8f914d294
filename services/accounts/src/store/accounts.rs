//! Table `accounts`. `commands::create_account` inserts, `commands::verify_accounts` updates,
//! everybody reads.

use std::fmt;

use kit::{
    clock::Timestamp,
    db::{Tx, update_given},
    page::PageToken,
};
use sea_orm::{QueryOrder, QuerySelect, entity::prelude::*, sea_query::OnConflict};

use crate::domain::NewAccount;

/// An account. Debug shows neither address nor name.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "accounts")]
pub(crate) struct Model {
    /// UUID version 7, made before the row.
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: Uuid,
    /// The address as it was given, its domain in ASCII form.
    pub(crate) email: String,
    /// The address in the form that is unique.
    #[sea_orm(unique)]
    pub(crate) email_key: String,
    /// Whom the mail greets; may be empty.
    pub(crate) display_name: String,
    /// The language tag as it was given; may be empty.
    pub(crate) locale: String,
    /// Whether the address has been confirmed.
    pub(crate) status: Status,
    /// When it was committed, by the database's clock.
    pub(crate) created_at: Timestamp,
    /// When the code was confirmed, by verification's database.
    pub(crate) verified_at: Option<Timestamp>,
}

/// Where an account stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub(crate) enum Status {
    /// The address has not been confirmed yet.
    #[sea_orm(string_value = "pending")]
    Pending,
    /// The code was confirmed.
    #[sea_orm(string_value = "verified")]
    Verified,
}

impl Model {
    /// The row of a new account.
    pub(crate) fn pending(id: Uuid, new: &NewAccount, now: Timestamp) -> Self {
        Self {
            id,
            email: new.email.as_str().to_owned(),
            email_key: new.email.key().to_owned(),
            display_name: new.display_name.as_str().to_owned(),
            locale: new.locale.as_str().to_owned(),
            status: Status::Pending,
            created_at: now,
            verified_at: None,
        }
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("id", &self.id)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Inserts those whose address is free and returns their ids.
pub(crate) async fn insert(tx: &Tx, mut accounts: Vec<Model>) -> Result<Vec<Uuid>, DbErr> {
    if accounts.is_empty() {
        return Ok(Vec::new());
    }
    // In the unique key's order: two transactions that meet wait in one direction only.
    accounts.sort_unstable_by(|a, b| a.email_key.cmp(&b.email_key));
    let rows = accounts
        .into_iter()
        .map(|account| ActiveModel::from(account).reset_all());
    // Without it one taken address would fail the group, and on Postgres the transaction.
    let if_free = OnConflict::column(Column::EmailKey).do_nothing().to_owned();
    Entity::insert_many(rows)
        .on_conflict(if_free)
        .exec_with_returning_keys(tx)
        .await
}

/// The accounts with these ids, in no order; ids without an account are left out.
pub(crate) async fn by_ids(
    connection: &impl ConnectionTrait,
    ids: impl IntoIterator<Item = Uuid>,
) -> Result<Vec<Model>, DbErr> {
    let ids: Vec<Uuid> = ids.into_iter().collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    Entity::find()
        .filter(Column::Id.is_in(ids))
        .all(connection)
        .await
}

/// Turns pending accounts verified and returns their ids. Accounts that are verified already or do
/// not exist are left as they are.
pub(crate) async fn verify(tx: &Tx, verified: &[(Uuid, Timestamp)]) -> Result<Vec<Uuid>, DbErr> {
    // Guarded by the status, so that a repeated event changes nothing: neither the first one's
    // moment nor what watchers are woken for.
    let sql = "UPDATE accounts SET status = $1, verified_at = given.verified_at FROM given
               WHERE accounts.id = given.id AND status = $2 RETURNING accounts.id";
    let statuses = [
        Status::Verified.to_value().into(),
        Status::Pending.to_value().into(),
    ];
    let mut rows = Vec::with_capacity(verified.len());
    for (id, verified_at) in verified {
        rows.push([(*id).into(), (*verified_at).into()]);
    }
    update_given(tx, ["id", "verified_at"], sql, &statuses, &rows).await
}

/// The account of an address, by its unique form.
pub(crate) async fn by_address(
    connection: &impl ConnectionTrait,
    email_key: &str,
) -> Result<Option<Model>, DbErr> {
    Entity::find()
        .filter(Column::EmailKey.eq(email_key))
        .one(connection)
        .await
}

/// A part of the list of all accounts, newest first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    /// Those that follow it; nothing means from the newest.
    pub(crate) after: Option<PageToken>,
    /// As far as this one; nothing means to the oldest.
    pub(crate) end: Option<PageToken>,
    /// Only those; nothing means all.
    pub(crate) status: Option<Status>,
}

/// At most `limit` accounts of it.
pub(crate) async fn newest_first(
    connection: &impl ConnectionTrait,
    span: Span,
    limit: u64,
) -> Result<Vec<Model>, DbErr> {
    let mut newest = sorted(span.after);
    if let Some(end) = span.end {
        newest = newest.filter(end.reaches(Column::CreatedAt, Column::Id));
    }
    if let Some(status) = span.status {
        newest = newest.filter(Column::Status.eq(status));
    }
    newest.limit(limit).all(connection).await
}

/// The last of the `n` accounts that follow `after`; nothing when there are fewer. Read from the
/// index alone.
pub(crate) async fn nth(
    connection: &impl ConnectionTrait,
    after: Option<PageToken>,
    n: u64,
) -> Result<Option<PageToken>, DbErr> {
    let found = sorted(after)
        .select_only()
        .columns([Column::CreatedAt, Column::Id])
        .offset(n - 1)
        .into_tuple::<(Timestamp, Uuid)>()
        .one(connection)
        .await?;
    Ok(found.map(|(at, id)| PageToken { at, id }))
}

fn sorted(after: Option<PageToken>) -> Select<Entity> {
    let mut newest = Entity::find();
    if let Some(token) = after {
        newest = newest.filter(token.precedes(Column::CreatedAt, Column::Id));
    }
    newest
        .order_by_desc(Column::CreatedAt)
        .order_by_desc(Column::Id)
}
