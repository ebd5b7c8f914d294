//! What verification can do, one use case a file, named after it. `grpc`, `consumer` and `delivery` decode, call one
//! of these, and encode.

mod claim_mails;
mod confirm_code;
mod issue_code;
mod read_verification;
mod replace_expired;
mod resend_code;
mod settle_mails;
mod start_verifications;

use std::{sync::Arc, time::Duration};

use kit::{clock::Clock, db::Db, outbox::Outbox, watch::Watches};
use sea_orm::DbErr;
use uuid::Uuid;

pub(crate) use confirm_code::{ConfirmError, Confirmed};
pub(crate) use read_verification::{Happened, Shown};
pub(crate) use resend_code::{ResendError, ResendTarget};
pub(crate) use settle_mails::Settlement;
pub(crate) use start_verifications::{NewVerification, StartError, Started};

use crate::{
    domain::{digits::Length, keys::KeyRing},
    store,
};
pub(crate) use crate::{
    queue::{Incoming, Mail, Queue},
    store::{Code, CodeState, MailState, mails::Claim},
};

/// A failure that is nobody's fault but the database's, or ours.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    /// The database could not be used just now; the same call may succeed in a moment.
    #[error("the database is away: {0}")]
    Away(#[source] DbErr),
    /// Anything else.
    #[error("{0}")]
    Unexpected(#[source] DbErr),
}

impl From<DbErr> for Failed {
    fn from(error: DbErr) -> Self {
        if kit::db::is_away(&error) {
            Self::Away(error)
        } else {
            Self::Unexpected(error)
        }
    }
}

/// An account, named by itself or by one of its codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// The account.
    Account(Uuid),
    /// A code of it.
    Code(Uuid),
}

/// What new codes are like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// How many digits.
    pub(crate) length: Length,
    /// How long they confirm.
    pub(crate) lifetime: Duration,
    /// How long a claim on a mail holds.
    pub(crate) lease: Duration,
}

/// What the use cases work with. Clones share everything.
#[derive(Debug, Clone)]
pub(crate) struct Commands {
    pub(crate) db: Db,
    pub(crate) clock: Clock,
    pub(crate) keys: Arc<KeyRing>,
    pub(crate) outbox: Outbox,
    pub(crate) queue: Queue,
    pub(crate) watches: Watches<Uuid>,
    pub(crate) rules: Rules,
}

impl Commands {
    /// Resolves a target; an account that is named by itself need not exist.
    async fn account_of(&self, target: Target) -> Result<Option<Uuid>, DbErr> {
        match target {
            Target::Account(account_id) => Ok(Some(account_id)),
            Target::Code(code_id) => {
                store::verifications::account_of(self.db.reader(), code_id).await
            }
        }
    }
}
