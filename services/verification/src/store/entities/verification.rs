//! Table `verifications`: one row an account, never deleted.

use std::fmt;

use kit::clock::Timestamp;
use sea_orm::entity::prelude::*;

/// One account's verification.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "verifications")]
pub(crate) struct Model {
    /// From AccountCreated: the natural key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) account_id: Uuid,
    /// Where mails go.
    pub(crate) email: String,
    /// The address in the form in which a resend looks it up.
    pub(crate) address_key: String,
    /// For the greeting.
    pub(crate) display_name: String,
    /// For the mail's language.
    pub(crate) locale: String,
    /// When the account was committed, by accounts' clock.
    pub(crate) account_created_at: Timestamp,
    /// When AccountCreated was taken in.
    pub(crate) created_at: Timestamp,
    /// When the right code was confirmed.
    pub(crate) verified_at: Option<Timestamp>,
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verification({}, <redacted>)", self.account_id)
    }
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
