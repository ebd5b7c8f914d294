//! One attempt as others see it while it runs: since when the mail server has been silent, how far
//! the attempt is, and whether its final dot may still go out. `conversation` sends that
//! dot through it, `folder` asks before its own; `admission` stops the silent ones.

use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
    time::{Duration, Instant},
};

use crate::domain::Pace;

/// Until when the ledger lets this attempt send, by the monotonic clock; every renewal moves it on.
#[derive(Debug, Clone)]
pub(crate) struct Lease(Arc<Mutex<Instant>>);

impl Lease {
    /// A lease until then.
    pub(crate) fn until(end: Instant) -> Self {
        Self(Arc::new(Mutex::new(end)))
    }
    pub(crate) fn renew(&self, end: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = end;
    }

    /// Whether it has not passed.
    pub(crate) fn holds(&self) -> bool {
        Instant::now() < *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What all attempts together show of the mail server. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Answers(Arc<AnswersState>);

#[derive(Debug)]
struct AnswersState {
    /// How many mails it has said something to.
    mails: AtomicU64,
    pace: Mutex<Pace>,
}

impl Answers {
    pub(crate) fn new(pace: Pace) -> Self {
        Self(Arc::new(AnswersState {
            mails: AtomicU64::new(0),
            pace: Mutex::new(pace),
        }))
    }

    pub(crate) fn pace(&self) -> MutexGuard<'_, Pace> {
        self.0.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mails(&self) -> u64 {
        self.0.mails.load(Ordering::Relaxed)
    }
}

/// How far an attempt is. It leaves `Open` once, for one of the others, and stays there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It may still be stopped, and then nothing was sent.
    Open,
    /// The point of no return is passed: the final dot is out, or is about to be. What became of
    /// the mail is the mail server's to tell, and without its answer nobody knows.
    PastReturn,
    /// It was stopped before that point, and its final dot will never go out.
    Stopped,
}

/// An attempt's state. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    lease: Lease,
    answers: Answers,
    state: Arc<Mutex<AttemptState>>,
}

#[derive(Debug)]
struct AttemptState {
    phase: Phase,
    /// Whether a command of this mail may have reached the mail server.
    reached: bool,
    answered_at: Instant,
    /// How many mails had been answered by then.
    answers_by_then: u64,
    /// Whether the mail server has said something to this mail.
    has_answer: bool,
    /// For an answer to this mail, before its final dot.
    longest_wait: Option<Duration>,
}

impl Attempt {
    /// An attempt that starts now.
    pub(crate) fn start(lease: Lease, answers: Answers) -> Self {
        let state = AttemptState {
            phase: Phase::Open,
            reached: false,
            answered_at: Instant::now(),
            answers_by_then: answers.mails(),
            has_answer: false,
            longest_wait: None,
        };
        Self {
            lease,
            answers,
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// The mail server finished an answer.
    pub(super) fn answered(&self) {
        // Not at each octet: a tarpit that sends one now and then stays silent.
        let mut state = self.state();
        let (now, before) = (Instant::now(), state.answered_at);
        if state.reached && state.phase == Phase::Open {
            if !std::mem::replace(&mut state.has_answer, true) {
                self.answers.0.mails.fetch_add(1, Ordering::Relaxed);
                self.answers.pace().heard(now);
            }
            state.longest_wait = state.longest_wait.max(Some(now - before));
        }
        state.answered_at = now;
        state.answers_by_then = self.answers.mails();
    }

    /// How many other mails the mail server has begun to answer since it fell silent to this one.
    pub(crate) fn overtaken_by(&self) -> u64 {
        let by_then = self.state().answers_by_then; // read first: the count only grows
        self.answers.mails() - by_then
    }

    /// How long the mail server has been silent.
    pub(crate) fn silent_for(&self) -> Duration {
        self.state().answered_at.elapsed()
    }

    /// A connection is there and the mail's first command goes out; or it turned out that there was
    /// none.
    pub(super) fn set_reached(&self, reached: bool) {
        self.state().reached = reached;
    }

    /// Whether the mail server answered a command of this mail, or may have.
    pub(crate) fn reached(&self) -> bool {
        self.state().reached
    }

    /// Asks to pass the point of no return, just before the final dot is sent.
    pub(super) fn may_send_final_dot(&self) -> bool {
        let mut state = self.state();
        let may = self.may_send(&state);
        if may {
            state.phase = Phase::PastReturn;
        }
        may
    }

    /// Sends more of what ends with the final dot, and passes the point of no return with its last
    /// octet. `None` where nothing may be sent any more. Whoever stops the attempt meanwhile waits:
    /// nothing comes between the question and the dot.
    pub(super) fn poll_send(
        &self,
        octets: usize,
        send: impl FnOnce() -> Poll<io::Result<usize>>,
    ) -> Poll<Option<io::Result<usize>>> {
        let mut state = self.state();
        if !self.may_send(&state) {
            return Poll::Ready(None);
        }
        let sent = send();
        if matches!(sent, Poll::Ready(Ok(taken)) if taken == octets) {
            state.phase = Phase::PastReturn;
        }
        sent.map(Some)
    }

    /// Whether nobody stopped it. A lease that has passed says no, too: another replica may have
    /// counted this attempt as lost, and begun the next. By the monotonic clock, which nobody sets.
    fn may_send(&self, state: &AttemptState) -> bool {
        state.phase == Phase::Open && self.lease.holds()
    }

    /// Notes how long the mail server let this mail wait, once it has answered all that it is asked
    /// before the final dot, or refused.
    pub(super) fn note_pace(&self) {
        let longest_wait = self.state().longest_wait.take();
        if let Some(longest) = longest_wait {
            self.answers.pace().answered(longest);
        }
    }

    /// Stops the attempt wherever it is, in another thread too, and says where that met it:
    /// `Stopped`, or `PastReturn` if it came too late.
    pub(crate) fn stop(&self) -> Phase {
        let mut state = self.state();
        // The first one to ask decides, under one lock: what was declared unsent is never sent.
        if state.phase == Phase::Open {
            state.phase = Phase::Stopped;
        }
        state.phase
    }

    /// Whether its final dot is out, or is about to be.
    pub(crate) fn is_past_return(&self) -> bool {
        self.state().phase == Phase::PastReturn
    }

    fn state(&self) -> MutexGuard<'_, AttemptState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
