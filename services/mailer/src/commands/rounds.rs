//! The ledger's rounds: one transaction for all that gathered while the last one was under way. It
//! records how attempts ended and claims the mails that come next: a mail that ends frees the
//! connection that the next one was waiting for, and its place, so the two come together.

use std::{sync::Arc, time::Instant};

use kit::{
    clock::Timestamp,
    db::{Db, StoreError},
    fail_point,
    group::{Batch, Group},
};
use sea_orm::DbErr;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    BATCH, Each, LedgerError, QUEUE,
    claim::{Claimed, Claims, take_back},
    notes::{self, Note},
};
use crate::{domain::Offer, store::mails};

const ASKED: &str = "a round answers what it was asked";

/// The way into a round. Clones share the queue.
#[derive(Debug, Clone)]
pub(crate) struct Rounds(Group<Entry, Result<Done, StoreError>>);

/// What a round does for one mail.
#[derive(Debug, Clone)]
enum Entry {
    Record(Arc<Note>),
    Claim(Arc<Offer>),
    /// Of this key and number, under which nothing was sent.
    LetGo(Uuid, i32),
}

/// What it did.
#[derive(Debug)]
enum Done {
    /// When, by the database's clock.
    Recorded(Timestamp),
    Claimed(Claimed),
    LetGo,
}

/// What the worker works with.
#[derive(Debug)]
struct Ledger {
    db: Db,
    claims: Claims,
    give_up: CancellationToken,
}

impl Rounds {
    /// Starts the worker. Claims whose commit nobody answered are taken back until `give_up`.
    pub(crate) fn start(db: Db, claims: Claims, give_up: CancellationToken) -> Self {
        let ledger = Arc::new(Ledger {
            db,
            claims,
            give_up,
        });
        let commit = move |entries| Arc::clone(&ledger).run(entries);
        let failed = |error: &StoreError| Err(error.clone());
        Self(Group::start(QUEUE, BATCH, commit, failed))
    }

    /// Begins an attempt, if the mail may be sent. Committed when this returns; after an error
    /// nothing may be sent.
    pub(crate) async fn claim(&self, offer: Arc<Offer>) -> Result<Claimed, LedgerError> {
        match self.0.submit(Entry::Claim(offer)).await?? {
            Done::Claimed(claimed) => Ok(claimed),
            Done::Recorded(_) | Done::LetGo => unreachable!("{ASKED}"),
        }
    }

    /// Records how an attempt ended, and answers when.
    pub(super) async fn record(&self, note: Arc<Note>) -> Result<Timestamp, LedgerError> {
        match self.0.submit(Entry::Record(note)).await?? {
            Done::Recorded(at) => Ok(at),
            Done::Claimed(_) | Done::LetGo => unreachable!("{ASKED}"),
        }
    }

    /// Gives a claim back; where it is somebody else's by now, nothing happens.
    pub(super) async fn let_go(&self, code_id: Uuid, claim_no: i32) -> Result<(), LedgerError> {
        match self.0.submit(Entry::LetGo(code_id, claim_no)).await?? {
            Done::LetGo => Ok(()),
            Done::Recorded(_) | Done::Claimed(_) => unreachable!("{ASKED}"),
        }
    }
}

impl Ledger {
    async fn run(self: Arc<Self>, entries: Batch<Entry>) -> Result<Each<Done>, DbErr> {
        self.commit(&entries).await.inspect_err(super::log)
    }

    async fn commit(&self, entries: &[Entry]) -> Result<Each<Done>, DbErr> {
        let (mut ended, mut offers, mut let_go) = (Vec::new(), Vec::new(), Vec::new());
        for entry in entries {
            match entry {
                Entry::Record(note) => ended.push(Arc::clone(note)),
                Entry::Claim(offer) => offers.push(Arc::clone(offer)),
                Entry::LetGo(key, claim_no) => let_go.push((*key, *claim_no)),
            }
        }
        // Taken before the database reads its own clock: our copy of the lease ends no later than
        // the row's.
        let lease_end = Instant::now() + self.claims.lease;
        let tx = self.db.write("record and claim mails").await?;
        let now = tx.now();
        if !(ended.is_empty() && let_go.is_empty()) {
            // All rows of the round at once and in one order: those of the claims are other mails',
            // which other replicas may be at.
            let offered = offers.iter().map(|offer| offer.code_id);
            let let_go = let_go.iter().map(|(key, _)| *key);
            mails::lock_all(&tx, notes::keys(&ended).chain(offered).chain(let_go)).await?;
        }
        for (key, claim_no) in let_go {
            mails::set_idle(&tx, key, claim_no, 0).await?;
        }
        if !ended.is_empty() {
            notes::write(&tx, &ended).await?;
            fail_point!("mailer/recording");
        }
        // After the notes: a mail that was not accepted may be among the offers already.
        let written = self.claims.write(&tx, &offers).await?;
        if !offers.is_empty() {
            fail_point!("mailer/claiming");
        }
        if let Err(error) = tx.commit().await {
            // It may have happened all the same, or happen yet.
            let unsent = written.begun(self.claims.lease);
            let (db, give_up) = (self.db.clone(), self.give_up.clone());
            // Where its data are at fault it did not happen.
            if !kit::db::refuses_data(&error) && !unsent.is_empty() {
                tokio::spawn(take_back(db, unsent, lease_end, give_up));
            }
            return Err(error);
        }
        let mut claimed = self.claims.take_up(written, lease_end).into_iter();
        let answer = |entry: &Entry| match entry {
            Entry::Record(_) => Some(Ok(Done::Recorded(now))),
            Entry::LetGo(..) => Some(Ok(Done::LetGo)),
            Entry::Claim(_) => claimed.next().map(|claimed| Ok(Done::Claimed(claimed))),
        };
        Ok(entries.iter().filter_map(answer).collect())
    }
}
