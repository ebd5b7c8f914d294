//! Table `resends`: how often another code was asked for, and whether the last request still waits.

use kit::clock::Timestamp;
use sea_orm::entity::prelude::*;

/// One asker, known or not.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "resends")]
pub(crate) struct Model {
    /// HMAC of the address or the account id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) subject: Vec<u8>,
    /// Who is to get a code; none when nobody was found.
    pub(crate) account_id: Option<Uuid>,
    /// When it was asked for; none once it is served.
    pub(crate) wanted_at: Option<Timestamp>,
    /// The newest request.
    pub(crate) taken_1_at: Timestamp,
    /// The one before; 0 where there was none.
    pub(crate) taken_2_at: Timestamp,
    /// And so on.
    pub(crate) taken_3_at: Timestamp,
    /// And so on.
    pub(crate) taken_4_at: Timestamp,
    /// And so on.
    pub(crate) taken_5_at: Timestamp,
    /// And so on.
    pub(crate) taken_6_at: Timestamp,
    /// And so on.
    pub(crate) taken_7_at: Timestamp,
    /// And so on.
    pub(crate) taken_8_at: Timestamp,
    /// And so on.
    pub(crate) taken_9_at: Timestamp,
    /// The tenth newest.
    pub(crate) taken_10_at: Timestamp,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
