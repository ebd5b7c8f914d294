//! The way to the mail server: at most so many at once (`lanes`), nobody while the circuit is open, one to try when
//! its pause is over. `commands::deliver` asks for a pass, sends, and reports what it met.

mod lanes;

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use kit::serve::Health;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::lanes::{Lanes, Place};
use crate::{
    domain::{
        circuit::{Circuit, Gate},
        turn::Turn,
    },
    metrics::Metrics,
    transport::{Cause, Ending, Sent, Watch},
};

/// How the door is kept.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Connections at most.
    pub connections: usize,
    /// A first attempt that is silent for that long moves over to the second ones.
    pub slow_after: Duration,
    /// The circuit's first pause; it doubles with each failed probe.
    pub first_pause: Duration,
    /// Its longest.
    pub longest_pause: Duration,
}

/// The door. Clones share it.
#[derive(Debug, Clone)]
pub struct Door(Arc<State>);

#[derive(Debug)]
struct State {
    lanes: Lanes,
    circuit: Mutex<Circuit>,
    /// Until when the circuit is open; `None` while it is closed.
    open_until: watch::Sender<Option<Instant>>,
    /// Whether somebody tries if the mail server is back.
    probing: watch::Sender<bool>,
    metrics: Metrics,
}

/// The right to use one connection.
#[derive(Debug)]
pub struct Pass {
    place: Place,
    /// Of the one that tries whether the mail server is back.
    probe: Option<Probe>,
}

/// The right to try; whoever waits for it hears when it is given up.
#[derive(Debug)]
struct Probe(watch::Sender<bool>);

impl Drop for Probe {
    fn drop(&mut self) {
        self.0.send_replace(false);
    }
}

/// The circuit is open: come back after that time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed(pub Duration);

impl Door {
    /// An open door: the circuit is closed.
    pub fn new(rules: &Rules, metrics: Metrics) -> Self {
        Self(Arc::new(State {
            lanes: Lanes::new(rules.connections, rules.slow_after),
            circuit: Mutex::new(Circuit::new(rules.first_pause, rules.longest_pause)),
            open_until: watch::Sender::new(None),
            probing: watch::Sender::new(false),
            metrics,
        }))
    }

    /// Shows an open circuit in the readiness body.
    pub fn show_in(&self, health: &Health) {
        let opened = self.0.open_until.subscribe();
        let what = || "the circuit is open: the mail server cannot be used".to_owned();
        health.depends_on("mail server", move || opened.borrow().is_some().then(what));
    }

    /// Tells streams when the circuit opens, for their Pause.
    pub fn openings(&self) -> watch::Receiver<Option<Instant>> {
        self.0.open_until.subscribe()
    }

    /// Waits for a connection to be free.
    ///
    /// # Errors
    /// When the circuit is open or opens meanwhile.
    pub async fn enter(&self, turn: Turn) -> Result<Pass, Closed> {
        loop {
            let (mut openings, mut probes) = (self.openings(), self.0.probing.subscribe());
            self.gate()?;
            // The place comes first: everybody else would wait for one who has the probe and waits for a place.
            let place = tokio::select! {
                place = self.0.lanes.enter(turn) => place,
                _ = openings.changed() => continue,
            };
            if self.gate()? == Gate::Closed {
                return Ok(Pass { place, probe: None });
            }
            if let Some(probe) = self.probe() {
                return Ok(Pass {
                    place,
                    probe: Some(probe),
                });
            }
            drop(place);
            tokio::select! {
                _ = probes.wait_for(|taken| !taken) => {}
                _ = openings.changed() => {}
            }
        }
    }

    /// Runs one attempt in its place, until it ends, is dropped for its silence, or `cut`.
    pub async fn attend(
        &self,
        pass: &mut Pass,
        watch: &Watch,
        sending: impl Future<Output = Sent>,
        cut: &CancellationToken,
    ) -> Sent {
        let stopped = |cause, reply: &str| {
            let ending = if watch.stop() {
                Ending::Unknown(cause)
            } else {
                Ending::NotNow(cause)
            };
            Sent {
                ending,
                code: None,
                reply: reply.to_owned(),
            }
        };
        let Pass { place, probe } = pass;
        tokio::select! {
            biased; // an answer that is there already counts
            sent = sending => sent,
            () = self.0.lanes.drop_if_slow(place, watch) => {
                stopped(Cause::Hang, "given up: the mail server was silent while others waited")
            }
            () = cut.cancelled() => stopped(Cause::Stopped, "given up: the mailer shuts down"),
            never = self.0.hand_on(probe, watch) => match never {},
        }
    }

    /// Takes the pass back and tells the circuit what its attempt met.
    pub fn leave(&self, pass: Pass, ending: Ending) {
        let now = Instant::now();
        let open_until = {
            let mut circuit = self
                .0
                .circuit
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            match ending {
                Ending::Accepted => circuit.accepted(now),
                Ending::RecipientRefused | Ending::NotNow(Cause::Answer) => circuit.answered(),
                Ending::NotNow(Cause::Connection) => circuit.connection_failed(now),
                Ending::NotNow(Cause::Hang) | Ending::Unknown(Cause::Hang) => circuit.hung(now),
                Ending::NotNow(_) | Ending::Unknown(_) => {}
            }
            circuit.open_until()
        };
        let changed = self.0.open_until.send_if_modified(|known| {
            let changed = *known != open_until;
            *known = open_until;
            changed
        });
        if changed {
            self.announce(
                open_until.map(|until| until.saturating_duration_since(now)),
                ending,
            );
        }
        drop(pass); // last: whoever waits for it finds the circuit as it is now
    }

    fn announce(&self, pause: Option<Duration>, ending: Ending) {
        self.0.metrics.circuit_open(pause.is_some());
        match (pause, ending) {
            (Some(pause), Ending::NotNow(cause) | Ending::Unknown(cause)) => {
                let cause = cause.as_str();
                tracing::warn!(
                    cause,
                    ?pause,
                    "The mail server cannot be used; mails wait for it."
                );
            }
            _ => tracing::info!("The mail server answers again."),
        }
    }

    fn probe(&self) -> Option<Probe> {
        let ours = self
            .0
            .probing
            .send_if_modified(|taken| !std::mem::replace(taken, true));
        ours.then(|| Probe(self.0.probing.clone()))
    }

    fn gate(&self) -> Result<Gate, Closed> {
        let now = Instant::now();
        match self
            .0
            .circuit
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .gate(now)
        {
            Gate::Open(until) => Err(Closed(until.saturating_duration_since(now))),
            gate => Ok(gate),
        }
    }
}

impl State {
    /// Gives the probe up once the mail server has been reached and is silent: it may be this mailbox alone that
    /// hangs, and the next mail finds out.
    async fn hand_on(&self, probe: &mut Option<Probe>, watch: &Watch) -> Infallible {
        while probe.is_some() {
            let silent = watch.silent_for();
            if watch.reached() && silent >= self.lanes.slow_after {
                *probe = None;
            } else {
                let left = self.lanes.slow_after.saturating_sub(silent);
                tokio::time::sleep(if left.is_zero() {
                    self.lanes.slow_after
                } else {
                    left
                })
                .await;
            }
        }
        std::future::pending().await
    }
}
