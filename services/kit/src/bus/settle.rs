//! The end of a message's transaction: what the verdicts leave behind is committed with the work
//! itself, and only what is committed can be acked.

use std::time::Duration;

use sea_orm::DbErr;

use super::{
    delivery::{Delivery, Left, Reason},
    letters, trials,
};
use crate::db::{Db, Tx};

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Its work is committed, or its dead letter is.
    Settled(Settled),
    /// Not now: hold it and hand it to the handler again after this time. Nothing is counted.
    Retry(Duration),
    /// It can never be handled, and the transaction that found out could not commit: its dead
    /// letter gets one of its own.
    Reject(Reason),
}

/// The proof that all that a message leaves behind is committed. Only `settle` makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    pub(super) rejected: Option<Reason>,
}

/// Commits `tx`, and in it what becomes of these messages: for each that can never be handled a
/// dead letter with the reason, for each that had come before the end of its trials, for each that
/// was handled at last the end of its dead letter. Answers each, in their order.
///
/// # Errors
/// The database's: nothing is settled then.
pub async fn settle<'a>(
    tx: Tx,
    found: impl IntoIterator<Item = (&'a Delivery, Result<(), Reason>)>,
) -> Result<Vec<Settled>, DbErr> {
    let (mut settled, mut tried, mut rejected, mut healed) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (delivery, outcome) in found {
        settled.push(Settled {
            rejected: outcome.err(),
        });
        if delivery.left == Left::Trial {
            tried.push(&delivery.source);
        }
        match outcome {
            Err(reason) => rejected.push((delivery, reason)),
            Ok(()) if delivery.left == Left::Letter => healed.push(&delivery.source),
            Ok(()) => {}
        }
    }
    // In the order of their keys: two replicas that hold the same messages wait, never deadlock.
    tried.sort_by_key(|source| source.sequence);
    rejected.sort_by_key(|(delivery, _)| delivery.source.sequence);
    healed.sort_by_key(|source| source.sequence);
    trials::delete(&tx, &tried).await?;
    letters::insert(&tx, &rejected).await?;
    letters::delete_of(&tx, &healed).await?;
    tx.commit().await?;
    Ok(settled)
}

/// Makes a message a dead letter in a transaction of its own.
pub(super) async fn bury(db: &Db, delivery: &Delivery, reason: Reason) -> Result<Settled, DbErr> {
    let tx = db.write("bury a message").await?;
    settle(tx, [(delivery, Err(reason))]).await?;
    Ok(Settled {
        rejected: Some(reason),
    })
}
