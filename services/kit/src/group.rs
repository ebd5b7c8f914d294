//! Group commit: commands that arrive while a commit runs are written together by the next one, and
//! each caller gets its own result. No timer: a lone command commits at once.
//!
//! The rule for errors is `together`'s: all of a batch in one transaction; where the data is at
//! fault, one by one, so that only the one at fault fails; where the database is away, all fail at
//! once.

use std::{
    ops::{Deref, Range},
    sync::Arc,
};

use sea_orm::DbErr;
use tokio::sync::{mpsc, oneshot};

use crate::{db::StoreError, serve::beat};

/// Commands that are committed together. Clones share them.
#[derive(Debug)]
pub struct Batch<C> {
    commands: Arc<Vec<C>>,
    part: Range<usize>,
}

impl<C> From<Vec<C>> for Batch<C> {
    fn from(commands: Vec<C>) -> Self {
        let part = 0..commands.len();
        Self {
            commands: Arc::new(commands),
            part,
        }
    }
}

impl<C> Clone for Batch<C> {
    fn clone(&self) -> Self {
        Self {
            commands: Arc::clone(&self.commands),
            part: self.part.clone(),
        }
    }
}

impl<C> Deref for Batch<C> {
    type Target = [C];

    fn deref(&self) -> &[C] {
        &self.commands[self.part.clone()]
    }
}

/// Commits a batch and answers each command, in their order. `commit` writes what it is given in
/// one transaction and answers each; `failed` is the answer of a command that was not written.
pub async fn together<C, R, F>(
    batch: Batch<C>,
    commit: impl Fn(Batch<C>) -> F,
    failed: impl Fn(&StoreError) -> R,
) -> Vec<R>
where
    F: Future<Output = Result<Vec<R>, DbErr>>,
{
    let all = batch.len();
    let error = match commit(batch.clone()).await {
        Ok(results) => return results,
        Err(error) => StoreError::from(error),
    };
    let mut results = Vec::with_capacity(all);
    // An error in the data concerns one of them, and nobody knows which: each goes alone. A
    // database that is away is away for all: each of the rest would wait as long, and their callers
    // have waited already.
    if all > 1 && matches!(error, StoreError::Unexpected(_)) {
        for place in batch.part.clone() {
            beat(); // each is a transaction: together they may take longer than any turn
            let alone = Batch {
                commands: Arc::clone(&batch.commands),
                part: place..place + 1,
            };
            match commit(alone).await.map_err(StoreError::from) {
                Ok(result) => results.extend(result),
                Err(away @ StoreError::Unavailable(_)) => {
                    // It went away meanwhile: those before are committed and keep their answers.
                    results.resize_with(all, || failed(&away));
                    break;
                }
                Err(refused) => results.push(failed(&refused)),
            }
        }
    }
    results.resize_with(all, || failed(&error)); // none where each went alone
    results
}

/// The way into a group. Dropping every clone lets the worker finish what is queued and end.
#[derive(Debug)]
pub struct Group<C, R> {
    queue: mpsc::Sender<(C, oneshot::Sender<R>)>,
}

impl<C, R> Clone for Group<C, R> {
    fn clone(&self) -> Self {
        Self {
            queue: self.queue.clone(),
        }
    }
}

/// Why there is no result. Unless it is `Lost`, the command has had no effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// As many commands wait as may: come back later.
    #[error("too many commands are waiting")]
    Full,
    /// The worker has ended, because the service shuts down.
    #[error("the service is shutting down")]
    Stopped,
    /// The commit panicked. Whether it happened nobody knows.
    #[error("the commit did not come to an end")]
    Lost,
}

impl<C: Send + Sync + 'static, R: Send + 'static> Group<C, R> {
    /// Starts the worker. At most `queue` commands wait, at most `size` are committed together.
    /// `commit` and `failed` are `together`'s. A commit that hangs is ended by its own `Tx`.
    pub fn start<F>(
        queue: usize,
        size: usize,
        commit: impl Fn(Batch<C>) -> F + Send + Sync + 'static,
        failed: impl Fn(&StoreError) -> R + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Vec<R>, DbErr>> + Send + 'static,
    {
        let (sender, receiver) = mpsc::channel(queue);
        let (commit, failed) = (Arc::new(commit), Arc::new(failed));
        let committed = move |batch| {
            let (commit, failed) = (Arc::clone(&commit), Arc::clone(&failed));
            async move { together(batch, &*commit, &*failed).await }
        };
        tokio::spawn(work(receiver, size, committed));
        Self { queue: sender }
    }

    /// Hands a command over and waits for its result. A caller that goes away does not stop its
    /// command.
    ///
    /// # Errors
    /// `Full` at once when the queue is full; `Stopped` when nobody takes commands any more; `Lost`
    /// when the commit panicked.
    pub async fn submit(&self, command: C) -> Result<R, Refused> {
        let (answer, result) = oneshot::channel();
        // Not `send`: callers that wait for room would be a second queue, and that one has no
        // bound. Who is told at once can come back when there is room.
        let queued = self.queue.try_send((command, answer));
        queued.map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Refused::Full,
            mpsc::error::TrySendError::Closed(_) => Refused::Stopped,
        })?;
        // The worker answers whatever it took, so that an answer which is dropped means a panic.
        result.await.map_err(|_| Refused::Lost)
    }

    /// The same for callers whose number has a bound of its own: where the queue is full, they wait
    /// for their turn. One that goes away while it waits leaves nothing behind.
    ///
    /// # Errors
    /// As `submit`, but never `Full`.
    pub async fn submit_in_turn(&self, command: C) -> Result<R, Refused> {
        let (answer, result) = oneshot::channel();
        let queued = self.queue.send((command, answer)).await;
        queued.map_err(|_| Refused::Stopped)?;
        result.await.map_err(|_| Refused::Lost)
    }
}

async fn work<C, R, F>(
    mut queue: mpsc::Receiver<(C, oneshot::Sender<R>)>,
    size: usize,
    committed: impl Fn(Batch<C>) -> F,
) where
    R: Send + 'static,
    F: Future<Output = Vec<R>> + Send + 'static,
{
    let mut waiting = Vec::with_capacity(size);
    // What came while the last commit ran is there by now and goes together. Nothing waits for more
    // to come: with a timer a lone caller would pay for company that it does not have. 0 means that
    // every `Group` is gone and the queue is empty, so that a stop writes what was taken.
    while queue.recv_many(&mut waiting, size).await > 0 {
        let (commands, answers): (Vec<C>, Vec<_>) = waiting.drain(..).unzip();
        // In a task of its own: a commit that panics costs its callers their answers, nobody else.
        let Ok(results) = tokio::spawn(committed(Batch::from(commands))).await else {
            tracing::error!("A commit panicked.");
            continue; // the answers are dropped, and their callers hear of it
        };
        for (result, answer) in results.into_iter().zip(answers) {
            // The caller may have gone; its command was carried out all the same.
            let _ = answer.send(result);
        }
    }
}
