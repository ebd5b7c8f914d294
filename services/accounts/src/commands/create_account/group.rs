//! One transaction for a group of sign-ups: idempotency keys first (`keys`), then accounts for
//! those whose key is new, then events for the accounts that came to be. Each sign-up gets its own
//! answer; the callers deliver.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use kit::{
    db::{Db, StoreError, Tx},
    fail_point,
    group::Batch,
    telemetry::{names, span},
};
use opentelemetry::{
    Context, KeyValue,
    trace::{FutureExt as _, SpanKind, TraceContextExt as _},
};
use sea_orm::DbErr;
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    keys::{self, Keys},
    sign_up::{Committed, CreateAccountError, SignUp, SignedUp},
};
use crate::{
    dispatch::{Created, EventDispatcher, Pending},
    store::{Account, Status, accounts},
};

#[derive(Debug)]
pub(super) struct Writer {
    pub(super) db: Db,
    pub(super) events: Arc<dyn EventDispatcher>,
}

impl Writer {
    /// Commits a group and answers each of it, in their order.
    pub(super) async fn write(
        self: Arc<Self>,
        sign_ups: Batch<SignUp>,
    ) -> Result<Vec<SignedUp>, DbErr> {
        let mut callers = Vec::with_capacity(sign_ups.len());
        for sign_up in sign_ups.iter() {
            callers.push(sign_up.caller.span().span_context().clone());
        }
        let size = i64::try_from(sign_ups.len()).unwrap_or(i64::MAX);
        let size = KeyValue::new(names::DB_OPERATION_BATCH_SIZE, size);
        // The group belongs to no single caller's trace: its span links to all of them.
        let root = Context::new();
        let span = span::linked(
            SpanKind::Internal,
            "commit sign-ups",
            &root,
            [size],
            callers,
        );
        let written = self.commit(&sign_ups).with_context(span.clone()).await;
        match &written {
            Ok(_) => span::end(&span),
            Err(error) => {
                // Once for all of them. What is unexpected is logged where the callers are told.
                if kit::db::is_away(error) {
                    tracing::warn!(sign_ups = sign_ups.len(), %error, "Sign-ups could not be stored.");
                }
                span::fail(&span, "database");
            }
        }
        written
    }

    async fn commit(&self, sign_ups: &[SignUp]) -> Result<Vec<SignedUp>, DbErr> {
        let tx = self.db.write("create accounts").await?;
        tx.may_write().await?;
        // Only now: a lock that is waited for takes seconds, and a caller may have been told to
        // come back meanwhile.
        let (in_time, late): (Vec<&SignUp>, Vec<&SignUp>) =
            sign_ups.iter().partition(|sign_up| sign_up.wait.take());
        let late: HashSet<Uuid> = late.into_iter().map(|sign_up| sign_up.id).collect();
        // Beyond it nobody waits for the answer: a commit would store accounts whose callers were
        // told to come back.
        let tx = tx.until(end_of(&in_time));
        // Before the accounts: of two processes that are given the same request the second waits
        // here for the first one's commit, and then finds its key instead of a taken address.
        let keys = Keys::take(&tx, &in_time).await?;
        let candidates = keys.candidates();
        let created = insert_accounts(&tx, &candidates).await?;
        let new = created.iter().map(|created| &created.account);
        let accounts: HashMap<Uuid, &Account> = new.map(|account| (account.id, account)).collect();
        keys::give_back(&tx, &candidates, &accounts).await?;
        // Last, and for those only that `RETURNING` named: no event without its account.
        let pending = self.events.record(&tx, &created).await?;
        if created.is_empty() {
            // The keys that were taken were given back: there is nothing to commit.
            tx.rollback().await;
        } else {
            fail_point!("accounts/written");
            tx.commit().await?;
        }
        fail_point!("accounts/committed");

        let ids = created.iter().map(|created| created.account.id);
        // From here on everything is committed: whatever fails below costs an answer, never an
        // account.
        let mut pending: HashMap<Uuid, Pending> = ids.zip(pending).collect();
        let mut answers = Vec::with_capacity(sign_ups.len());
        for sign_up in sign_ups {
            if late.contains(&sign_up.id) {
                answers.push(Err(CreateAccountError::Late));
                continue;
            }
            let answer = keys.answer(sign_up, &accounts);
            answers.push(answer.map(|account| {
                // Whoever stands first with a new account delivers its event: that is who created
                // it. The others ask for it again, as those do who come later.
                let pending = pending.remove(&account.id);
                Committed {
                    pending: pending.or_else(|| self.repeat(sign_up, &account)),
                    account,
                }
            }));
        }
        Ok(answers)
    }

    fn repeat(&self, sign_up: &SignUp, account: &Account) -> Option<Pending> {
        // Who is verified needs no mail.
        let is_owed = account.status == Status::Pending;
        is_owed.then(|| self.events.repeat(&sign_up.created(account.clone())))?
    }
}

/// When the first of the callers has to have its answer.
fn end_of(sign_ups: &[&SignUp]) -> Instant {
    let first = sign_ups
        .iter()
        .map(|sign_up| sign_up.wait.written_by())
        .min();
    let now = Instant::now();
    // One in a hurry leaves the others a second; else it could end the transaction of them all.
    first.unwrap_or(now).max(now + Duration::from_secs(1))
}

/// What a caller is told whose sign-up was not written.
pub(super) fn failed(error: &StoreError) -> SignedUp {
    Err(CreateAccountError::Store(error.clone()))
}

/// Inserts the first candidate of each address and returns the accounts that came to be, in the
/// group's order.
async fn insert_accounts(tx: &Tx, candidates: &[&SignUp]) -> Result<Vec<Created>, DbErr> {
    let mut addresses = HashSet::new();
    let mut rows = Vec::with_capacity(candidates.len());
    for candidate in candidates {
        // Equal addresses within the group are settled here, so that the first of them has it, in
        // whatever order the rows go in; those of earlier transactions by the unique index.
        if addresses.insert(candidate.account.email.key()) {
            rows.push(Account::pending(candidate.id, &candidate.account, tx.now()));
        }
    }
    let inserted: HashSet<Uuid> = accounts::insert(tx, rows).await?.into_iter().collect();
    let mut created = Vec::with_capacity(inserted.len());
    for candidate in candidates {
        if inserted.contains(&candidate.id) {
            let account = Account::pending(candidate.id, &candidate.account, tx.now());
            created.push(candidate.created(account));
        }
    }
    Ok(created)
}
