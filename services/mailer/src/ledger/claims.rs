//! Claims of many mails in one transaction: `sending`, a token and a lease are committed before the first SMTP
//! command of any of them.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::Instant,
};

use kit::{clock::Timestamp, db::is_away};
use sea_orm::{DbErr, prelude::Uuid};

use super::{
    Away, Book, MEMORY, Request, away,
    leases::Held,
    standing::{self, Standing, State},
};
use crate::{
    domain::Outcome,
    store::{attempts, mails},
};

/// What became of a claim.
#[derive(Debug)]
pub(crate) enum Claimed {
    /// The mail is the caller's to send.
    Ours(Ours),
    /// It is not to be sent now.
    No(Standing),
    /// Its code has expired: an old code would only confuse.
    Expired,
}

/// The right and the duty to send one mail and to settle it.
#[derive(Debug)]
pub(crate) struct Ours {
    /// Which attempt this is, from 1.
    pub(crate) attempt: u32,
    /// Earlier attempts whose outcome could not be learnt.
    pub(crate) unknown_attempts: u32,
    /// When it was claimed, by the database's clock.
    pub(crate) now: Timestamp,
    /// The lease; renewed for as long as this lives.
    pub(crate) held: Held,
}

/// The group's transaction. After a data error each is tried alone, so that one cannot spoil the others.
pub(super) async fn commit(book: Arc<Book>, requests: Vec<Request>) -> Vec<Result<Claimed, Away>> {
    match claim(&book, &requests).await {
        Ok(claimed) => claimed.into_iter().map(Ok).collect(),
        Err(error) if is_away(&error) || requests.len() == 1 => {
            away(&error);
            requests.iter().map(|_| Err(Away)).collect()
        }
        Err(_) => {
            let mut all = Vec::with_capacity(requests.len());
            for request in &requests {
                let one = claim(&book, std::slice::from_ref(request)).await;
                all.push(
                    one.map_err(|error| away(&error))
                        .and_then(|mut one| one.pop().ok_or(Away)),
                );
            }
            all
        }
    }
}

async fn claim(book: &Arc<Book>, requests: &[Request]) -> Result<Vec<Claimed>, DbErr> {
    // Taken before the database reads its own clock: our copy of the lease ends no later than the row's.
    let lease_end = Instant::now() + book.lease;
    let tx = book.db.begin().await?;
    let now = book.db.now(&tx).await?;
    let keys: BTreeSet<Uuid> = requests.iter().map(|request| request.code_id).collect();
    let rows = mails::lock(&tx, &Vec::from_iter(keys)).await?;
    let rows: HashMap<_, _> = rows.into_iter().map(|row| (row.code_id, row)).collect();
    let mut plan = Plan {
        token: book.clock.uuid_v7(),
        now,
        lease_until_at: now + book.lease,
        ..Plan::default()
    };
    let mut fates: Vec<Fate> = requests
        .iter()
        .map(|request| plan.decide(book, request, rows.get(&request.code_id)))
        .collect();
    // In one order everywhere: two replicas that insert the same keys wait for each other, but not in a circle.
    plan.insert.sort_unstable_by_key(|row| row.code_id);
    let inserted: HashSet<Uuid> = mails::insert(&tx, plan.insert).await?.into_iter().collect();
    mails::begin_sending(&tx, &plan.begin, plan.token, plan.lease_until_at).await?;
    mails::count_lapsed(&tx, &plan.lapsed).await?;
    attempts::insert(&tx, plan.attempts).await?;
    tx.commit().await?;
    for (request, fate) in requests.iter().zip(&mut fates) {
        if matches!(fate, Fate::New) && !inserted.contains(&request.code_id) {
            *fate = Fate::No(in_flight(book)); // another replica was quicker
        }
    }
    let take = |(request, fate): (&Request, Fate)| {
        let ours = |attempt, unknown_attempts| {
            let held = book.leases.hold(request.code_id, plan.token, lease_end);
            Claimed::Ours(Ours {
                attempt,
                unknown_attempts,
                now,
                held,
            })
        };
        match fate {
            Fate::New => ours(1, 0),
            Fate::Again {
                attempt,
                unknown_attempts,
            } => ours(attempt, unknown_attempts),
            Fate::No(standing) => Claimed::No(standing),
            Fate::Expired => Claimed::Expired,
        }
    };
    Ok(requests.iter().zip(fates).map(take).collect())
}

