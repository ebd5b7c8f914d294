//! Claims mails, those of a round in one transaction: `sending`, the claim's number and its lease are
//! committed before the first SMTP command of any of them. Whatever dies after that, the row says that an
//! attempt was under way.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use kit::{
    clock::{Clock, Timestamp},
    db::{Db, Tx},
};
use sea_orm::DbErr;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Answer, Outcome, PastAttempt,
    keep_leases::{LeaseGuard, Leases},
    look_up::{Standing, in_flight},
};
use crate::{
    domain::{AddressKeys, Offer, TEMPLATE},
    store::{
        attempts,
        mails::{self, LedgerState},
    },
};

/// While the database is away, it is asked again that often.
const PAUSE: Duration = Duration::from_millis(250);

/// A row's first claim, which it is born with.
const FIRST_CLAIM: i32 = 1;

/// What became of a claim.
#[derive(Debug)]
pub(crate) enum Claimed {
    /// The mail is the caller's to send, and to nobody else.
    ToSend(Claim),
    /// It is not to be sent now.
    Answered(Answer),
}

/// The right and the duty to send one mail and to record how that ended.
#[derive(Debug)]
pub(crate) struct Claim {
    /// Counts the mail's claims, from 1: its attempt's number.
    pub(crate) claim_no: i32,
    /// Earlier attempts whose outcome could not be learnt.
    pub(crate) unknown_attempts: u32,
    /// When it was claimed, by the database's clock.
    pub(crate) now: Timestamp,
    /// Renewed for as long as this lives.
    pub(crate) lease: LeaseGuard,
}

/// What claims are made with.
#[derive(Debug)]
pub(crate) struct Claims {
    pub(crate) clock: Clock,
    pub(crate) keys: AddressKeys,
    /// Renewed by `keep_leases`.
    pub(crate) leases: Leases,
    /// How long a claim lasts.
    pub(crate) lease: Duration,
}

/// Claims that are written but not committed yet.
#[derive(Debug)]
pub(super) struct Written<'o> {
    offers: &'o [Arc<Offer>],
    decisions: Vec<Decision>,
    /// The keys whose rows are new.
    inserted: HashSet<Uuid>,
    /// When, by the database's clock.
    now: Timestamp,
}

/// What the transaction does about one offer.
#[derive(Debug)]
enum Decision {
    /// A new row, already claimed.
    Insert,
    /// The next attempt on an idle one.
    Begin(mails::Model),
    /// Its sender died or was cut off: that attempt counts as unknown.
    CountLapsed(mails::Model),
    Nothing(Answer),
}

/// Ends claims whose commit nobody answered.
pub(super) async fn take_back(
    db: Db,
    claims: Vec<mails::UnsentClaim>,
    lease_end: Instant,
    give_up: CancellationToken,
) {
    // Nothing was sent under them, and whoever found them after their lease would count an attempt
    // whose outcome is unknown.
    let pause = || tokio::time::sleep(PAUSE);
    while give_up.run_until_cancelled(pause()).await.is_some() {
        let taken_back = async {
            let tx = db.write("take claims back").await?;
            let taken_back = mails::take_back_claims(&tx, &claims).await?;
            tx.commit().await?;
            Ok::<_, DbErr>(taken_back)
        };
        match taken_back.await {
            // Not there yet: the server may still be at our COMMIT, as long as its limit lets it.
            Ok(0) if Instant::now() < lease_end + kit::db::LIMIT => {}
            // It never will be, or others have found the claims already.
            Ok(0) => return,
            // It is away still, and that was told.
            Err(_) => {}
            Ok(mails) => {
                tracing::info!(
                    mails,
                    "Claims whose commit was not answered are taken back."
                );
                return;
            }
        }
    }
}

impl Written<'_> {
    /// The claims that the transaction began, as their rows say it.
    pub(super) fn begun(&self, lease: Duration) -> Vec<mails::UnsentClaim> {
        let mut claims = Vec::with_capacity(self.offers.len());
        for (offer, decision) in self.offers.iter().zip(&self.decisions) {
            let claim_no = match decision {
                Decision::Insert => FIRST_CLAIM,
                Decision::Begin(row) => row.claim_no + 1,
                Decision::CountLapsed(_) | Decision::Nothing(_) => continue,
            };
            claims.push(mails::UnsentClaim {
                code_id: offer.code_id,
                claim_no,
                until: self.now + lease,
            });
        }
        claims
    }
}

