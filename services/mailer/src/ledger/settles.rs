//! Endings of many attempts in one transaction, each with the row that tells operators of it.

use std::{sync::Arc, time::Duration};

use kit::{clock::Timestamp, db::is_away, group::Group};
use sea_orm::{DbErr, prelude::Uuid};
use tokio_util::sync::CancellationToken;

use super::{Away, Book, MEMORY, Ours, away};
use crate::{
    domain::Outcome,
    store::{attempts, mails},
};

/// How one attempt ended.
#[derive(Debug, Clone)]
pub(crate) struct Settlement {
    /// The mail's key.
    pub(crate) code_id: Uuid,
    /// The account.
    pub(crate) account_id: Uuid,
    /// Of the claim.
    pub(crate) token: Uuid,
    /// Of the claim.
    pub(crate) attempt: u32,
    /// The class.
    pub(crate) outcome: Outcome,
    /// The mail server's answer, redacted.
    pub(crate) reply: String,
    /// For operators; empty when the attempt was not traced.
    pub(crate) trace_id: String,
}

/// A mail that cannot be made, and was never claimed.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// The mail's key.
    pub(crate) code_id: Uuid,
    /// The account.
    pub(crate) account_id: Uuid,
    /// Which mail.
    pub(crate) template: &'static str,
    /// Language that was asked for.
    pub(crate) locale: String,
    /// Why; no value of the request is in it.
    pub(crate) reason: &'static str,
    /// When its code stops working; now, if that is what is wrong with it.
    pub(crate) expires_at: Option<Timestamp>,
    /// For operators.
    pub(crate) trace_id: String,
}

/// The group's transaction. After a data error each is tried alone.
pub(super) async fn commit(
    book: Arc<Book>,
    ended: Vec<Settlement>,
) -> Vec<Result<Timestamp, Away>> {
    match settle(&book, &ended).await {
        Ok(now) => vec![Ok(now); ended.len()],
        Err(error) if is_away(&error) || ended.len() == 1 => vec![Err(away(&error)); ended.len()],
        Err(_) => {
            let mut all = Vec::with_capacity(ended.len());
            for one in &ended {
                all.push(
                    settle(&book, std::slice::from_ref(one))
                        .await
                        .map_err(|error| away(&error)),
                );
            }
            all
        }
    }
}

async fn settle(book: &Book, ended: &[Settlement]) -> Result<Timestamp, DbErr> {
    let tx = book.db.begin().await?;
    let now = book.db.now(&tx).await?;
    let accepted = ended.iter().filter(|one| one.outcome == Outcome::Accepted);
    let mut accepted: Vec<_> = accepted.map(|one| one.code_id).collect();
    accepted.sort_unstable(); // one order for all replicas, so that none waits for another in a circle
    mails::settle_accepted(&tx, &accepted, now).await?;
    let mut others: Vec<_> = ended
        .iter()
        .filter(|one| one.outcome != Outcome::Accepted)
        .collect();
    others.sort_unstable_by_key(|one| one.code_id);
    for one in others {
        match one.outcome {
            Outcome::Rejected | Outcome::Invalid => {
                mails::settle_refused(&tx, one.code_id, one.outcome, &one.reply, now).await?;
            }
            _ => mails::settle_idle(&tx, one.code_id, one.token, one.outcome).await?,
        }
    }
    attempts::insert(
        &tx,
        ended.iter().map(|one| attempt(book, one, now)).collect(),
    )
    .await?;
    tx.commit().await?;
    Ok(now)
}

/// Tries a note again that could not be written. The lease is renewed as soon as the database is back, unless it
/// has passed by then; an acceptance is written in either case.
pub(super) async fn keep_trying(
    settles: Group<Settlement, Result<Timestamp, Away>>,
    ours: Ours,
    ended: Settlement,
    give_up: CancellationToken,
) {
    loop {
        let pause = tokio::time::sleep(Duration::from_millis(250));
        if give_up.run_until_cancelled(pause).await.is_none() {
            break;
        }
        if let Ok(Ok(_)) = settles.submit(ended.clone()).await {
            break;
        }
    }
    drop(ours);
}

/// Writes a final row for a mail that cannot be made.
pub(super) async fn refuse(book: &Book, refusal: Refusal) -> Result<(), DbErr> {
    let tx = book.db.begin().await?;
    let now = book.db.now(&tx).await?;
    let row = mails::Model {
        code_id: refusal.code_id,
        account_id: refusal.account_id,
        template: refusal.template.to_owned(),
        locale: refusal.locale,
        address_mac: Vec::new(),
        address_key_id: String::new(),
        state: Outcome::Invalid.as_str().to_owned(),
        token: None,
        lease_until_at: now,
        attempts: 1,
        unknown_attempts: 0,
        reason: refusal.reason.to_owned(),
        settled_at: Some(now),
        keep_until_at: refusal.expires_at.unwrap_or(now) + MEMORY,
    };
    if !mails::insert(&tx, vec![row]).await?.is_empty() {
        let one = Settlement {
            code_id: refusal.code_id,
            account_id: refusal.account_id,
            token: Uuid::nil(),
            attempt: 1,
            outcome: Outcome::Invalid,
            reply: refusal.reason.to_owned(),
            trace_id: refusal.trace_id,
        };
        attempts::insert(&tx, vec![attempt(book, &one, now)]).await?;
    }
    tx.commit().await
}

fn attempt(book: &Book, ended: &Settlement, now: Timestamp) -> attempts::Model {
    attempts::Model {
        id: book.clock.uuid_v7(),
        code_id: ended.code_id,
        account_id: ended.account_id,
        attempt: i32::try_from(ended.attempt).unwrap_or(i32::MAX),
        outcome: ended.outcome.as_str().to_owned(),
        reply: ended.reply.clone(),
        ended_at: now,
        trace_id: ended.trace_id.clone(),
    }
}
