//! Table `accounts`. `commands::create_account` inserts, `commands::verify_accounts` updates, everybody reads.

use std::fmt;

use kit::clock::Timestamp;
use sea_orm::{
    Condition, ExprTrait as _, QueryOrder, QuerySelect,
    entity::prelude::*,
    sea_query::{Alias, OnConflict, Query, TableRef, ValueTuple},
};

use crate::domain::NewAccount;

/// An account. Debug shows neither address nor name.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "accounts")]
pub struct Model {
    /// UUID version 7, made before the row.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The address as it was given, its domain in ASCII form.
    pub email: String,
    /// The address in the form that is unique.
    #[sea_orm(unique)]
    pub email_key: String,
    /// Whom the mail greets; may be empty.
    pub display_name: String,
    /// The language tag as it was given; may be empty.
    pub locale: String,
    /// Whether the address has been confirmed.
    pub status: Status,
    /// When it was committed, by the database's clock.
    pub created_at: Timestamp,
    /// When the code was confirmed, by verification's database.
    pub verified_at: Option<Timestamp>,
}

/// Where an account stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))")]
pub enum Status {
    /// The address has not been confirmed yet.
    #[sea_orm(string_value = "pending")]
    Pending,
    /// The code was confirmed.
    #[sea_orm(string_value = "verified")]
    Verified,
}

impl Model {
    /// The row of a new account.
    #[must_use]
    pub fn pending(id: Uuid, new: &NewAccount, now: Timestamp) -> Self {
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
#[expect(missing_docs, reason = "there are none; SeaORM asks for the type")]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Inserts those whose address is free and returns their ids. Rows go in by the unique key's order, so that two
/// transactions that meet wait for each other in one direction only.
///
/// # Errors
/// When the database refuses; a taken address is none.
pub async fn insert(
    tx: &impl ConnectionTrait,
    mut accounts: Vec<Model>,
) -> Result<Vec<Uuid>, DbErr> {
    if accounts.is_empty() {
        return Ok(Vec::new());
    }
    accounts.sort_unstable_by(|a, b| a.email_key.cmp(&b.email_key));
    let rows = accounts
        .into_iter()
        .map(|account| ActiveModel::from(account).reset_all());
    let if_free = OnConflict::column(Column::EmailKey).do_nothing().to_owned();
    Entity::insert_many(rows)
        .on_conflict(if_free)
        .exec_with_returning_keys(tx)
        .await
}

/// The accounts with these ids, in no order; ids without an account are left out.
///
/// # Errors
/// When the database does not answer.
pub async fn by_ids(
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

/// Turns pending accounts verified and returns their ids. Accounts that are verified already or do not exist are
/// left as they are, so that a repeated event changes nothing.
///
/// # Errors
/// When the database does not answer.
pub async fn verify(
    tx: &impl ConnectionTrait,
    verified: &[(Uuid, Timestamp)],
) -> Result<Vec<Uuid>, DbErr> {
    if verified.is_empty() {
        return Ok(Vec::new());
    }
    let event = |column: &'static str| Expr::col((Alias::new("event"), Alias::new(column)));
    let events = verified
        .iter()
        .map(|(id, at)| ValueTuple::from((*id, at.0)))
        .collect();
    let update = Query::update()
        .table(Entity)
        .value(Column::Status, Status::Verified)
        .value(Column::VerifiedAt, event("column2")) // both databases name the columns of VALUES so
        .from(TableRef::ValuesList(events, Alias::new("event").into()))
        .and_where(Expr::col((Entity, Column::Id)).eq(event("column1")))
        .and_where(Expr::col((Entity, Column::Status)).eq(Status::Pending))
        .returning_col((Entity, Column::Id))
        .to_owned();
    tx.query_all(&update)
        .await?
        .iter()
        .map(|row| row.try_get_by_index(0))
        .collect()
}

/// At most `limit` accounts, newest first; with `after`, those that follow it.
///
/// # Errors
/// When the database does not answer.
pub async fn newest_first(
    connection: &impl ConnectionTrait,
    after: Option<(Timestamp, Uuid)>,
    limit: u64,
) -> Result<Vec<Model>, DbErr> {
    let following = after.map(|(at, id)| {
        let same_moment = Condition::all()
            .add(Column::CreatedAt.eq(at))
            .add(Column::Id.lt(id));
        Condition::any()
            .add(Column::CreatedAt.lt(at))
            .add(same_moment)
    });
    Entity::find()
        .filter(following.unwrap_or_else(Condition::all))
        .order_by_desc(Column::CreatedAt)
        .order_by_desc(Column::Id)
        .limit(limit)
        .all(connection)
        .await
}
