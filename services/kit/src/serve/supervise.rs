//! A worker that ends takes the process with it: one that stood still while the rest goes on would be noticed by nobody.

use tokio::{
    sync::watch,
    task::{JoinError, JoinHandle},
};
use tokio_util::sync::CancellationToken;

use super::Stages;

/// Which worker ended before its time; nobody, as long as all is well. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Ended(watch::Sender<Option<&'static str>>);

impl Default for Ended {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl Ended {
    /// Waits until a worker ends before its time, and names it.
    pub(super) async fn name(&self) -> &'static str {
        let mut ended = self.0.subscribe();
        let name = ended
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|name| *name);
        match name {
            Some(name) => name,
            None => std::future::pending().await,
        }
    }
}

impl Stages {
    /// Starts a worker that a shutdown waits for. It ends when it hears `until`; if it ends or panics before, the
    /// service does.
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
        let worker: JoinHandle<()> = tokio::spawn(work);
        async move {
            let end = worker.await;
            match &end {
                Ok(()) if until.is_cancelled() => return,
                Ok(()) => tracing::error!(worker = name, "A worker ended before its time."),
                Err(error) if JoinError::is_panic(error) => {
                    tracing::error!(worker = name, "A worker panicked.");
                }
                Err(_) => return, // the runtime itself ends
            }
            ended.0.send_replace(Some(name));
        }
    }
}
