//! Table `history`: append-only facts that the other rows would forget.

use kit::clock::Timestamp;
use sea_orm::entity::prelude::*;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "history")]
pub(crate) struct Model {
    /// In the order of writing.
    #[sea_orm(primary_key)]
    pub(crate) id: i64,
    /// To whose verification.
    pub(crate) account_id: Uuid,
    /// To which code, if to one.
    pub(crate) code_id: Option<Uuid>,
    /// When.
    pub(crate) at: Timestamp,
    /// What, as a word of `store::history`.
    pub(crate) what: String,
    /// More, for people; no address, no digits.
    pub(crate) detail: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
