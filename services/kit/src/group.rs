//! Group commit: commands that arrive while a commit runs are written together by the next one, and each caller
//! gets its own result. No timer: a lone command commits at once.

use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use crate::db;

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
    /// The commit panicked or did not come to an end in time. Whether it happened nobody knows.
    #[error("the commit did not come to an end")]
    Lost,
}

impl<C: Send + 'static, R: Send + 'static> Group<C, R> {
    /// Starts the worker. At most `queue` commands wait, at most `batch` are committed together. `commit` answers
    /// each command, in their order.
    pub fn spawn<F>(
        queue: usize,
        batch: usize,
        commit: impl FnMut(Vec<C>) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = Vec<R>> + Send + 'static,
    {
        let (sender, receiver) = mpsc::channel(queue);
        tokio::spawn(work(receiver, batch, commit));
        Self { queue: sender }
    }

    /// Hands a command over and waits for its result. A caller that goes away does not stop its command.
    ///
    /// # Errors
    /// `Full` at once when the queue is full; `Stopped` when nobody takes commands any more; `Lost` when the commit
    /// had no end.
    pub async fn submit(&self, command: C) -> Result<R, Refused> {
        let (answer, result) = oneshot::channel();
        self.queue
            .try_send((command, answer))
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => Refused::Full,
                mpsc::error::TrySendError::Closed(_) => Refused::Stopped,
            })?;
        result.await.map_err(|_| Refused::Lost)
    }
}

/// Each commit runs in a task of its own: one that panics or hangs costs its callers their answers and nobody else.
async fn work<C, R, F>(
    mut queue: mpsc::Receiver<(C, oneshot::Sender<R>)>,
    batch: usize,
    mut commit: impl FnMut(Vec<C>) -> F,
) where
    R: Send + 'static,
    F: Future<Output = Vec<R>> + Send + 'static,
{
    let mut waiting = Vec::with_capacity(batch);
    while queue.recv_many(&mut waiting, batch).await > 0 {
        let (commands, answers): (Vec<C>, Vec<_>) = waiting.drain(..).unzip();
        let commit = tokio::spawn(db::measured("group", commit(commands)));
        let committed = timeout(db::LIMIT, commit).await;
        let Ok(Ok(results)) = committed else {
            tracing::error!("A commit panicked or did not come to an end.");
            continue; // the answers are dropped, and their callers hear of it
        };
        for (result, answer) in results.into_iter().zip(answers) {
            let _ = answer.send(result); // the caller may have gone; its command was carried out all the same
        }
    }
}
