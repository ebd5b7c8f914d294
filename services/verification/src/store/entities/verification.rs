//! Table `verifications`: one row an account, never deleted.

use std::fmt;

use kit::clock::Timestamp;
use sea_orm::entity::prelude::*;

/// One account's verification.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "verifications")]
pub struct Model {
    /// From AccountCreated: the natural key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub account_id: Uuid,
    /// Where mails go.
    pub email: String,
    /// The address in the form in which a resend looks it up.
    pub address_key: String,
    /// For the greeting.
    pub display_name: String,
    /// For the mail's language.
    pub locale: String,
    /// When the account was committed, by accounts' clock.
    pub account_created_at: Timestamp,
    /// When AccountCreated was taken in.
    pub created_at: Timestamp,
    /// When the right code was confirmed.
    pub verified_at: Option<Timestamp>,
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verification({}, <redacted>)", self.account_id)
    }
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
