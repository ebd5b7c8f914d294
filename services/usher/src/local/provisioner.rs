//! Keeps the streams as they should be: makes them at the start and again every ten seconds.

use std::time::Duration;

use kit::bus::{self, Bus};
use tokio::{
    task::AbortHandle,
    time::{Instant, interval, sleep},
};

use super::logs::{Level, Log};
use crate::exit::{Exit, Failure};

const EVERY: Duration = Duration::from_secs(10);
/// A nats-server is up in 11 to 34 ms; with a large store it reads that first.
const FIRST_WITHIN: Duration = Duration::from_secs(20);

/// The repetition; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Provisioner(AbortHandle);

impl Provisioner {
    /// Waits for the broker, makes the streams and goes on making them.
    pub(crate) async fn start(url: &str, log: Log) -> Result<Self, Failure> {
        let bus = Bus::connect(url, "usher").await?;
        // The client connects again by itself until the server that was just started listens.
        let deadline = Instant::now() + FIRST_WITHIN;
        while !bus.is_connected() && Instant::now() < deadline {
            sleep(Duration::from_millis(10)).await;
        }
        if let Err(error) = bus::provision(&bus, Some(1)).await {
            let what = format!("nats-server did not take the streams: {error:#}.");
            return Err(Failure::new(Exit::Unavailable, what)
                .hint("Its own words are in logs/nats-server.log of the data folder."));
        }
        let repeated = tokio::spawn(async move {
            // Whoever deletes a stream at run time would otherwise stop the journey: events wait in
            // the outbox, and the relay makes no streams.
            let mut ticks = interval(EVERY);
            // The first tick is at once.
            ticks.tick().await;
            loop {
                ticks.tick().await;
                if let Err(error) = bus::provision(&bus, Some(1)).await {
                    let notice = format!("the streams could not be checked: {error:#}");
                    log.notice(Level::Warn, notice);
                }
            }
        });
        Ok(Self(repeated.abort_handle()))
    }
}

impl Drop for Provisioner {
    fn drop(&mut self) {
        self.0.abort();
    }
}
