//! Inserts new verifications, each with its first code, into the transaction of the command that
//! calls it. An account that is known gets nothing new, however often and by whomever it is told of.

use std::{collections::BTreeMap, time::Duration};

use kit::{
    clock::Timestamp,
    db::Tx,
    telemetry::{names, span},
};
use opentelemetry::{
    Context, KeyValue,
    trace::{FutureExt as _, SpanKind, TraceContextExt as _},
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

/// An account that is to have its verification.
#[derive(Debug, Clone)]
pub(crate) struct NewVerification {
    pub(crate) account_id: Uuid,
    pub(crate) person: Person,
    /// When the account was committed.
    pub(crate) account_created_at: Timestamp,
}

/// The same, within a batch.
#[derive(Debug)]
pub(super) struct Starting<'a> {
    pub(super) new: &'a NewVerification,
    /// What the code belongs to: the context of the `process` span.
    pub(super) context: &'a Context,
    /// Whether a mail will be handed over: its code is then born claimed. Else it waits in the
    /// table for whoever claims it.
    pub(super) has_room: bool,
}

/// The account was committed so long ago that its tombstone may be gone: its news could bring an
/// erased account back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooOld;

/// What a batch became.
#[derive(Debug)]
pub(super) struct FirstOnes {
    /// Whose verification is new: once it is committed, watchers are to hear of it.
    pub(super) accounts: Vec<Uuid>,
    /// Of each of the batch, in their order: the code that it made, if it made one.
    pub(super) codes: Vec<Result<Option<FirstCode>, TooOld>>,
}

/// An account's first code.
#[derive(Debug)]
pub(crate) struct FirstCode {
    pub(crate) id: Uuid,
    /// Its mail, to be handed over after the commit.
    pub(crate) mail: Option<ClaimedMail>,
}

/// What it takes to make first codes.
#[derive(Debug, Clone)]
pub(crate) struct FirstCodes {
    pub(crate) issue: IssueCode,
    /// How long a claim on a mail holds.
    pub(crate) lease: Duration,
}

impl FirstCodes {
    /// Inserts what is new of a batch.
    pub(super) async fn insert(&self, tx: &Tx, batch: &[Starting<'_>]) -> Result<FirstOnes, DbErr> {
        // One row an account, however often the batch holds it; with the place of the first.
        let mut wanted: BTreeMap<Uuid, (Verification, usize)> = BTreeMap::new();
        let mut codes = Vec::with_capacity(batch.len());
        for (place, Starting { new, .. }) in batch.iter().enumerate() {
            if tx.now().since(new.account_created_at) > OLDEST {
                codes.push(Err(TooOld));
                continue;
            }
            let row = || (row(tx.now(), new), place);
            wanted.entry(new.account_id).or_insert_with(row);
            codes.push(Ok(None));
        }
        // In the order of their keys: replicas that are told of the same accounts wait, never
        // deadlock.
        let rows = wanted.values().map(|(row, _)| row.clone()).collect();
        let accounts = store::verifications::insert_new(tx, rows).await?;

        // A code for those only that are new here: the row is what makes a repetition harmless.
        let mut rows = Vec::with_capacity(accounts.len());
        for account_id in &accounts {
            if let Some((verification, place)) = wanted.get(account_id) {
                let (row, mail) = self.first_code(tx, verification, &batch[*place]);
                codes[*place] = Ok(Some(FirstCode { id: row.id, mail }));
                rows.push(row);
            }
        }
        store::codes::insert(tx, rows).await?;
        Ok(FirstOnes { accounts, codes })
    }

    /// The code of a new verification, claimed and with its mail where there is room for that.
    fn first_code(
        &self,
        tx: &Tx,
        verification: &Verification,
        starting: &Starting<'_>,
    ) -> (Code, Option<ClaimedMail>) {
        let (account_id, context) = (verification.account_id, starting.context);
        let mut code = self.issue.new_code(tx, account_id, 1, context);
        let ring = starting.has_room.then(|| self.issue.keys.ring());
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

/// Does the work of a transaction for a batch with these contexts, under a span of its own.
pub(super) async fn traced<T>(
    batch: &[&Context],
    work: impl Future<Output = Result<T, DbErr>>,
) -> Result<T, DbErr> {
    // Within its account's when it is alone; a batch belongs to no single trace and links to all.
    let parent = match batch {
        [alone] => (*alone).clone(),
        _ => Context::new(),
    };
    let contexts = batch.iter();
    let links = contexts.map(|context| context.span().span_context().clone());
    let size = i64::try_from(batch.len()).unwrap_or(i64::MAX);
    let attributes = [KeyValue::new(names::DB_OPERATION_BATCH_SIZE, size)];
    let (kind, name) = (SpanKind::Internal, "store verifications");
    let context = span::linked(kind, name, &parent, attributes, links);
    let stored = work.with_context(context.clone()).await;
    match &stored {
        Ok(_) => span::end(&context),
        Err(_) => span::fail(&context, "database"),
    }
    stored
}
