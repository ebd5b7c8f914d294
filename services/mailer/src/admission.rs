//! The way to the mail server: at most so many at once (`lanes`), nobody while the circuit is open,
//! one to try when its pause is over; and what the mail server's `refusals` come to.
//! `commands::deliver` asks for a slot, sends, and reports what it met.

mod lane;
mod lanes;
mod refusals;

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use kit::{
    config::duration,
    serve::{Degraded, Health},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::lanes::{Lanes, Place, Seat};
pub(crate) use self::refusals::Refusals;
use crate::{
    domain::{Circuit, Gate, Turn},
    metrics::Metrics,
    transport::{Answers, Attempt, Cause, Ending, Phase, Sent},
};

/// What people notice of a mail server that cannot be used.
const MAILS_WAIT: &str = "People can sign up, but their mails wait; none is lost.";
/// What to do about one that is reached and falls silent.
const MEND_SILENCE: &str = "Look into the mail server's log: it takes connections and does not answer. If it is another one \
                            that is meant, correct USHER_MAIL_URL.";

/// How long others are kept waiting, as operators set it. All of it follows the real clock, not the
/// injected one.
#[derive(clap::Args, Debug, Clone)]
pub(crate) struct Patience {
    /// A first attempt without an answer for that long gives way to others; sooner, while the mail
    /// server answers them much more quickly
    #[arg(long, env = "USHER_MAIL_SLOW_AFTER", default_value = "2s", value_parser = duration)]
    pub(crate) slow_after: Duration,
    /// First pause after the mail server could not be used; it doubles with each failed try
    #[arg(long, env = "USHER_MAIL_FIRST_PAUSE", default_value = "1s", value_parser = duration)]
    pub(crate) first_pause: Duration,
    /// Longest pause after the mail server could not be used
    #[arg(long, env = "USHER_MAIL_LONGEST_PAUSE", default_value = "30s", value_parser = duration)]
    pub(crate) longest_pause: Duration,
}

/// Who may go to the mail server now. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Admission(Arc<AdmissionState>);

#[derive(Debug)]
struct AdmissionState {
    lanes: Lanes,
    circuit: Mutex<Circuit>,
    /// Until when the circuit is open; `None` while it is closed.
    open_until: watch::Sender<Option<Instant>>,
    /// What the last attempt met that opened it, redacted, and what to do about it.
    reason: Mutex<(String, &'static str)>,
    /// Whether somebody tries if the mail server is back.
    probing: watch::Sender<bool>,
    metrics: Metrics,
}

/// The right to use one connection.
#[derive(Debug)]
pub(crate) struct Slot {
    seat: Seat,
    /// Of the one that tries whether the mail server is back.
    probe: Option<Probe>,
}

/// The right to be claimed.
#[derive(Debug)]
pub(crate) enum Entered {
    /// Its connection comes when one is free: the ledger is told meanwhile, and no connection waits
    /// for that.
    Placed(Place),
    /// Its connection is there.
    Seated(Slot),
}

/// The right to try; whoever waits for it hears when it is given up.
#[derive(Debug)]
struct Probe(watch::Sender<bool>);

impl Drop for Probe {
    fn drop(&mut self) {
        self.0.send_replace(false);
    }
}

/// The mail server cannot be used: come back after that time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CircuitOpen(pub(crate) Duration);

impl Admission {
    /// With a circuit that is closed: mails may go.
    pub(crate) fn new(connections: u16, patience: &Patience, metrics: Metrics) -> Self {
        Self(Arc::new(AdmissionState {
            lanes: Lanes::new(usize::from(connections), patience.slow_after),
            circuit: Mutex::new(Circuit::new(patience.first_pause, patience.longest_pause)),
            open_until: watch::Sender::new(None),
            reason: Mutex::default(),
            probing: watch::Sender::new(false),
            metrics,
        }))
    }

    /// Shows an open circuit in the readiness body.
    pub(crate) fn show_in(&self, health: &Health) {
        let state = Arc::clone(&self.0);
        health.depends_on("mail server", MAILS_WAIT, move || {
            let is_open = state.open_until.borrow().is_some();
            is_open.then(|| {
                let (reason, advice) = &*state.reason();
                Degraded::new(format!("cannot be used: {reason}"), *advice)
            })
        });
    }

    /// Tells streams when the circuit opens, for their Pause.
    pub(crate) fn openings(&self) -> watch::Receiver<Option<Instant>> {
        self.0.open_until.subscribe()
    }

    /// What each attempt counts the mail server's answers in.
    pub(crate) fn answers(&self) -> Answers {
        self.0.lanes.answers.clone()
    }

    /// Waits to be let in, unless the circuit is open or opens meanwhile.
    pub(crate) async fn enter(&self, turn: Turn) -> Result<Entered, CircuitOpen> {
        loop {
            let mut openings = self.openings();
            // Not ahead of its turn: a later attempt, which may keep its connection for long, and
            // while somebody has to try whether the mail server is back.
            if self.ask_circuit()? == Gate::Probe || turn == Turn::Later {
                return Ok(Entered::Seated(self.seat(turn, None).await?));
            }
            tokio::select! {
                biased; // a place that comes by the attempt that opened the circuit leads nowhere
                _ = openings.changed() => {}
                place = self.0.lanes.place() => return Ok(Entered::Placed(place)),
            }
        }
    }

    /// Waits for a connection to be free, unless the circuit is open or opens meanwhile.
    pub(crate) async fn seat(&self, turn: Turn, place: Option<Place>) -> Result<Slot, CircuitOpen> {
        let (mut seat, probe) = self.seat_or_probe(turn).await?;
        seat.keep(place);
        Ok(Slot { seat, probe })
    }

    async fn seat_or_probe(&self, turn: Turn) -> Result<(Seat, Option<Probe>), CircuitOpen> {
        loop {
            // Subscribed before the circuit is asked: a change between the question and the wait is
            // not missed.
            let (mut openings, mut probes) = (self.openings(), self.0.probing.subscribe());
            self.ask_circuit()?;
            // The seat comes first: everybody else would wait for one who has the probe and waits
            // for a seat.
            let seat = tokio::select! {
                seat = self.0.lanes.enter(turn) => seat,
                _ = openings.changed() => continue,
            };
            // Asked again: the circuit may have opened while this one queued.
            if self.ask_circuit()? == Gate::Pass {
                return Ok((seat, None));
            }
            // The pause is over, and this one has all that it takes to see.
            if let Some(probe) = self.take_probe() {
                return Ok((seat, Some(probe)));
            }
            // Somebody else tries. This one lets its seat go, so that the one who tries next finds
            // one.
            drop(seat);
            // Until the probe is over: it was answered, or the circuit is open again, or it was
            // handed on.
            tokio::select! {
                _ = probes.wait_for(|taken| !taken) => {}
                _ = openings.changed() => {}
            }
        }
    }

    /// Runs one attempt in its slot, until it ends, is dropped for its silence, or `cut`.
    pub(crate) async fn attend(
        &self,
        slot: &mut Slot,
        attempt: &Attempt,
        sending: impl Future<Output = Sent>,
        cut: &CancellationToken,
    ) -> Sent {
        let Slot { seat, probe } = slot;
        tokio::select! {
            biased; // an answer that is there already counts
            sent = sending => sent,
            // Whoever ends it from outside asks the attempt first: past the point of no return it
            // is unknown.
            () = self.0.lanes.make_room(seat, attempt) => {
                let is_hang = attempt.silent_for() >= self.0.lanes.slow_after;
                let cause = if is_hang { Cause::Hang } else { Cause::GaveWay };
                stop(attempt, cause, "given up: the mail server was silent while others waited")
            }
            () = cut.cancelled() => stop(attempt, Cause::Stopped, "given up: the mailer shuts down"),
            never = self.0.hand_probe_on(probe, attempt) => match never {},
        }
    }

    /// Takes the slot back and tells the circuit what its attempt met; `reply` is redacted.
    pub(crate) fn leave(&self, slot: Slot, ending: Ending, reply: &str) {
        let now = Instant::now();
        let open_until = {
            let mut circuit = self.circuit();
            match ending {
                Ending::Accepted => circuit.accepted(now),
                // It serves mails, if not this one.
                Ending::RecipientRefused(_) | Ending::NotNow(Cause::Answer | Cause::Policy(_)) => {
                    circuit.answered();
                }
                Ending::NotNow(Cause::Connection(_)) => circuit.connection_failed(now),
                Ending::NotNow(Cause::Hang) | Ending::Unknown(Cause::Hang) => circuit.hung(now),
                // Broken off by it or by us: says nothing of whether it can be used.
                Ending::NotNow(_) | Ending::Unknown(_) => {}
            }
            circuit.open_until()
        };
        if open_until.is_some() && matches!(ending, Ending::NotNow(_) | Ending::Unknown(_)) {
            // Before it shows as open: whoever looks then finds the reason.
            let advice = match ending {
                Ending::NotNow(Cause::Connection(mend)) => mend.advice(),
                _ => MEND_SILENCE,
            };
            *self.0.reason() = (reply.to_owned(), advice);
        }
        // Who waits is woken by a change alone: each of many mails under way reports the same
        // outage.
        let changed = self.0.open_until.send_if_modified(|known| {
            let changed = *known != open_until;
            *known = open_until;
            changed
        });
        if changed {
            let pause = open_until.map(|until| until.saturating_duration_since(now));
            self.announce(pause, ending);
        }
        drop(slot); // last: whoever waits for it finds the circuit as it is now
    }

    fn announce(&self, pause: Option<Duration>, ending: Ending) {
        self.0.metrics.circuit_open(pause.is_some());
        match (pause, ending) {
            (Some(pause), Ending::NotNow(cause) | Ending::Unknown(cause)) => {
                let (reason, advice) = &*self.0.reason();
                let cause = cause.as_str();
                tracing::warn!(
                    cause,
                    advice,
                    ?pause,
                    "The mail server cannot be used; mails wait for it: {reason}."
                );
            }
            _ => tracing::info!("The mail server answers again."),
        }
    }

    /// `Pass` or `Probe`; an error while nobody may go.
    fn ask_circuit(&self) -> Result<Gate, CircuitOpen> {
        let now = Instant::now();
        match self.circuit().gate(now) {
            Gate::Wait(until) => Err(CircuitOpen(until.saturating_duration_since(now))),
            gate => Ok(gate),
        }
    }

    fn take_probe(&self) -> Option<Probe> {
        let probing = &self.0.probing;
        let is_ours = probing.send_if_modified(|taken| !std::mem::replace(taken, true));
        is_ours.then(|| Probe(probing.clone()))
    }

    fn circuit(&self) -> MutexGuard<'_, Circuit> {
        self.0
            .circuit
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Stops an attempt from outside. Past the point of no return that leaves an outcome nobody knows.
fn stop(attempt: &Attempt, cause: Cause, reply: &str) -> Sent {
    let ending = match attempt.stop() {
        Phase::PastReturn => Ending::Unknown(cause),
        Phase::Open | Phase::Stopped => Ending::NotNow(cause),
    };
    Sent::new(ending, None, reply)
}

impl AdmissionState {
    fn reason(&self) -> MutexGuard<'_, (String, &'static str)> {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the probe up once the mail server has been reached and is silent: it may be this
    /// mailbox alone that hangs, and the next mail finds out. Never returns: an attempt does not
    /// end by it.
    async fn hand_probe_on(&self, probe: &mut Option<Probe>, attempt: &Attempt) -> Infallible {
        while probe.is_some() {
            let silent = attempt.silent_for();
            let left = self.lanes.slow_after.saturating_sub(silent);
            if left.is_zero() && attempt.reached() {
                *probe = None;
            } else if left.is_zero() {
                tokio::time::sleep(self.lanes.slow_after).await; // still connecting: the probe has not begun
            } else {
                tokio::time::sleep(left).await;
            }
        }
        std::future::pending().await
    }
}
