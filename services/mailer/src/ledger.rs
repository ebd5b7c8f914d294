//! The ledger: who may send which mail, and what became of it. Each mail's steps are committed together with those of
//! the mails beside it; `commands::deliver` sees one mail at a time.

mod claims;
mod leases;
mod settles;
mod standing;

use std::{collections::HashMap, sync::Arc, time::Duration};

use kit::{
    clock::{Clock, Timestamp},
    db::{Db, is_away},
    group::{Group, Refused},
};
use sea_orm::{DbErr, prelude::Uuid};
use tokio_util::sync::CancellationToken;

use self::leases::Leases;
pub(crate) use self::{
    claims::{Claimed, Ours},
    settles::{Refusal, Settlement},
    standing::{Standing, State},
};
use crate::{
    domain::{AddressKeys, LocaleTag, Recipient},
    store::mails,
};

/// How long finished mails are remembered after their code has expired.
const MEMORY: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Commands that may wait; more than all streams together hold.
const QUEUE: usize = 16 * 1024;
/// Commands in one transaction.
const BATCH: usize = 256;

/// What makes two offers of one key the same mail, and what the row needs besides. Never the code.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// The mail's key.
    pub(crate) code_id: Uuid,
    /// The account.
    pub(crate) account_id: Uuid,
    /// Which mail.
    pub(crate) template: &'static str,
    /// Language that was asked for.
    pub(crate) locale: LocaleTag,
    /// To whom.
    pub(crate) recipient: Recipient,
    /// When the code stops working.
    pub(crate) expires_at: Timestamp,
}

/// The database could not be asked or told. Nothing was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the mailer's database does not answer")]
pub(crate) struct Away;

/// The ledger. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Ledger {
    book: Arc<Book>,
    lookups: Group<Uuid, Result<Option<Found>, Away>>,
    claims: Group<Request, Result<Claimed, Away>>,
    settles: Group<Settlement, Result<Timestamp, Away>>,
}

/// A row, and when it was read, by the database's clock: leases are judged by no other.
type Found = (mails::Model, Timestamp);

/// What the group workers share.
#[derive(Debug)]
struct Book {
    db: Db,
    clock: Clock,
    keys: AddressKeys,
    lease: Duration,
    leases: Leases,
}

impl Ledger {
    /// Opens the ledger and keeps its leases until `stop`.
    pub(crate) fn open(
        db: Db,
        clock: Clock,
        keys: AddressKeys,
        lease: Duration,
        stop: CancellationToken,
    ) -> Self {
        let book = Arc::new(Book {
            db,
            clock,
            keys,
            lease,
            leases: Leases::default(),
        });
        let (reading, claiming, settling) = (book.clone(), book.clone(), book.clone());
        tokio::spawn(leases::keep(book.clone(), stop));
        Self {
            book,
            lookups: Group::spawn(QUEUE, BATCH, move |keys| find(reading.clone(), keys)),
            claims: Group::spawn(QUEUE, BATCH, move |requests| {
                claims::commit(claiming.clone(), requests)
            }),
            settles: Group::spawn(QUEUE, BATCH, move |ended| {
                settles::commit(settling.clone(), ended)
            }),
        }
    }

    /// How a mail stands, without a lock: what is final or under way is answered by this alone.
    pub(crate) async fn look_up(&self, request: &Request) -> Result<Standing, Away> {
        let found = self
            .lookups
            .submit(request.code_id)
            .await
            .unwrap_or_else(refused)?;
        Ok(found.map_or(Standing::OPEN, |(row, now)| {
            standing::of(&row, request, &self.book.keys, now)
        }))
    }

    /// Begins an attempt, if the mail may be sent. Committed when this returns.
    ///
    /// # Errors
    /// When the database is away; then nothing may be sent.
    pub(crate) async fn claim(&self, request: Request) -> Result<Claimed, Away> {
        self.claims.submit(request).await.unwrap_or_else(refused)
    }

    /// Notes how an attempt ended, and answers when by the database's clock. While the database is away the caller
    /// is not kept: the note is tried again until `give_up`, under the attempt's lease.
    pub(crate) async fn settle(
        &self,
        ours: Ours,
        ended: Settlement,
        give_up: &CancellationToken,
    ) -> Timestamp {
        match self
            .settles
            .submit(ended.clone())
            .await
            .unwrap_or_else(refused)
        {
            Ok(at) => at,
            Err(Away) => {
                tokio::spawn(settles::keep_trying(
                    self.settles.clone(),
                    ours,
                    ended,
                    give_up.clone(),
                ));
                self.book.clock.now()
            }
        }
    }

    /// Notes that a mail cannot be made. A row that is there already stays as it is.
    pub(crate) async fn refuse(&self, refusal: Refusal) -> Result<(), Away> {
        let book = self.book.clone();
        kit::db::detached(async move { settles::refuse(&book, refusal).await })
            .await
            .map_err(|error| away(&error))
    }
}

/// One query for all that were asked for meanwhile.
async fn find(book: Arc<Book>, keys: Vec<Uuid>) -> Vec<Result<Option<Found>, Away>> {
    match found(&book, &keys).await {
        Ok(found) => keys.iter().map(|key| Ok(found.get(key).cloned())).collect(),
        Err(error) => vec![Err(away(&error)); keys.len()],
    }
}

async fn found(book: &Book, keys: &[Uuid]) -> Result<HashMap<Uuid, Found>, DbErr> {
    let rows = mails::find(book.db.reader(), keys).await?;
    if rows.is_empty() {
        return Ok(HashMap::new()); // new mails all of them: no clock is needed
    }
    let now = book.db.now(book.db.reader()).await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.code_id, (row, now)))
        .collect())
}

/// A full queue and a stopped worker mean what an absent database means: later.
fn refused<T>(_: Refused) -> Result<T, Away> {
    Err(Away)
}

/// Logs the cause once, here, where all callers of a group are told the same.
fn away(error: &DbErr) -> Away {
    match is_away(error) {
        true => tracing::warn!(%error, "The ledger's database does not answer; mails wait."),
        false => tracing::error!(%error, "The ledger's database refused a statement."),
    }
    Away
}
