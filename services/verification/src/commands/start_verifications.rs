//! Takes in what AccountCreated says, a batch in one transaction. An account that is known gets
//! nothing new, however often its event comes; a new one gets its first code, whose mail goes on at
//! once if there is room for it.

use std::{collections::BTreeMap, time::Duration};

use kit::{
    bus::{Delivery, Reason, Settled, settle},
    clock::Timestamp,
    db::{Db, StoreError, Tx},
    fail_point,
    group::{Batch, together},
    telemetry::{names, span},
    watch::Watches,
};
use opentelemetry::{
    Context, KeyValue,
    context::FutureExt as _,
    trace::{SpanKind, TraceContextExt as _},
};
use sea_orm::DbErr;
use uuid::Uuid;

use super::{ClaimedMail, IssueCode};
use crate::{
    domain::Person,
    store::{self, Code, Verification},
};

/// Tombstones of emptied verifications live this long.
const OLDEST: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// A message, and what it asks for, or why nobody can do it.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    /// Its context is that of the event's `process` span.
    pub(crate) delivery: Delivery,
    pub(crate) new: Result<NewVerification, Reason>,
    /// Whether a mail will be handed over: its code is then born claimed. Else it waits in the
    /// table for whoever claims it.
    pub(crate) has_room: bool,
}

/// What one event asks for.
#[derive(Debug, Clone)]
pub(crate) struct NewVerification {
    pub(crate) account_id: Uuid,
    pub(crate) person: Person,
    /// When the account was committed.
    pub(crate) account_created_at: Timestamp,
}

/// An account has its verification, now or since an earlier delivery of its event, or its event is
/// a dead letter.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) settled: Settled,
    /// The mail of its first code, to be handed over.
    pub(crate) mail: Option<ClaimedMail>,
}

#[derive(Debug, Clone)]
pub(crate) struct StartVerifications {
    pub(crate) db: Db,
    pub(crate) issue: IssueCode,
    /// How long a claim on a mail holds.
    pub(crate) lease: Duration,
    pub(crate) watches: Watches<Uuid>,
}

type Answer = Result<Started, StoreError>;

impl StartVerifications {
    /// Answers each of the batch, in their order.
    pub(crate) async fn run(&self, batch: Vec<Told>) -> Vec<Answer> {
        let store = |batch| self.store(batch);
        together(Batch::from(batch), store, |error| Err(error.clone())).await
    }

    async fn store(&self, batch: Batch<Told>) -> Result<Vec<Answer>, DbErr> {
        let context = batch_span(&batch);
        let stored = self.store_in(&batch).with_context(context.clone()).await;
        match &stored {
            Ok(_) => span::end(&context),
            Err(_) => span::fail(&context, "database"),
        }
        stored
    }

    async fn store_in(&self, batch: &[Told]) -> Result<Vec<Answer>, DbErr> {
        let tx = self.db.write("start verifications").await?;
        let mut found = Vec::with_capacity(batch.len());
        // One row an account, however often the batch holds its event; with the place of the first.
        let mut wanted: BTreeMap<Uuid, (Verification, usize)> = BTreeMap::new();
        for (place, Told { delivery, new, .. }) in batch.iter().enumerate() {
            let outcome = match new {
                Err(reason) => Err(*reason),
                // Its tombstone may be gone: the event could bring an erased account back.
                Ok(new) if tx.now().since(new.account_created_at) > OLDEST => Err("too_old"),
                Ok(new) => {
                    let row = || (row(tx.now(), new), place);
                    wanted.entry(new.account_id).or_insert_with(row);
                    Ok(())
                }
            };
            found.push((delivery, outcome));
        }
        // In the order of their keys: replicas that hold the same events wait, never deadlock.
        let rows = wanted.values().map(|(row, _)| row.clone()).collect();
        let inserted = store::verifications::insert_new(&tx, rows).await?;

        // A code for those only that are new here: the row is what makes a repeated event harmless.
        let mut codes = Vec::with_capacity(inserted.len());
        let mut mails: Vec<_> = batch.iter().map(|_| None).collect();
        for account_id in &inserted {
            if let Some((verification, place)) = wanted.get(account_id) {
                let (code, mail) = self.first_code(&tx, verification, &batch[*place]);
                codes.push(code);
                mails[*place] = mail;
            }
        }
        store::codes::insert(&tx, codes).await?;
        fail_point!("verification/started");
        let settled = settle(tx, found).await?;
        // Whoever signed up watches the account already, while there was nothing yet to show.
        self.watches.notify(&inserted);
        let started = settled.into_iter().zip(mails);
        Ok(started
            .map(|(settled, mail)| Ok(Started { settled, mail }))
            .collect())
    }

    /// The code of a new verification, claimed and with its mail where there is room for that.
    fn first_code(
        &self,
        tx: &Tx,
        verification: &Verification,
        told: &Told,
    ) -> (Code, Option<ClaimedMail>) {
        let (account_id, context) = (verification.account_id, &told.delivery.context);
        let mut code = self.issue.new_code(tx, account_id, 1, context);
        let ring = told.has_room.then(|| self.issue.keys.ring());
        let digits = ring.and_then(|ring| code.digits(&ring));
        let mail = digits.map(|digits| {
            // Born claimed, under the number that the claim of a poll would have given it: no other
            // replica takes what is about to be handed over.
            code.claim_no = 1;
            code.claimed_until = tx.now() + self.lease;
            ClaimedMail::new(tx, &code, verification, digits)
        });
        (code, mail)
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

/// The transaction's own span.
fn batch_span(batch: &[Told]) -> Context {
    // Within its message's when it is alone; a batch belongs to no single trace and links to all.
    let parent = if let [alone] = batch {
        alone.delivery.context.clone()
    } else {
        Context::new()
    };
    let links = batch
        .iter()
        .map(|told| told.delivery.context.span().span_context().clone());
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
