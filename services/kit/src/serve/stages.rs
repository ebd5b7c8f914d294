//! The two stages of a shutdown, and the workers that take part in it. A worker that ends before
//! its time takes the process with it.

use std::time::Duration;

use tokio::{
    sync::watch,
    task::{JoinError, JoinHandle},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How long the others may take when a worker has ended before its time: the process is to be
/// started again soon.
const ABANDON: Duration = Duration::from_millis(250);

/// The two stages of a shutdown, for the workers that take part in it.
#[derive(Debug, Clone, Default)]
pub struct Stages {
    /// Take nothing new: consumers stop pulling, deliveries stop claiming, server streams end.
    pub stop: CancellationToken,
    /// The servers have answered; write and publish what is left, and return.
    pub finish: CancellationToken,
    /// What a shutdown waits for: workers, and what they have begun.
    pub tasks: TaskTracker,
    ended: Ended,
}

/// Which worker ended before its time; nobody, as long as all is well. Clones share it.
#[derive(Debug, Clone)]
struct Ended(watch::Sender<Option<&'static str>>);

impl Default for Ended {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl Stages {
    /// Waits until a worker ends before its time, and names it.
    pub(super) async fn ended_worker(&self) -> &'static str {
        let mut ended = self.ended.0.subscribe();
        let name = ended.wait_for(Option::is_some).await;
        let name = name.ok().and_then(|name| *name);
        match name {
            Some(name) => name,
            None => std::future::pending().await,
        }
    }

    /// Ends all at once. What is cut is whole in the database, and the next process goes on.
    pub(super) async fn abandon(&self) {
        self.stop.cancel();
        self.finish.cancel();
        self.tasks.close();
        let _ = timeout(ABANDON, self.tasks.wait()).await;
    }

    /// Starts a worker that a shutdown waits for. It ends when it hears `until`; if it ends or
    /// panics before, the service does.
    pub fn work(
        &self,
        name: &'static str,
        until: &CancellationToken,
        work: impl Future<Output = ()> + Send + 'static,
    ) {
        self.tasks.spawn(self.supervise(name, until, work));
    }

    /// Starts a worker that no shutdown waits for; the rest is as with `work`.
    pub fn work_on(
        &self,
        name: &'static str,
        until: &CancellationToken,
        work: impl Future<Output = ()> + Send + 'static,
    ) {
        tokio::spawn(self.supervise(name, until, work));
    }

    fn supervise(
        &self,
        name: &'static str,
        until: &CancellationToken,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (ended, until) = (self.ended.clone(), until.clone());
        // A task inside the task, so that a panic comes back here as a value and is not lost.
        let worker: JoinHandle<()> = tokio::spawn(work);
        async move {
            let end = worker.await;
            match &end {
                // Asked after its end: a worker that returns as the stop comes is in order.
                Ok(()) if until.is_cancelled() => return,
                Ok(()) => tracing::error!(worker = name, "A worker ended before its time."),
                Err(error) if JoinError::is_panic(error) => {
                    tracing::error!(worker = name, "A worker panicked.");
                }
                Err(_) => return, // the runtime itself ends
            }
            // The rest would go on, and a worker that stands still is noticed by nobody.
            ended.0.send_replace(Some(name));
        }
    }
}