enum Fate {
    New,
    Again { attempt: u32, unknown_attempts: u32 },
    No(Standing),
    Expired,
}

/// What the transaction will write.
struct Plan {
    token: Uuid,
    now: Timestamp,
    lease_until_at: Timestamp,
    insert: Vec<mails::Model>,
    begin: Vec<Uuid>,
    lapsed: Vec<Uuid>,
    attempts: Vec<attempts::Model>,
    taken: HashSet<Uuid>,
}

impl Default for Plan {
    fn default() -> Self {
        let never = Timestamp(0);
        Self {
            token: Uuid::nil(),
            now: never,
            lease_until_at: never,
            insert: Vec::new(),
            begin: Vec::new(),
            lapsed: Vec::new(),
            attempts: Vec::new(),
            taken: HashSet::new(),
        }
    }
}

impl Plan {
    fn decide(&mut self, book: &Book, request: &Request, row: Option<&mails::Model>) -> Fate {
        let standing = row.map_or(Standing::OPEN, |row| {
            standing::of(row, request, &book.keys, self.now)
        });
        if !matches!(standing.state, State::Open | State::Lapsed) {
            return Fate::No(standing);
        }
        if !self.taken.insert(request.code_id) {
            return Fate::No(in_flight(book)); // the same key twice in one group
        }
        match (standing.state, row) {
            (State::Lapsed, Some(row)) => {
                self.lapsed.push(row.code_id);
                self.attempts.push(self.lapsed_attempt(book, row));
                Fate::No(Standing {
                    state: State::Lapsed,
                    unknown_attempts: standing.unknown_attempts + 1,
                })
            }
            _ if request.expires_at <= self.now => Fate::Expired,
            (_, Some(row)) => {
                self.begin.push(row.code_id);
                let attempt = u32::try_from(row.attempts).unwrap_or(0) + 1;
                Fate::Again {
                    attempt,
                    unknown_attempts: standing.unknown_attempts,
                }
            }
            (_, None) => {
                self.insert.push(self.new_row(book, request));
                Fate::New
            }
        }
    }

    fn new_row(&self, book: &Book, request: &Request) -> mails::Model {
        let address = book.keys.mac(&request.recipient);
        mails::Model {
            code_id: request.code_id,
            account_id: request.account_id,
            template: request.template.to_owned(),
            locale: request.locale.as_str().to_owned(),
            address_mac: address.mac,
            address_key_id: address.key_id,
            state: mails::SENDING.to_owned(),
            token: Some(self.token),
            lease_until_at: self.lease_until_at,
            attempts: 1,
            unknown_attempts: 0,
            reason: String::new(),
            settled_at: None,
            keep_until_at: request.expires_at + MEMORY,
        }
    }

    /// Nobody is left to tell of an attempt whose sender died; so this does.
    fn lapsed_attempt(&self, book: &Book, row: &mails::Model) -> attempts::Model {
        attempts::Model {
            id: book.clock.uuid_v7(),
            code_id: row.code_id,
            account_id: row.account_id,
            attempt: row.attempts,
            outcome: Outcome::Unknown.as_str().to_owned(),
            reply: "the sender was lost during this attempt".to_owned(),
            ended_at: self.now,
            trace_id: String::new(),
        }
    }
}

fn in_flight(book: &Book) -> Standing {
    Standing {
        state: State::InFlight(book.lease),
        unknown_attempts: 0,
    }
}
