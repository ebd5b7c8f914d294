//! The mail server of a load test: accepts mail over plain SMTP as fast as it comes, and has moods.
//! It keeps who got which code under which Message-ID, for `check`.

mod mail;
mod mood;
mod session;
mod shared;

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{net::TcpListener, task::AbortHandle};

pub use mail::Accepted;
pub(crate) use mail::code_in;
pub use mood::{Mood, Moods};

use session::Session;
use shared::Shared;

/// A running sink; gone on drop, its connections too.
#[derive(Debug)]
pub struct Sink {
    addr: SocketAddr,
    shared: Arc<Shared>,
    task: AbortHandle,
}

impl Sink {
    /// Listens at `addr`; port 0 takes a free one.
    ///
    /// # Errors
    /// When nothing can listen there.
    pub async fn listen(addr: SocketAddr, moods: Moods) -> std::io::Result<Self> {
        let listener = TcpListener::bind(addr).await?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared::new(moods));
        let task = tokio::spawn(accept(listener, Arc::clone(&shared))).abort_handle();
        Ok(Self { addr, shared, task })
    }

    /// What goes into `USHER_MAIL_URL`.
    pub fn url(&self) -> String {
        format!("smtp://{}", self.addr)
    }

    /// From now on every mail is accepted at once, and whoever was kept waiting is let go.
    /// Mailboxes that are gone stay so.
    pub fn heal(&self) {
        self.shared.healed.cancel();
    }

    /// From now on the answer to each final dot takes so long.
    pub fn answer_after(&self, wait: Duration) {
        self.shared.set_wait(wait);
    }

    /// How many mails were accepted so far.
    pub fn count(&self) -> usize {
        self.shared.accepted().len()
    }

    /// Every mail that was accepted, in order.
    pub fn accepted(&self) -> Vec<Accepted> {
        self.shared.accepted().clone()
    }

    /// What was accepted after the first so many.
    pub fn accepted_after(&self, first: usize) -> Vec<Accepted> {
        self.shared.accepted()[first..].to_vec()
    }

    /// How often each mood was met.
    pub fn moods_met(&self) -> BTreeMap<Mood, u64> {
        self.shared.moods_met().clone()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.task.abort();
        self.shared.gone.cancel();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        // An error is a client that left before it was served, or no descriptor being free: both
        // pass.
        let Ok((stream, _)) = listener.accept().await else {
            tokio::task::yield_now().await;
            continue;
        };
        let gone = shared.gone.clone();
        let session = Session::new(stream, Arc::clone(&shared));
        tokio::spawn(async move {
            tokio::select! {
                // How a conversation ended is the client's to tell.
                _ = session.converse() => {}
                () = gone.cancelled() => {}
            }
        });
    }
}
