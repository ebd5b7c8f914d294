//! Keeps the leases of what is being sent: one statement for all of them, a few times per lease. A
//! lease that cannot be renewed passes, and its attempt stops before the final dot.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use kit::db::Db;
use sea_orm::DbErr;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{store::mails, transport::Lease};

/// The leases that this process holds: claim number and lease by the mail's key. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Leases(Arc<Mutex<BTreeMap<Uuid, (i32, Lease)>>>);

/// One of them, held until this is dropped.
#[derive(Debug)]
pub(crate) struct LeaseGuard {
    code_id: Uuid,
    claim_no: i32,
    lease: Lease,
    leases: Leases,
}

impl Leases {
    /// Takes up a lease that was just committed.
    pub(super) fn hold(&self, code_id: Uuid, claim_no: i32, end: Instant) -> LeaseGuard {
        let lease = Lease::until(end);
        self.lock().insert(code_id, (claim_no, lease.clone()));
        LeaseGuard {
            code_id,
            claim_no,
            lease,
            leases: self.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Uuid, (i32, Lease)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LeaseGuard {
    /// The lease as the transport sees it.
    pub(crate) fn lease(&self) -> Lease {
        self.lease.clone()
    }
}

impl Drop for LeaseGuard {
    fn drop(&mut self) {
        let mut leases = self.leases.lock();
        // A later claim may hold the same key by now, when this one's lease had passed.
        let held = leases.get(&self.code_id);
        if held.is_some_and(|(claim_no, _)| *claim_no == self.claim_no) {
            leases.remove(&self.code_id);
        }
    }
}

/// Renews until `stop`.
pub(crate) async fn run(db: Db, leases: Leases, lease: Duration, stop: CancellationToken) {
    // Three chances a lease: two may fail before anything has to stop. So each is over when the
    // next one is due.
    let period = lease.mul_f32(0.3);
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        // Copied out: claims and ends must not wait for the database because of this.
        let held = leases.lock().clone();
        if held.is_empty() {
            continue;
        }
        // Cut at the next tick: one that hangs would take the chances of those that follow.
        let renewed = timeout(period, renew(&db, &held, lease)).await;
        let error = match renewed {
            Ok(Ok(())) => continue,
            Ok(Err(error)) => error.to_string(),
            Err(too_late) => too_late.to_string(),
        };
        tracing::warn!(
            error,
            mails = held.len(),
            "Leases could not be renewed; what they cover stops in time."
        );
    }
}

async fn renew(db: &Db, held: &BTreeMap<Uuid, (i32, Lease)>, lease: Duration) -> Result<(), DbErr> {
    // Taken before the database reads its own clock: our copies of the leases end no later than the
    // rows'.
    let end = Instant::now() + lease;
    let tx = db.write("renew leases of mails").await?;
    // In the order of their keys, as everywhere: renewals meet claims and ends.
    mails::lock(&tx, held.keys().copied()).await?;
    let claims: Vec<_> = held
        .iter()
        .map(|(key, (claim_no, _))| (*key, *claim_no))
        .collect();
    let renewed = mails::renew_claims(&tx, &claims, tx.now() + lease).await?;
    tx.commit().await?;
    // A claim that was not found is no longer ours: its attempt keeps the end it has, and stops by
    // it.
    let renewed: HashSet<Uuid> = renewed.into_iter().collect();
    for (key, (_, lease)) in held {
        if renewed.contains(key) {
            lease.renew(end);
        }
    }
    Ok(())
}
