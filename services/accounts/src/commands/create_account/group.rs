//! One transaction for a group of sign-ups: idempotency keys first (`keys`), accounts for those that may go on
//! (`addresses`), events for the accounts that came to be. Each sign-up gets its own outcome; the callers deliver.

mod addresses;
mod keys;

use std::{collections::HashMap, sync::Arc};

use kit::{
    db::Db,
    telemetry::{names, span},
};
use opentelemetry::{
    Context, KeyValue,
    trace::{FutureExt as _, SpanKind, TraceContextExt as _},
};
use sea_orm::{DatabaseTransaction, DbErr};
use uuid::Uuid;

use super::CreateAccountError;
use crate::{
    commands::StoreError,
    dispatch::{EventDispatcher, Pending},
    domain::{Hash, NewAccount},
    store::Account,
};

/// One caller's wish, with all that can be made without the database.
#[derive(Debug)]
pub(super) struct SignUp {
    pub(super) id: Uuid,
    pub(super) new: NewAccount,
    pub(super) request: Option<RequestId>,
    pub(super) caller: Context,
}

/// What tells a repeated request from another one.
#[derive(Debug)]
pub(super) struct RequestId {
    pub(super) key: Hash,
    pub(super) fingerprint: Hash,
}

/// What one caller is told.
pub(super) type Outcome = Result<Committed, CreateAccountError>;

/// An account that is stored, and what is left to do for it; nothing where it was stored before.
#[derive(Debug)]
pub(super) struct Committed {
    pub(super) account: Account,
    pub(super) pending: Option<Pending>,
}

/// Where one sign-up of a group stands while its transaction goes on.
#[derive(Debug)]
enum Standing {
    /// Its key, if it has one, is its own now; whether its address is free remains to be seen.
    Candidate,
    /// The same request under the same key stands at this earlier place of the group: its answer is theirs.
    Follows(usize),
    Decided(Result<Account, CreateAccountError>),
}

/// Writes groups.
#[derive(Debug)]
pub(super) struct Writer {
    db: Db,
    events: Arc<dyn EventDispatcher>,
}

impl Writer {
    pub(super) fn new(db: Db, events: Arc<dyn EventDispatcher>) -> Self {
        Self { db, events }
    }

    /// Commits a group and answers each of it, in their order.
    ///
    /// A database that is away is away for all. An error in the data concerns one of them and nobody knows which:
    /// only then each goes alone, so that it fails alone.
    pub(super) async fn commit(self: Arc<Self>, sign_ups: Vec<SignUp>) -> Vec<Outcome> {
        match self.write_traced(&sign_ups).await {
            Ok(outcomes) => outcomes,
            Err(error) if sign_ups.len() > 1 && !kit::db::is_away(&error) => {
                self.one_by_one(&sign_ups).await
            }
            Err(error) => all_fail(&sign_ups, error),
        }
    }

    async fn one_by_one(&self, sign_ups: &[SignUp]) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(sign_ups.len());
        for alone in sign_ups.chunks(1) {
            match self.write_traced(alone).await {
                Ok(outcome) => outcomes.extend(outcome),
                // Each of the rest would wait as long, and their callers have waited already.
                Err(error) if kit::db::is_away(&error) => {
                    outcomes.extend(all_fail(&sign_ups[outcomes.len()..], error));
                    break;
                }
                Err(error) => outcomes.extend(all_fail(alone, error)),
            }
        }
        outcomes
    }

    /// The group belongs to no single caller's trace: its span links to all of them.
    async fn write_traced(&self, sign_ups: &[SignUp]) -> Result<Vec<Outcome>, DbErr> {
        let callers = sign_ups
            .iter()
            .map(|sign_up| sign_up.caller.span().span_context().clone());
        let size = i64::try_from(sign_ups.len()).unwrap_or(i64::MAX);
        let size = KeyValue::new(names::DB_OPERATION_BATCH_SIZE, size);
        let context = span::linked(
            SpanKind::Internal,
            "commit sign-ups",
            &Context::new(),
            [size],
            callers,
        );
        let written = self.write(sign_ups).with_context(context.clone()).await;
        match &written {
            Ok(_) => span::end(&context),
            Err(_) => span::fail(&context, "database"),
        }
        written
    }

    async fn write(&self, sign_ups: &[SignUp]) -> Result<Vec<Outcome>, DbErr> {
        let reserved = self.events.reserve(sign_ups.len()).await;
        let tx = self.db.begin().await?;
        let now = self.db.now(&tx).await?;
        let mut standings = keys::settle(&tx, now, sign_ups).await?;
        let created = addresses::settle(&tx, now, sign_ups, &mut standings).await?;
        let pending = reserved.record(&tx, now, &created).await?;
        finish(tx, !created.is_empty()).await?;
        let ids = created.iter().map(|created| created.account.id);
        Ok(outcomes(standings, ids.zip(pending).collect()))
    }
}

/// A group that made no account has nothing to commit: the keys it took it has given back.
async fn finish(tx: DatabaseTransaction, wrote: bool) -> Result<(), DbErr> {
    if wrote {
        tx.commit().await
    } else {
        tx.rollback().await
    }
}

/// What each is told. Whoever stands first with a new account delivers its event: that is who created it.
fn outcomes(standings: Vec<Standing>, mut pending: HashMap<Uuid, Pending>) -> Vec<Outcome> {
    let mut outcomes: Vec<Outcome> = Vec::with_capacity(standings.len());
    for standing in standings {
        let decided = match standing {
            Standing::Decided(decided) => decided,
            Standing::Follows(first) => outcomes[first]
                .as_ref()
                .map(|committed| committed.account.clone())
                .map_err(Clone::clone),
            Standing::Candidate => Err(CreateAccountError::AddressTaken), // `addresses` leaves none
        };
        outcomes.push(decided.map(|account| Committed {
            pending: pending.remove(&account.id),
            account,
        }));
    }
    outcomes
}

fn all_fail(sign_ups: &[SignUp], error: DbErr) -> Vec<Outcome> {
    let error = StoreError::from(error);
    // Once for all of them. The other kind is logged where the caller is told.
    if let StoreError::Unavailable(cause) = &error {
        tracing::warn!(sign_ups = sign_ups.len(), error = %cause, "Sign-ups could not be stored.");
    }
    sign_ups
        .iter()
        .map(|_| Err(CreateAccountError::Store(error.clone())))
        .collect()
}
