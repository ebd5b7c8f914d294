//! The delivery's errands to the database, each a command in a task of its own, so that the loop goes on meanwhile
//! and a shutdown cuts none of them. What fails here is done again by the next tick.

use std::{collections::HashSet, future::Future, sync::Arc, time::Duration};

use futures::{FutureExt as _, future::BoxFuture};
use kit::db;
use tokio::time::Instant;
use uuid::Uuid;

use crate::commands::{Claim, Commands, Failed, Mail, Settlement};

/// How long an errand is waited for. A database call can wait for ever, on a connection whose other end has vanished;
/// the delivery would neither settle nor look again.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long one look replaces codes, and serves resends, before it claims.
const ROUNDS: Duration = Duration::from_secs(2);

/// An errand under way.
pub(super) type Work = BoxFuture<'static, Done>;

/// What came of it.
#[derive(Debug)]
pub(super) enum Done {
    /// A batch, and the mails whose acceptance was news; none when it could not be settled.
    Settled(Vec<Settlement>, Option<HashSet<Uuid>>),
    /// Claimed mails, and whether there may be more.
    Looked(Vec<Mail>, bool),
    /// How many mails are due, and how long the oldest has been.
    Counted(i64, Duration),
    /// Claims renewed at this moment.
    Renewed(Instant, Vec<Claim>),
    /// Nothing to tell.
    Nothing,
}

/// Which part of a look is wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    /// The tick's whole round, expired codes and unserved resends too, or only due mails.
    pub(super) whole: bool,
    /// Most mails.
    pub(super) most: usize,
    /// Of these, most that were tried before.
    pub(super) most_again: usize,
}

/// Settles a batch. While the database is away it is tried again and again: the mailer remembers its answers too,
/// but they need not be asked for once more.
pub(super) fn settle(commands: &Commands, batch: Vec<Settlement>, pause: Duration) -> Work {
    let (commands, batch) = (commands.clone(), Arc::new(batch));
    let (number, theirs) = (batch.len(), Arc::clone(&batch));
    let settling = errand("settle mails", async move {
        commands.settle_mails(&theirs).await
    });
    async move {
        let accepted = match settling.await {
            Some(Ok(accepted)) => Some(accepted),
            failed => {
                if let Some(Err(error)) = failed {
                    tracing::warn!(%error, mails = number, "The mailer's answers could not be stored yet.");
                }
                tokio::time::sleep(pause).await;
                None
            }
        };
        Done::Settled(Arc::unwrap_or_clone(batch), accepted)
    }
    .boxed()
}

/// Looks for what is due.
pub(super) fn look(commands: &Commands, look: Look) -> Work {
    let commands = commands.clone();
    let looking = errand("look for due mails", async move {
        look_at(&commands, look).await
    });
    async move {
        match looking.await {
            Some(Ok(mails)) => {
                let more = look.most > 0 && mails.len() >= look.most;
                Done::Looked(mails, more)
            }
            Some(Err(error)) => {
                tracing::warn!(%error, "Due mails could not be read; the next look is in a moment.");
                Done::Looked(Vec::new(), false)
            }
            None => Done::Looked(Vec::new(), false),
        }
    }
    .boxed()
}

/// Counts what is due, and forgets old askers: the rare part of the housekeeping.
pub(super) fn count(commands: &Commands) -> Work {
    let commands = commands.clone();
    let counting = errand("count due mails", async move {
        let _ = commands.purge_resends().await; // the next round does it
        commands.count_due().await
    });
    async move {
        match counting.await {
            Some(Ok((number, age))) => Done::Counted(number, age),
            Some(Err(_)) | None => Done::Nothing,
        }
    }
    .boxed()
}

/// Renews claims.
pub(super) fn renew(commands: &Commands, claims: Vec<Claim>) -> Work {
    let commands = commands.clone();
    let renewing = errand("renew claims", async move {
        let at = Instant::now(); // before the statement: the lease is at least that long
        match commands.renew_claims(&claims).await {
            Ok(()) => Done::Renewed(at, claims),
            Err(error) => {
                tracing::warn!(%error, "Claims on mails were not renewed; the next round tries again.");
                Done::Nothing
            }
        }
    });
    or_nothing(renewing)
}

/// Lets claims go.
pub(super) fn release(commands: &Commands, claims: Vec<Claim>) -> Work {
    let commands = commands.clone();
    or_nothing(errand("release claims", async move {
        if let Err(error) = commands.release_claims(&claims).await {
            tracing::debug!(%error, "Claims on mails run out by themselves.");
        }
        Done::Nothing
    }))
}

/// Ends what a dead process left claimed.
pub(super) fn begin(commands: &Commands) -> Work {
    let commands = commands.clone();
    or_nothing(errand("end stale claims", async move {
        if let Err(error) = commands.end_stale_claims().await {
            tracing::debug!(%error, "Claims of an earlier process run out by themselves.");
        }
        Done::Nothing
    }))
}

/// Each step by itself: what is wrong with one must not keep due mails from being claimed.
async fn look_at(commands: &Commands, look: Look) -> Result<Vec<Mail>, Failed> {
    if look.whole {
        if let Err(error) = all(|| commands.replace_expired()).await {
            tracing::warn!(%error, "Expired codes were not replaced; the next tick tries again.");
        }
        if let Err(error) = all(|| commands.serve_resends()).await {
            tracing::warn!(%error, "Resends were not served; the next tick tries again.");
        }
    }
    Ok(commands.claim_mails(look.most, look.most_again).await?)
}

/// Rounds until there is no more, or due mails have waited long enough: the next tick does the rest.
async fn all<E, R: Future<Output = Result<bool, E>>>(
    mut round: impl FnMut() -> R,
) -> Result<(), E> {
    let end = Instant::now() + ROUNDS;
    while round().await? && Instant::now() < end {}
    Ok(())
}

/// Runs in a task of its own, which goes on if it takes too long; what it writes then is fenced by its claims.
async fn errand<T: Send + 'static>(
    what: &'static str,
    work: impl Future<Output = T> + Send + 'static,
) -> Option<T> {
    let done = tokio::time::timeout(PATIENCE, db::detached(db::measured(what, work)))
        .await
        .ok();
    if done.is_none() {
        tracing::warn!(
            errand = what,
            "The database has not answered for long; the delivery goes on without it."
        );
    }
    done
}

fn or_nothing(errand: impl Future<Output = Option<Done>> + Send + 'static) -> Work {
    errand.map(|done| done.unwrap_or(Done::Nothing)).boxed()
}