impl Claims {
    /// Decides about each offer and writes that.
    pub(super) async fn write<'o>(
        &self,
        tx: &Tx,
        offers: &'o [Arc<Offer>],
    ) -> Result<Written<'o>, DbErr> {
        let now = tx.now();
        // Each key once, and locked in their order: two replicas that claim the same mails wait,
        // but not in a circle.
        let keys: BTreeSet<Uuid> = offers.iter().map(|offer| offer.code_id).collect();
        let rows = match keys.is_empty() {
            true => HashMap::new(),
            false => mails::by_key(mails::lock(tx, keys).await?),
        };
        // Decided on rows that nobody else can change until the commit.
        let mut taken = HashSet::new();
        let mut decisions = Vec::with_capacity(offers.len());
        for offer in offers {
            decisions.push(self.decide(offer, rows.get(&offer.code_id), &mut taken, now));
        }
        let inserted = self.write_decisions(tx, offers, &decisions).await?;
        Ok(Written {
            offers,
            decisions,
            inserted,
            now,
        })
    }

    /// Takes up the leases of claims that are committed, and answers each offer. A lease is taken up
    /// only here: one that was not committed must never let anything be sent.
    pub(super) fn take_up(&self, written: Written<'_>, lease_end: Instant) -> Vec<Claimed> {
        let Written {
            offers,
            decisions,
            inserted,
            now,
        } = written;
        let mut claimed = Vec::with_capacity(offers.len());
        for (offer, decision) in offers.iter().zip(decisions) {
            let to_send = |claim_no, unknown_attempts| {
                Claimed::ToSend(Claim {
                    claim_no,
                    unknown_attempts,
                    now,
                    lease: self.leases.hold(offer.code_id, claim_no, lease_end),
                })
            };
            claimed.push(match decision {
                Decision::Insert if inserted.contains(&offer.code_id) => to_send(FIRST_CLAIM, 0),
                // Another replica was quicker: its row was not there to be locked, and is now.
                Decision::Insert => Claimed::Answered(in_flight(self.lease, 0)),
                Decision::Begin(row) => to_send(row.claim_no + 1, row.unknown_attempts()),
                Decision::CountLapsed(row) => Claimed::Answered(Answer {
                    outcome: Some(Outcome::Unknown),
                    unknown_attempts: row.unknown_attempts() + 1,
                    reached: true,
                    reason: "the sender was lost during an attempt".to_owned(),
                    ..Answer::default()
                }),
                Decision::Nothing(answer) => Claimed::Answered(answer),
            });
        }
        claimed
    }

    /// What becomes of one offer; `taken` are the keys that this group claims already.
    fn decide(
        &self,
        offer: &Offer,
        row: Option<&mails::Model>,
        taken: &mut HashSet<Uuid>,
        now: Timestamp,
    ) -> Decision {
        let unknown_attempts = match Standing::of(row, offer, &self.keys, now, self.lease) {
            Standing::Claimable { unknown_attempts } => unknown_attempts,
            Standing::Answered(answer) => return Decision::Nothing(answer),
        };
        // The same mail may come twice, over two streams.
        if !taken.insert(offer.code_id) {
            return Decision::Nothing(in_flight(self.lease, unknown_attempts));
        }
        match row {
            // Claimable although `sending`: its lease has passed. It is counted and answered as
            // unknown, and not sent at once: the client decides when, by the count.
            Some(row) if row.state == LedgerState::Sending => Decision::CountLapsed(row.clone()),
            // By the row's own expiry: `store::mails` says why.
            Some(row) if row.expires_at() > now => Decision::Begin(row.clone()),
            None if offer.expires_at > now => Decision::Insert,
            // An old code would only confuse.
            Some(_) | None => Decision::Nothing(Answer {
                outcome: Some(Outcome::Unavailable),
                unknown_attempts,
                reason: "the code has expired".to_owned(),
                ..Answer::default()
            }),
        }
    }

    /// Writes what was decided, and returns the keys whose rows are new.
    async fn write_decisions(
        &self,
        tx: &Tx,
        offers: &[Arc<Offer>],
        decisions: &[Decision],
    ) -> Result<HashSet<Uuid>, DbErr> {
        let claimed_until = tx.now() + self.lease;
        let (mut new_rows, mut begun, mut lapsed, mut ended) = (vec![], vec![], vec![], vec![]);
        for (offer, decision) in offers.iter().zip(decisions) {
            match decision {
                Decision::Insert => new_rows.push(self.new_row(offer, claimed_until)),
                Decision::Begin(row) => begun.push(row.code_id),
                Decision::CountLapsed(row) => {
                    lapsed.push(row.code_id);
                    ended.push(self.lapsed_attempt(row, tx.now()));
                }
                Decision::Nothing(_) => {}
            }
        }
        // New rows last: their insert may wait for another replica's, which has its locks already.
        mails::begin_sending(tx, &begun, claimed_until).await?;
        mails::count_lapsed(tx, &lapsed).await?;
        attempts::insert(tx, ended).await?;
        let inserted = mails::insert_missing(tx, new_rows).await?;
        Ok(inserted.into_iter().collect())
    }

    fn new_row(&self, offer: &Offer, claimed_until: Timestamp) -> mails::Model {
        let address = self.keys.mac(&offer.recipient);
        mails::Model {
            code_id: offer.code_id,
            account_id: offer.account_id,
            template: TEMPLATE.to_owned(),
            locale: offer.locale.as_str().to_owned(),
            address_mac: address.mac,
            address_key_id: address.key_id,
            state: LedgerState::Sending,
            claim_no: FIRST_CLAIM,
            claimed_until,
            unknown_attempts: 0,
            reason: String::new(),
            ended_at: None,
            keep_until: mails::keep_until(offer.expires_at),
        }
    }

    fn lapsed_attempt(&self, row: &mails::Model, now: Timestamp) -> PastAttempt {
        // Nobody is left to tell of an attempt whose sender died; so this does.
        PastAttempt {
            id: self.clock.uuid_v7(),
            code_id: row.code_id,
            account_id: row.account_id,
            attempt: row.claim_no,
            outcome: Outcome::Unknown,
            reply: "the sender was lost during this attempt".to_owned(),
            ended_at: now,
            trace_id: String::new(),
        }
    }
}
