//! Takes in what AccountCreated says, a batch in one transaction, which also settles the messages.
//! A new account gets its first code, whose mail goes on at once if there is room for it.

use kit::{
    bus::{Delivery, Reason, Settled, settle},
    db::{Db, StoreError},
    fail_point,
    group::{Batch, together},
    watch::Watches,
};
use sea_orm::DbErr;
use uuid::Uuid;

use super::{
    ClaimedMail, FirstCodes, NewVerification,
    first_codes::{Starting, TooOld, traced},
};

/// A message, and what it asks for, or why nobody can do it.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    /// Its context is that of the event's `process` span.
    pub(crate) delivery: Delivery,
    pub(crate) new: Result<NewVerification, Reason>,
    /// Whether a mail will be handed over.
    pub(crate) has_room: bool,
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
    pub(crate) first_codes: FirstCodes,
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
        let contexts: Vec<_> = batch.iter().map(|told| &told.delivery.context).collect();
        traced(&contexts, self.store_in(&batch)).await
    }

    async fn store_in(&self, batch: &[Told]) -> Result<Vec<Answer>, DbErr> {
        let tx = self.db.write("start verifications").await?;
        let mut starting = Vec::with_capacity(batch.len());
        for told in batch {
            starting.extend(told.new.as_ref().ok().map(|new| Starting {
                new,
                context: &told.delivery.context,
                has_room: told.has_room,
            }));
        }
        let first = self.first_codes.insert(&tx, &starting).await?;
        let mut codes = first.codes.into_iter();
        let (mut found, mut mails) = (Vec::with_capacity(batch.len()), Vec::new());
        for told in batch {
            let (outcome, code) = match &told.new {
                Err(reason) => (Err(*reason), None),
                // Those that make sense, and no others, have their answers in this order.
                Ok(_) => match codes.next() {
                    Some(Err(TooOld)) => (Err("too_old"), None),
                    made => (Ok(()), made.and_then(Result::ok).flatten()),
                },
            };
            found.push((&told.delivery, outcome));
            mails.push(code.and_then(|code| code.mail));
        }
        fail_point!("verification/started");
        let settled = settle(tx, found).await?;
        // Whoever signed up watches the account already, while there was nothing yet to show.
        self.watches.notify(&first.accounts);
        let started = settled.into_iter().zip(mails);
        Ok(started
            .map(|(settled, mail)| Ok(Started { settled, mail }))
            .collect())
    }
}
