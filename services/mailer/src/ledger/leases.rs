//! Keeps the leases of what is being sent: one statement for all of them, a few times per lease. A lease that cannot
//! be renewed passes, and its attempt stops before the final dot.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use sea_orm::{DbErr, prelude::Uuid};
use tokio_util::sync::CancellationToken;

use super::Book;
use crate::{store::mails, transport::Lease};

type All = Arc<Mutex<HashMap<Uuid, (Uuid, Lease)>>>;

/// The leases that this process holds, by the mail's key.
#[derive(Debug, Default)]
pub(super) struct Leases(All);

/// One of them, held until this is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    code_id: Uuid,
    token: Uuid,
    lease: Lease,
    all: All,
}

impl Leases {
    /// Takes up a lease that was just committed.
    pub(super) fn hold(&self, code_id: Uuid, token: Uuid, end: Instant) -> Held {
        let lease = Lease::until(end);
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(code_id, (token, lease.clone()));
        Held {
            code_id,
            token,
            lease,
            all: self.0.clone(),
        }
    }
}

impl Held {
    /// The token to settle with.
    pub(crate) fn token(&self) -> Uuid {
        self.token
    }

    /// The lease as the transport watches it.
    pub(crate) fn lease(&self) -> Lease {
        self.lease.clone()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if all
            .get(&self.code_id)
            .is_some_and(|(token, _)| *token == self.token)
        {
            all.remove(&self.code_id);
        }
    }
}

/// Renews until `stop`.
pub(super) async fn keep(book: Arc<Book>, stop: CancellationToken) {
    let mut tick = tokio::time::interval(book.lease.mul_f32(0.3));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        let held: Vec<_> = {
            let all = book.leases.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.iter()
                .map(|(key, (token, lease))| (*key, *token, lease.clone()))
                .collect()
        };
        if held.is_empty() {
            continue;
        }
        if let Err(error) = renew(&book, &held).await {
            tracing::warn!(%error, mails = held.len(), "Leases could not be renewed; what they cover stops in time.");
        }
    }
}

async fn renew(book: &Book, held: &[(Uuid, Uuid, Lease)]) -> Result<(), DbErr> {
    let end = Instant::now() + book.lease;
    let tx = book.db.begin().await?;
    let now = book.db.now(&tx).await?;
    let keys: Vec<_> = held.iter().map(|(key, token, _)| (*key, *token)).collect();
    let renewed = mails::renew(&tx, &keys, now + book.lease).await?;
    tx.commit().await?;
    for (key, _, lease) in held {
        if renewed.contains(key) {
            lease.renew(end);
        }
    }
    Ok(())
}
