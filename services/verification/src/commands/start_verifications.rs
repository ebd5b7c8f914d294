//! StartVerifications: takes in what AccountCreated says, a batch in one transaction. An account that is known gets
//! nothing new, however often its event comes; a new one gets its first code, whose mail goes on at once.

use std::{collections::HashMap, time::Duration};

use kit::{
    clock::Timestamp,
    db,
    telemetry::{names, span},
};
use opentelemetry::{
    Context, KeyValue,
    context::FutureExt as _,
    trace::{SpanKind, TraceContextExt as _},
};
use sea_orm::DbErr;
use uuid::Uuid;

use super::{Commands, Mail};
use crate::{
    domain::person::Person,
    store::{self, Code, Verification},
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

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Started {
    /// The account has its verification: now, or since an earlier delivery of the event.
    Stored,
    /// The event is too old to be acted upon.
    TooOld,
}

/// Why nothing of the batch was stored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// The database does not take one of the rows. One by one shows which.
    #[error("the database refuses a row: {0}")]
    Refused(#[source] DbErr),
    /// The database cannot be used now, or not as it is; the same batch is to come again.
    #[error("the database cannot be used: {0}")]
    Unavailable(#[source] DbErr),
}

impl From<DbErr> for StartError {
    fn from(error: DbErr) -> Self {
        if store::refuses_data(&error) {
            Self::Refused(error)
        } else {
            Self::Unavailable(error)
        }
    }
}

impl Commands {
    /// Answers each of the batch, in their order.
    pub(crate) async fn start_verifications(
        &self,
        batch: Vec<NewVerification>,
    ) -> Result<Vec<Started>, StartError> {
        let context = batch_span(&batch);
        let this = self.clone();
        let stored = async move { this.store_batch(batch).await }.with_context(context.clone());
        let stored = db::detached(db::measured("start_verifications", stored));
        match stored.await {
            Ok(started) => {
                span::end(&context);
                Ok(started)
            }
            Err(error) => {
                span::fail(&context, "database");
                Err(error.into())
            }
        }
    }

    async fn store_batch(&self, batch: Vec<NewVerification>) -> Result<Vec<Started>, DbErr> {
        let mut room = self.queue.reserve(batch.len());
        let tx = self.db.begin().await?;
        let now = self.db.now(&tx).await?;
        let started: Vec<Started> = batch.iter().map(|new| judge(now, new)).collect();
        let mut wanted: HashMap<Uuid, &NewVerification> = HashMap::with_capacity(batch.len());
        for (new, started) in batch.iter().zip(&started) {
            if *started == Started::Stored {
                wanted.entry(new.account_id).or_insert(new);
            }
        }
        let mut rows: Vec<Verification> = wanted.values().map(|new| row(now, new)).collect();
        rows.sort_unstable_by_key(|row| row.account_id); // replicas that hold the same events wait, never deadlock
        let people: HashMap<Uuid, Verification> = rows
            .iter()
            .map(|row| (row.account_id, row.clone()))
            .collect();
        let inserted = store::verifications::insert_new(&tx, rows).await?;

        let mut codes: Vec<Code> = Vec::with_capacity(inserted.len());
        let mut mails: Vec<Mail> = Vec::with_capacity(room.len().min(inserted.len()));
        for account_id in &inserted {
            let (Some(new), Some(person)) = (wanted.get(account_id), people.get(account_id)) else {
                continue;
            };
            let code = self.new_code(now, *account_id, 1, &new.context, room.len() > 0);
            mails.extend(self.mail(&code, person, &mut room));
            codes.push(code);
        }
        store::codes::insert(&tx, codes).await?;
        tx.commit().await?;
        self.queue.hand_over(mails);
        self.watches.notify(&inserted);
        Ok(started)
    }
}

fn judge(now: Timestamp, new: &NewVerification) -> Started {
    if now.since(new.account_created_at) > OLDEST {
        Started::TooOld
    } else {
        Started::Stored
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
