//! One connection to NATS, which heals itself and tells whether it is there.

use std::{
    convert::Infallible,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use async_nats::{ConnectOptions, Event, jetstream};
use tokio::sync::watch;

use crate::Private;

/// Where NATS is: `nats://HOST:PORT`, several separated by commas. Never printed: it may hold a
/// password.
#[derive(Debug, Clone)]
pub struct NatsUrl(Private<String>);

impl FromStr for NatsUrl {
    type Err = Infallible;

    fn from_str(url: &str) -> Result<Self, Infallible> {
        Ok(Self(Private::new(url.to_owned())))
    }
}

impl AsRef<str> for NatsUrl {
    fn as_ref(&self) -> &str {
        self.0.expose()
    }
}

/// How long any call to the broker may take, there and back, over whatever path.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// A connection to NATS. Clones share it.
#[derive(Debug, Clone)]
pub struct Bus {
    jetstream: jetstream::Context,
    connected: Arc<AtomicBool>,
    /// Counts the connections that were made.
    connections: watch::Receiver<u64>,
}

impl Bus {
    /// Connects under `name`, which shows in the server's connection list. Returns at once even
    /// when no server answers: it keeps trying, and until then what is published fails and stays in
    /// the outbox. `url` may name several servers, separated by commas.
    ///
    /// # Errors
    /// When the URL is none.
    pub async fn connect(url: impl AsRef<str>, name: &str) -> anyhow::Result<Self> {
        let connected = Arc::new(AtomicBool::new(false));
        let state = Arc::clone(&connected);
        let (made, connections) = watch::channel(0);
        let made = Arc::new(made);
        let servers: Vec<&str> = url.as_ref().split(',').map(str::trim).collect();
        let client = ConnectOptions::new()
            .name(name)
            .ping_interval(Duration::from_secs(5)) // a dead link shows within 15 s instead of 3 min
            .connection_timeout(PATIENCE)
            .request_timeout(Some(PATIENCE))
            .reconnect_delay_callback(|attempts| {
                Duration::from_millis(100 << attempts.clamp(0, 4)).min(Duration::from_secs(1))
            })
            .retry_on_initial_connect()
            .event_callback(move |event| {
                let (state, made) = (Arc::clone(&state), Arc::clone(&made));
                async move { note(&state, &made, &event) }
            })
            .connect(servers)
            .await
            .context("USHER_NATS_URL is no list of nats://HOST:PORT addresses.")?;
        let jetstream = jetstream::context::ContextBuilder::new()
            .timeout(PATIENCE)
            .ack_timeout(PATIENCE)
            .build(client);
        Ok(Self {
            jetstream,
            connected,
            connections,
        })
    }

    /// For calls on streams and consumers; each has the bus's patience.
    pub fn jetstream(&self) -> &jetstream::Context {
        &self.jetstream
    }

    /// Whether a server is connected just now.
    pub fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    /// Changes whenever a connection is made: what was asked on the one before is not answered any
    /// more.
    pub(super) fn connections(&self) -> watch::Receiver<u64> {
        self.connections.clone()
    }

    /// Waits until everything that was handed over, acks too, has left for the server. Nothing can
    /// leave while it is away: whatever was handed out then comes again.
    pub async fn flush(&self) {
        if !self.is_connected() {
            return;
        }
        let flushed =
            tokio::time::timeout(Duration::from_secs(1), self.jetstream.client().flush()).await;
        if !matches!(flushed, Ok(Ok(()))) {
            tracing::warn!(
                "The last acks may not have reached the broker; their messages come again."
            );
        }
    }
}

fn note(connected: &AtomicBool, made: &watch::Sender<u64>, event: &Event) {
    match event {
        Event::Connected => {
            connected.store(true, Ordering::Relaxed);
            made.send_modify(|made| *made += 1);
            tracing::info!("Connected to the broker.");
        }
        Event::Disconnected | Event::Closed => {
            connected.store(false, Ordering::Relaxed);
            tracing::warn!("The broker is away; events wait in the outbox.");
        }
        other => tracing::debug!(event = %other, "The broker's connection reports."),
    }
}
