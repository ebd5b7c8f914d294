//! What is written while a window waits for the broker: its claims are renewed, and what the broker
//! has acknowledged so far, of this window and of those before, is marked. A broker that falls silent
//! is waited for, and a crash meanwhile would publish again whatever was not marked.

use std::time::Duration;

use sea_orm::DbErr;
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use super::{marks::Marks, publish::Heard, record::Outgoing, table};
use crate::{db::Db, serve::beat};

/// A window that takes longer than this waits for its broker. Sooner nothing is marked beside it: its
/// own marks go with those before it.
const PAUSE: Duration = Duration::from_millis(50);

/// A window on its way.
#[derive(Debug)]
pub(super) struct Underway<'a> {
    pub(super) db: &'a Db,
    /// What its rows are claimed for.
    pub(super) lease: Duration,
    pub(super) rows: &'a [Outgoing],
    /// What was acknowledged of it.
    pub(super) heard: &'a Heard,
    /// What was acknowledged of those before.
    pub(super) marks: &'a mut Marks,
}

/// Awaits `publishing`, and what is just being written at its end.
pub(super) async fn attend<T>(window: Underway<'_>, publishing: impl Future<Output = T>) -> T {
    let ended = Notify::new();
    let publishing = async {
        let result = publishing.await;
        ended.notify_one();
        result
    };
    // Beside each other, and neither cuts the other one: a write that was cut would take its
    // connection along and lose its marks.
    let (result, ()) = tokio::join!(publishing, window.write_until(&ended));
    result
}

impl Underway<'_> {
    async fn write_until(mut self, ended: &Notify) {
        let now = Instant::now();
        // A third, so that two renewals in a row may fail before the claims run out.
        let (mut renew_at, mut mark_at) = (now + self.lease / 3, now + PAUSE);
        loop {
            tokio::select! {
                biased; // what is over needs nothing any more
                () = ended.notified() => return,
                () = sleep_until(renew_at) => {
                    self.renew().await;
                    renew_at = Instant::now() + self.lease / 3;
                }
                () = sleep_until(mark_at) => {
                    self.mark().await;
                    mark_at = Instant::now() + PAUSE;
                }
            }
            beat(); // each may take as long as a transaction, and the window's end comes after it
        }
    }

    /// Without renewals another relay would take the rows for abandoned. One that comes too late does
    /// no harm: both relays then publish the same row under the same message id.
    async fn renew(&self) {
        let renewed: Result<(), DbErr> = async {
            let tx = self.db.write("renew claims on events").await?;
            table::set_claims(&tx, tx.now() + self.lease, self.rows).await?;
            tx.commit().await
        }
        .await;
        if let Err(error) = renewed {
            tracing::debug!(%error, "Claims were not renewed; the next tick tries again.");
        }
    }

    async fn mark(&mut self) {
        self.marks.add(self.heard.take());
        if !self.marks.is_empty() {
            self.marks.write(self.db, Vec::new()).await;
        }
    }
}
