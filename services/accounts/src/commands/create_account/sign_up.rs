//! What passes between a caller and the group that commits its sign-up.

use std::sync::Arc;

use kit::{Violation, db::StoreError};
use opentelemetry::Context;
use uuid::Uuid;

use super::wait::Wait;
use crate::{
    dispatch::{Created, Pending, Place},
    domain::{Hash, NewAccount},
    store::Account,
};

/// One caller's wish, with all that can be made without the database.
#[derive(Debug)]
pub(super) struct SignUp {
    pub(super) id: Uuid,
    pub(super) account: NewAccount,
    pub(super) request: Option<RequestId>,
    pub(super) caller: Context,
    pub(super) wait: Arc<Wait>,
    pub(super) place: Place,
}

impl SignUp {
    /// What the dispatcher is told of the account that this one is given.
    pub(super) fn created(&self, account: Account) -> Created {
        Created {
            account,
            context: self.caller.clone(),
            deadline: self.wait.deadline(),
            place: self.place.clone(),
        }
    }
}

/// What tells a repeated request from another one.
#[derive(Debug)]
pub(super) struct RequestId {
    pub(super) key: Hash,
    pub(super) fingerprint: Hash,
}

/// What one caller is told.
pub(super) type SignedUp = Result<Committed, CreateAccountError>;

/// An account that is stored, and what is left to do for it.
#[derive(Debug)]
pub(super) struct Committed {
    pub(super) account: Account,
    pub(super) pending: Option<Pending>,
}

/// Why there is no account to show. Nothing was written, but where the case says otherwise.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum CreateAccountError {
    /// Parts of the request are not well-formed.
    #[error("the request has invalid fields")]
    Invalid(Vec<Violation>),
    /// Another account has this address.
    #[error("the address is taken")]
    AddressTaken,
    /// The idempotency key made another account, or tries to just now.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// As many sign-ups wait as may, or as many events are on their way.
    #[error("too many sign-ups are waiting")]
    Busy,
    /// The caller would not have waited until it is stored.
    #[error("it could not be stored in time")]
    Late,
    /// The service is about to end.
    #[error("the service is shutting down")]
    Stopping,
    /// The commit did not come to an end: whether it happened nobody knows.
    #[error("the commit did not come to an end")]
    Lost,
    /// The store's part was not done.
    #[error(transparent)]
    Store(#[from] StoreError),
}
