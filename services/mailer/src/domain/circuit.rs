//! When to leave a mail server alone for a while: the state of the circuit, told what happened and
//! what time it is. `admission` keeps one and lets mails through by it. As in a wire, nothing
//! passes while the circuit is open.

use std::time::{Duration, Instant};

/// Hangs and acceptances older than this are forgotten.
const MEMORY: Duration = Duration::from_secs(60);

/// What the circuit says to the next mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    /// The circuit is closed: everybody may go.
    Pass,
    /// It is open: nobody may go before that moment.
    Wait(Instant),
    /// The pause is over: one may go and see.
    Probe,
}

/// The circuit. It opens on a failed connection, on two hung phases within a minute in which
/// nothing was accepted, and again, for longer, when a probe fails; it closes when the mail server
/// answers a mail.
#[derive(Debug)]
pub(crate) struct Circuit {
    first_pause: Duration,
    longest_pause: Duration,
    pause: Duration,
    open_until: Option<Instant>,
    hung_at: Option<Instant>,
    accepted_at: Option<Instant>,
}

impl Circuit {
    /// A closed circuit, whose pauses double from the first to the longest one.
    pub(crate) fn new(first_pause: Duration, longest_pause: Duration) -> Self {
        Self {
            first_pause,
            longest_pause,
            pause: first_pause,
            open_until: None,
            hung_at: None,
            accepted_at: None,
        }
    }

    /// What it says now.
    pub(crate) fn gate(&self, now: Instant) -> Gate {
        match self.open_until {
            None => Gate::Pass,
            Some(until) if now < until => Gate::Wait(until),
            Some(_) => Gate::Probe,
        }
    }

    /// Until when nobody may go; it stays set, in the past, until a mail is answered. `None` while
    /// closed.
    pub(crate) fn open_until(&self) -> Option<Instant> {
        self.open_until
    }

    /// The mail server could not be reached, greeted, trusted or logged in to.
    pub(crate) fn connection_failed(&mut self, now: Instant) {
        self.open(now);
    }

    /// A phase passed its deadline.
    pub(crate) fn hung(&mut self, now: Instant) {
        let recent = |at: Option<Instant>| at.is_some_and(|at| now.duration_since(at) < MEMORY);
        // One dead mailbox may hang while everybody else is served: that is no reason to stop.
        if recent(self.accepted_at) {
            return;
        }
        let second = recent(self.hung_at);
        self.hung_at = Some(now);
        if second || self.open_until.is_some() {
            self.open(now);
        }
    }

    /// The mail server answered a mail, if only with a refusal.
    pub(crate) fn answered(&mut self) {
        self.open_until = None;
        self.pause = self.first_pause;
    }

    /// The mail server accepted a mail.
    pub(crate) fn accepted(&mut self, now: Instant) {
        self.answered();
        self.accepted_at = Some(now);
        self.hung_at = None;
    }

    fn open(&mut self, now: Instant) {
        // Mails under way when it opened do not make the pause longer; a failed probe does.
        if matches!(self.gate(now), Gate::Wait(_)) {
            return;
        }
        if self.open_until.is_some() {
            self.pause = (self.pause * 2).min(self.longest_pause);
        }
        self.open_until = Some(now + self.pause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn circuit() -> (Circuit, Instant) {
        (Circuit::new(SECOND, 4 * SECOND), Instant::now())
    }

    #[test]
    fn opens_on_a_failed_connection_and_doubles_its_pause_with_each_failed_probe() {
        let (mut circuit, mut now) = circuit();
        for pause in [1, 2, 4, 4] {
            circuit.connection_failed(now);
            circuit.connection_failed(now); // one that was under way
            assert_eq!(circuit.gate(now), Gate::Wait(now + pause * SECOND));
            now += pause * SECOND;
            assert_eq!(circuit.gate(now), Gate::Probe);
        }
        circuit.answered();
        assert_eq!(circuit.gate(now), Gate::Pass);
    }

    #[test]
    fn two_hangs_within_a_minute_open_it_but_not_while_mails_are_accepted() {
        let (mut circuit, start) = circuit();
        circuit.hung(start);
        assert_eq!(circuit.gate(start), Gate::Pass);
        circuit.hung(start + 61 * SECOND);
        assert_eq!(
            circuit.gate(start + 61 * SECOND),
            Gate::Pass,
            "the first one is forgotten"
        );
        circuit.accepted(start + 62 * SECOND);
        for second in 63..100 {
            circuit.hung(start + second * SECOND);
        }
        assert_eq!(circuit.gate(start + 100 * SECOND), Gate::Pass);
        circuit.hung(start + 123 * SECOND);
        circuit.hung(start + 124 * SECOND);
        assert!(matches!(circuit.gate(start + 124 * SECOND), Gate::Wait(_)));
    }

    #[test]
    fn a_hung_probe_opens_it_again() {
        let (mut circuit, start) = circuit();
        circuit.connection_failed(start);
        circuit.hung(start + 2 * SECOND);
        assert!(matches!(circuit.gate(start + 2 * SECOND), Gate::Wait(_)));
    }
}
