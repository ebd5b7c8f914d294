//! Table `resends`: how often another code was asked for, and whether the last request still waits.

use kit::clock::Timestamp;
use sea_orm::entity::prelude::*;

/// One asker, known or not.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "resends")]
pub struct Model {
    /// HMAC of the address or the account id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub subject: Vec<u8>,
    /// Who is to get a code; none when nobody was found.
    pub account_id: Option<Uuid>,
    /// When it was asked for; none once it is served.
    pub wanted_at: Option<Timestamp>,
    /// The newest request.
    pub taken_1_at: Timestamp,
    /// The one before; 0 where there was none.
    pub taken_2_at: Timestamp,
    /// And so on.
    pub taken_3_at: Timestamp,
    /// And so on.
    pub taken_4_at: Timestamp,
    /// And so on.
    pub taken_5_at: Timestamp,
    /// And so on.
    pub taken_6_at: Timestamp,
    /// And so on.
    pub taken_7_at: Timestamp,
    /// And so on.
    pub taken_8_at: Timestamp,
    /// And so on.
    pub taken_9_at: Timestamp,
    /// The tenth newest.
    pub taken_10_at: Timestamp,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
