//! One connection to NATS, which heals itself and tells how it is.

use std::time::Duration;

use async_nats::{AuthError, ClientError, ConnectOptions, Event, ServerError, jetstream};
use tokio::sync::watch;

use super::{
    login::{BrokerSettings, Login},
    trouble::{Standing, State},
};
use crate::{
    serve::{Degraded, Health},
    words,
};

/// How long any call to the broker may take, there and back, over whatever path.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// What people notice of a broker that cannot be used, and of events that wait.
const NO_NEWS: &str = "People can sign up and confirm their codes, but who signs up now gets no mail until this is mended; \
                       nothing is lost.";
const LATE: &str =
    "Some who signed up wait for their mail, or are not shown as verified yet; nothing is lost.";

/// A connection to NATS. Clones share it.
#[derive(Debug, Clone)]
pub struct Bus {
    jetstream: jetstream::Context,
    pub(super) state: State,
    /// Counts the connections that were made.
    connections: watch::Receiver<u64>,
}

impl Bus {
    /// Connects under `name`, which shows in the server's connection list. Returns at once even
    /// when no server answers or none takes our login: it keeps trying, and until then what is
    /// published fails and stays in the outbox.
    ///
    /// # Errors
    /// When there are two logins, or the file of credentials cannot be used.
    pub async fn connect(settings: &BrokerSettings, name: &str) -> anyhow::Result<Self> {
        let login = Login::of(settings)?;
        let state = State::of(login.clone());
        let (made, connections) = watch::channel(0);
        let (noted, failed) = (state.clone(), state.clone());
        let client = ConnectOptions::with_auth_callback(move |nonce| {
            let answer = login.answer(&nonce).map_err(|error| {
                failed.is(&Standing::Unusable(words::of_chain(&error)));
                AuthError::new("the credentials cannot be used")
            });
            async move { answer }
        })
        .name(name)
        // Answers come to a place of its own, so that permissions can keep others from reading them.
        .custom_inbox_prefix(format!("_INBOX.{name}"))
        .ping_interval(Duration::from_secs(5)) // a dead link shows within 15 s instead of 3 min
        .connection_timeout(PATIENCE)
        .request_timeout(Some(PATIENCE))
        .reconnect_delay_callback(|attempts| {
            Duration::from_millis(100 << attempts.clamp(0, 4)).min(Duration::from_secs(1))
        })
        .retry_on_initial_connect()
        .event_callback(move |event| {
            note(&noted, &made, &event);
            async {}
        })
        .connect(settings.nats_url.servers())
        .await?;
        let jetstream = jetstream::context::ContextBuilder::new()
            .timeout(PATIENCE)
            .ack_timeout(PATIENCE)
            .build(client);
        Ok(Self {
            jetstream,
            state,
            connections,
        })
    }

    /// For calls on streams and consumers; each has the bus's patience.
    pub fn jetstream(&self) -> &jetstream::Context {
        &self.jetstream
    }

    /// Whether a server is connected just now.
    pub fn is_connected(&self) -> bool {
        self.state.is_connected()
    }

    /// Whether the last server that answered did not take our login.
    pub fn is_refused(&self) -> bool {
        self.state.is_refused()
    }

    /// What keeps events from leaving or from arriving, and what to do about it.
    pub fn trouble(&self) -> Option<Degraded> {
        self.state.trouble()
    }

    /// Shows in the readiness body what keeps events from leaving or arriving, and events that wait
    /// or are held for too long.
    pub fn show_in(&self, health: &Health) {
        let [state, waiting, holding] = [(); 3].map(|()| self.state.clone());
        health.depends_on("broker", NO_NEWS, move || state.trouble());
        health.depends_on("outbox", LATE, move || waiting.waits_too_long());
        health.depends_on("consumer", LATE, move || holding.holds_too_long());
    }

    /// Notes what became of a publish; what failed stays known until one succeeds.
    pub(crate) fn published(&self, failed: Option<Degraded>) {
        self.state.published(failed);
    }

    /// Notes how long the oldest event of an outbox has waited; nothing where none waits.
    pub(crate) fn waits(&self, oldest: Option<Duration>) {
        self.state.waits(oldest);
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

fn note(state: &State, made: &watch::Sender<u64>, event: &Event) {
    match event {
        Event::Connected => {
            state.is(&Standing::Connected);
            made.send_modify(|made| *made += 1);
            tracing::info!("Connected to the broker.");
        }
        // `Closed` alone is our own doing, at a stop.
        Event::Disconnected => state.is(&Standing::Away),
        Event::ClientError(ClientError::Other(error)) if !state.is_connected() => {
            // The library tells the kinds of a failed attempt apart by their words alone.
            match error.as_str() {
                "authorization violation" => state.is(&Standing::Refused),
                "failed signing nonce" => {} // the login itself said why
                _ => state.is(&Standing::Away),
            }
            tracing::debug!(error, "The broker was not reached.");
        }
        Event::ServerError(ServerError::Other(error)) => {
            tracing::warn!(error, "The broker complains.");
        }
        other => tracing::debug!(event = %other, "The broker's connection reports."),
    }
}
