//! One service's side of a watch, over as many streams as it takes: services end a stream when its
//! connection has grown old and when they stop, and the next one begins with the newest version.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tonic::{Code, Response, Status, Streaming};

/// Wait before a service that is away, or ended a stream, is asked again.
const AGAIN: Duration = Duration::from_millis(500);
/// How long a service may be away, for a restart, before the watch is given up.
const AWAY: Duration = Duration::from_secs(15);

/// What a service answers to a watch.
pub(super) type Watched<M> = Result<Response<Streaming<M>>, Status>;

/// A side of a watch; `ask` opens a stream.
#[derive(Debug)]
pub(super) struct Side<M, A> {
    ask: A,
    open: Option<Streaming<M>>,
    /// What was shown is not shown again by the next stream.
    last: Option<M>,
    away_since: Option<Instant>,
}

impl<M, A> Side<M, A>
where
    M: PartialEq + Clone,
    A: AsyncFn() -> Watched<M>,
{
    pub(super) fn new(ask: A) -> Self {
        Self {
            ask,
            open: None,
            last: None,
            away_since: None,
        }
    }

    /// The next version, from this stream or another one; an error when the service refuses or
    /// stays away. Cancelled between two versions it loses none.
    pub(super) async fn next(&mut self) -> Result<M, Status> {
        loop {
            let Some(stream) = &mut self.open else {
                match (self.ask)().await {
                    Ok(response) => self.open = Some(response.into_inner()),
                    Err(status) => self.wait(status).await?,
                }
                continue;
            };
            match stream.message().await {
                // Nothing new, but the service is back: its next absence is another one.
                Ok(Some(version)) if self.last.as_ref() == Some(&version) => self.away_since = None,
                Ok(Some(version)) => {
                    self.away_since = None;
                    self.last = Some(version.clone());
                    return Ok(version);
                }
                Ok(None) => {
                    self.open = None;
                    sleep(AGAIN).await;
                }
                Err(status) => {
                    self.open = None;
                    self.wait(status).await?;
                }
            }
        }
    }

    /// Waits for a service that may come back.
    async fn wait(&mut self, status: Status) -> Result<(), Status> {
        let since = *self.away_since.get_or_insert_with(Instant::now);
        // A connection that ends tells so in several words.
        let may_pass = matches!(
            status.code(),
            Code::Unavailable | Code::ResourceExhausted | Code::Cancelled | Code::Unknown
        );
        if !may_pass || since.elapsed() >= AWAY {
            return Err(status);
        }
        sleep(AGAIN).await;
        Ok(())
    }
}
