//! Starts one account's verification for a caller that waits for it, as `start_verifications` does
//! for events. Calls that arrive while a commit runs are committed together by the next one, and
//! each gets its own answer.

use std::sync::Arc;

use kit::{
    Violation,
    db::{Db, StoreError},
    group::{Batch, Group, Refused},
    watch::Watches,
};
use opentelemetry::Context;
use sea_orm::DbErr;
use uuid::Uuid;

use super::{
    FirstCodes, NewVerification,
    first_codes::{FirstCode, Starting, TooOld, traced},
};

/// Most calls of one transaction.
const TOGETHER: usize = 256;

/// What one caller asks for.
#[derive(Debug)]
pub(crate) struct FirstCodeCall {
    pub(crate) new: NewVerification,
    /// The `process` span's.
    pub(crate) context: Context,
    /// Whether a mail will be handed over.
    pub(crate) has_room: bool,
}

/// Why there is no first code. Nothing was written, but where the case says otherwise.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum IssueFirstCodeError {
    #[error("the request has invalid fields")]
    Invalid(Vec<Violation>),
    #[error("the account is too old")]
    TooOld,
    /// As many wait, for their commit or for their mail, as may.
    #[error("too many calls are waiting")]
    Busy,
    #[error("the service is shutting down")]
    Stopping,
    /// Nobody knows whether it happened, or it still will.
    #[error("the commit did not come to its end in time")]
    Late,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl IssueFirstCodeError {
    /// For spans.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "invalid",
            Self::TooOld => "too_old",
            Self::Busy => "busy",
            Self::Stopping => "stopping",
            Self::Late => "late",
            Self::Store(_) => "database",
        }
    }
}

/// What one caller is told: the code that was made, or nothing where the account was known.
type Issued = Result<Option<FirstCode>, IssueFirstCodeError>;

/// The way to first codes. Clones share the queue; when all are gone, what is queued is finished.
#[derive(Debug, Clone)]
pub(crate) struct IssueFirstCode {
    group: Group<FirstCodeCall, Issued>,
}

impl IssueFirstCode {
    /// Starts the worker that commits; at most `queue` calls wait for it.
    pub(crate) fn start(
        db: Db,
        first_codes: FirstCodes,
        watches: Watches<Uuid>,
        queue: usize,
    ) -> Self {
        let writer = Arc::new(Writer {
            db,
            first_codes,
            watches,
        });
        let write = move |calls| Arc::clone(&writer).write(calls);
        let failed = |error: &StoreError| Err(error.clone().into());
        let group = Group::start(queue, TOGETHER, write, failed);
        Self { group }
    }

    /// Stores the verification and its first code, unless the account is known.
    pub(crate) async fn run(&self, call: FirstCodeCall) -> Issued {
        match self.group.submit(call).await {
            Ok(issued) => issued,
            Err(Refused::Full) => Err(IssueFirstCodeError::Busy),
            Err(Refused::Stopped) => Err(IssueFirstCodeError::Stopping),
            Err(Refused::Lost) => Err(IssueFirstCodeError::Late),
        }
    }
}

#[derive(Debug)]
struct Writer {
    db: Db,
    first_codes: FirstCodes,
    watches: Watches<Uuid>,
}

impl Writer {
    /// Commits a group and answers each of it, in their order.
    async fn write(self: Arc<Self>, calls: Batch<FirstCodeCall>) -> Result<Vec<Issued>, DbErr> {
        let contexts: Vec<_> = calls.iter().map(|call| &call.context).collect();
        traced(&contexts, self.commit(&calls)).await
    }

    async fn commit(&self, calls: &[FirstCodeCall]) -> Result<Vec<Issued>, DbErr> {
        let tx = self.db.write("issue first codes").await?;
        let mut starting = Vec::with_capacity(calls.len());
        for call in calls {
            starting.push(Starting {
                new: &call.new,
                context: &call.context,
                has_room: call.has_room,
            });
        }
        let first = self.first_codes.insert(&tx, &starting).await?;
        tx.commit().await?;
        self.watches.notify(&first.accounts);
        let issued = first.codes.into_iter();
        Ok(issued
            .map(|code| code.map_err(|TooOld| IssueFirstCodeError::TooOld))
            .collect())
    }
}
