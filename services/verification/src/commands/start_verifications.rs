//! Takes in what AccountCreated says, a batch in one transaction. An account that is known gets nothing new, however
//! often its event comes; a new one gets its first code, whose mail goes on at once.

use std::{collections::BTreeMap, time::Duration};

use kit::{
    clock::Timestamp,
    db::StoreError,
    group::{Batch, together},
    telemetry::{names, span},
};
use opentelemetry::{
    Context, KeyValue,
    context::FutureExt as _,
    trace::{SpanKind, TraceContextExt as _},
};
use sea_orm::DbErr;
use uuid::Uuid;

use super::IssueCode;
use crate::{
    domain::{Person, Turn},
    store::{self, Verification},
};

/// Tombstones of emptied verifications live this long; an older event could bring an erased account back.
const OLDEST: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// What one event asks for.
#[derive(Debug, Clone)]
pub(crate) struct NewVerification {
    pub(crate) account_id: Uuid,
    pub(crate) person: Person,
    /// When the account was committed.
    pub(crate) account_created_at: Timestamp,
    /// The event's `process` span.
    pub(crate) context: Context,
}

/// Why an account has no verification now.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum StartVerificationError {
    #[error("the event is too old to be acted upon")]
    TooOld,
    /// Alone, too: it would be refused again.
    #[error("the database refuses what the event says")]
    Refused,
    #[error(transparent)]
    Store(StoreError),
}

impl From<&StoreError> for StartVerificationError {
    fn from(error: &StoreError) -> Self {
        match error {
            StoreError::Unexpected(cause) if store::refuses_data(cause) => Self::Refused,
            other => Self::Store(other.clone()),
        }
    }
}

/// An account has its verification: now, or since an earlier delivery of its event.
type Started = Result<(), StartVerificationError>;

#[derive(Debug, Clone)]
pub(crate) struct StartVerifications {
    pub(crate) issue: IssueCode,
}

impl StartVerifications {
    /// Answers each of the batch, in their order.
    pub(crate) async fn run(&self, batch: Vec<NewVerification>) -> Vec<Started> {
        let store = |batch| self.store(batch);
        together(Batch::from(batch), store, |error| Err(error.into())).await
    }

    async fn store(&self, batch: Batch<NewVerification>) -> Result<Vec<Started>, DbErr> {
        let context = batch_span(&batch);
        let stored = self.store_in(&batch).with_context(context.clone()).await;
        match &stored {
            Ok(_) => span::end(&context),
            Err(_) => span::fail(&context, "database"),
        }
        stored
    }

    async fn store_in(&self, batch: &[NewVerification]) -> Result<Vec<Started>, DbErr> {
        let IssueCode { db, queue, .. } = &self.issue;
        // Before the rows are made: one is born claimed only if its mail is going to be handed over.
        let mut room = queue.reserve(Turn::First, batch.len());
        let tx = db.write("start verifications").await?;
        let mut started = Vec::with_capacity(batch.len());
        // One row an account, however often the batch holds its event.
        let mut wanted: BTreeMap<Uuid, (Verification, &Context)> = BTreeMap::new();
        for new in batch {
            if tx.now().since(new.account_created_at) > OLDEST {
                started.push(Err(StartVerificationError::TooOld));
                continue;
            }
            started.push(Ok(()));
            let row = || (row(tx.now(), new), &new.context);
            wanted.entry(new.account_id).or_insert_with(row);
        }
        // In the order of their keys: replicas that hold the same events wait, never deadlock.
        let rows = wanted.values().map(|(row, _)| row.clone()).collect();
        let inserted = store::verifications::insert_new(&tx, rows).await?;

        // A code for those only that are new here: the row is what makes a repeated event harmless.
        let (mut codes, mut mails) = (Vec::with_capacity(inserted.len()), Vec::new());
        for account_id in &inserted {
            if let Some((verification, context)) = wanted.get(account_id) {
                let (code, mail) = self
                    .issue
                    .new_code(&tx, verification, 1, context, &mut room);
                codes.push(code);
                mails.extend(mail);
            }
        }
        store::codes::insert(&tx, codes).await?;
        tx.commit().await?;
        self.issue.announce(mails, &inserted);
        Ok(started)
    }
}

fn row(now: Timestamp, new: &NewVerification) -> Verification {
    Verification {
        account_id: new.account_id,
        email: new.person.email().to_owned(),
        address_key: new.person.address().expose().to_owned(),
        display_name: new.person.display_name().to_owned(),
        locale: new.person.locale().to_owned(),
        account_created_at: new.account_created_at,
        created_at: now,
        verified_at: None,
    }
}

/// The transaction's own span: within its message's when it is alone, else a root that links to all of them.
fn batch_span(batch: &[NewVerification]) -> Context {
    let parent = if let [alone] = batch {
        alone.context.clone()
    } else {
        Context::new()
    };
    let links = batch
        .iter()
        .map(|new| new.context.span().span_context().clone());
    let size = i64::try_from(batch.len()).unwrap_or(i64::MAX);
    let attributes = [KeyValue::new(names::DB_OPERATION_BATCH_SIZE, size)];
    span::linked(
        SpanKind::Internal,
        "store verifications",
        &parent,
        attributes,
        links,
    )
}
