//! The loop's calls to the database. Each is a command in a task of its own; all of them end by
//! themselves, because transactions do. What fails here is done again by the next tick.

use std::{
    collections::HashSet,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use kit::{
    db::{Db, detached},
    watch::Watches,
};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{
    held::HeldMails,
    queue::{PlacedMail, Room},
    unrecorded::Unrecorded,
};
use crate::{
    commands::{
        Claim, ClaimedMail,
        claim_mails::{ClaimMails, MoreDue, Wanted},
        end_stale_claims::end_stale_claims,
        record_outcomes::{MailAttempt, record_outcomes},
        release_claims::release_claims,
        renew_claims::renew_claims,
        take_back_rejections::take_back_rejections,
    },
    domain::Turn,
};

type DbCall = BoxFuture<'static, DbResult>;

#[derive(Debug)]
pub(super) enum DbResult {
    /// A batch, the mails whose acceptance was news, and the codes whose rejections could not be
    /// taken back yet.
    Recorded(Vec<MailAttempt>, HashSet<Uuid>, Vec<Uuid>),
    /// A batch that could not be recorded yet, and the codes whose rejections come after it.
    NotRecorded(Vec<MailAttempt>, Vec<Uuid>),
    /// Claimed mails, and of which kind there may be more.
    Polled(Vec<PlacedMail>, MoreDue),
    /// Codes whose claims were renewed at this moment; none when the database could not.
    Renewed(Instant, Vec<Uuid>),
    Nothing,
}

pub(super) struct DbCalls {
    db: Db,
    claim_mails: ClaimMails,
    watches: Watches<Uuid>,
    /// How long a batch that could not be recorded is held.
    pause: Duration,
    under_way: FuturesUnordered<DbCall>,
    is_polling: bool,
    is_recording: bool,
    is_renewing: bool,
    /// The last poll failed, which was told: an outage is not told at each turn.
    is_failing: Arc<AtomicBool>,
    /// Codes whose rejections are to be taken back.
    taken_back: Vec<Uuid>,
}

impl DbCalls {
    pub(super) fn new(claim_mails: ClaimMails, pause: Duration) -> Self {
        Self {
            db: claim_mails.db.clone(),
            watches: claim_mails.watches.clone(),
            claim_mails,
            pause,
            under_way: FuturesUnordered::new(),
            is_polling: false,
            is_recording: false,
            is_renewing: false,
            is_failing: Arc::default(),
            taken_back: Vec::new(),
        }
    }

    /// The next result; pending while no call is under way. Cancel-safe.
    pub(super) async fn next(&mut self) -> DbResult {
        let Some(result) = self.under_way.next().await else {
            return std::future::pending().await;
        };
        match &result {
            DbResult::Recorded(.., codes) | DbResult::NotRecorded(_, codes) => {
                self.is_recording = false;
                self.taken_back.extend(codes);
            }
            DbResult::Polled(..) => self.is_polling = false,
            DbResult::Renewed(..) => self.is_renewing = false,
            DbResult::Nothing => {}
        }
        result
    }

    /// Whether a poll is under way.
    pub(super) fn is_polling(&self) -> bool {
        self.is_polling
    }

    pub(super) fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }

    /// Claims due mails, at most `all` of those that have room.
    pub(super) fn poll(&mut self, all: usize, first_room: Room, later_room: Room) {
        // One at a time, or two would claim for the same window.
        self.is_polling = true;
        let claim_mails = self.claim_mails.clone();
        let is_failing = Arc::clone(&self.is_failing);
        let wanted = Wanted {
            all,
            first: first_room.len(),
            later: later_room.len(),
        };
        self.begin(async move {
            match claim_mails.run(wanted).await {
                Ok((mails, more)) => {
                    is_failing.store(false, Relaxed);
                    let is_first = |mail: &ClaimedMail| mail.turn() == Turn::First;
                    let (first, later) = mails.into_iter().partition(is_first);
                    let mut placed = first_room.place(first);
                    placed.extend(later_room.place(later));
                    DbResult::Polled(placed, more)
                }
                // Not full: else the loop would poll again at once, and again, while the database
                // is away.
                Err(error) => {
                    if !is_failing.swap(true, Relaxed) {
                        tracing::warn!(%error, "Due mails cannot be read; it is tried again until they can.");
                    }
                    DbResult::Polled(Vec::new(), MoreDue::NONE)
                }
            }
        });
    }

    /// When these outcomes can be recorded; never while others are.
    pub(super) fn records_at(&self, unrecorded: &Unrecorded) -> Option<Instant> {
        unrecorded.due_at().filter(|_| !self.is_recording)
    }

    /// Records all of these attempts once they are due, one batch at a time: what comes meanwhile
    /// makes the next one.
    pub(super) fn record(&mut self, unrecorded: &mut Unrecorded, held: &HeldMails) {
        let is_due = unrecorded.are_due() || !self.taken_back.is_empty();
        if self.is_recording || !is_due {
            return;
        }
        self.is_recording = true;
        let mut batch = unrecorded.take();
        for attempt in &mut batch {
            // Under the claim that is held by now: after a hole this very process may have claimed
            // the mail again, and what it learnt under the older number would be written nowhere.
            attempt.claim = held.claim(attempt.claim.code_id).unwrap_or(attempt.claim);
        }
        let codes = std::mem::take(&mut self.taken_back);
        let (db, watches, pause) = (self.db.clone(), self.watches.clone(), self.pause);
        self.begin(async move {
            let accepted = match record_outcomes(&db, &watches, &batch).await {
                Ok(accepted) => accepted,
                Err(error) => {
                    let mails = batch.len();
                    tracing::warn!(%error, mails, "The mailer's answers could not be stored yet.");
                    // Held, although the mailer remembers its answers too: so they need not be
                    // asked for once more. The pause is within the call, so that the loop does not
                    // try again before it is over.
                    sleep(pause).await;
                    return DbResult::NotRecorded(batch, codes);
                }
            };
            // Only once what was heard before is recorded: the rejections themselves may be among
            // it, and would be written after they were taken back.
            if let Err(error) = take_back_rejections(&db, &watches, &codes).await {
                tracing::warn!(%error, "Rejections could not be taken back yet.");
                sleep(pause).await;
                return DbResult::Recorded(batch, accepted, codes);
            }
            DbResult::Recorded(batch, accepted, Vec::new())
        });
    }

    /// Takes rejections back with the next batch.
    pub(super) fn take_back(&mut self, codes: Vec<Uuid>) {
        self.taken_back.extend(codes);
    }

    pub(super) fn renew(&mut self, claims: Vec<Claim>) {
        // One at a time: each locks every row that is held, and on a slow database those that pile up
        // would keep the outcomes waiting and use up the pool.
        if self.is_renewing || claims.is_empty() {
            return;
        }
        self.is_renewing = true;
        let (db, lease) = (self.db.clone(), self.claim_mails.lease);
        self.begin(async move {
            match renew_claims(&db, lease, &claims).await {
                Ok((at, codes)) => DbResult::Renewed(at, codes),
                Err(error) => {
                    tracing::warn!(%error, "Claims on mails were not renewed; the next tick tries again.");
                    DbResult::Renewed(Instant::now(), Vec::new())
                }
            }
        });
    }

    pub(super) fn release(&mut self, claims: Vec<Claim>) {
        if claims.is_empty() {
            return;
        }
        let db = self.db.clone();
        self.begin(async move {
            if let Err(error) = release_claims(&db, &claims).await {
                // Not tried again: a lease later they are as free as they were to be made.
                tracing::debug!(%error, "Claims on mails run out by themselves.");
            }
            DbResult::Nothing
        });
    }

    pub(super) fn end_stale_claims(&mut self) {
        let db = self.db.clone();
        self.begin(async move {
            if let Err(error) = end_stale_claims(&db).await {
                tracing::debug!(%error, "Claims of an earlier process run out by themselves.");
            }
            DbResult::Nothing
        });
    }

    fn begin(&mut self, call: impl Future<Output = DbResult> + Send + 'static) {
        // Tasks, so that the loop is woken once by each call, and not by every step of it.
        self.under_way.push(detached(call).boxed());
    }
}
