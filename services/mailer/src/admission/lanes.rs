//! Who may use how many connections. Whom the mail server keeps waiting makes room for those who
//! queue: it goes on in the overflow, and when that is full the longest silent is dropped. So
//! mailboxes that hang crowd each other out, and hold nobody else up.
//!
//! ```text
//! first attempt ──► one of `places` (32), claimed ──► one of `seats` (16) ──► its conversation
//! later attempt ──► a share of `later` (8)        ──► one of `seats`      ──► its conversation
//! while somebody tries whether the mail server is back: all of them seats first, and then claimed
//!
//! Others queue for a seat, and the mail server is silent to 12, which has one:
//!   `overflow` (16) has room ──► 12 goes on there, is listed, and its seat is free
//!   it is full               ──► `domain::who_yields`:
//!       7 ─────► silent_ones { 7: (place, dropped), 9: (place, dropped) }
//!                                  │      └── cancelled: the task of 7 gives its connection up
//!                                  └── goes over to 12 ──► silent_ones { 9: …, 12: (place, dropped) }
//!       12 ────► gives its connection up
//!       nobody ► none of them was silent for long enough: 12 keeps its seat and asks again
//! ```
//!
//! So each place in the overflow lies in the list, beside the way to cancel its owner, and not with
//! the owner: whoever drops the owner takes its place over.
//!
//! How long is long enough for a first attempt, `domain::Pace` says. It is tried once more soon, as
//! a later one, which gives way to nobody but other later ones, and only after `LATER_PATIENCE`: a
//! mailbox that is merely slow gets its mail then.
//!
//! Together these are at most 32 connections. Postfix, for one, grants a client 50 (postconf(5),
//! `smtpd_client_connection_count_limit`).

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{sync::OwnedSemaphorePermit, task::yield_now, time::sleep};
use tokio_util::sync::CancellationToken;

use super::lane::Lane;
use crate::{
    domain::{Pace, SilentAttempt, Tolerated, Turn, Yields, who_yields},
    transport::{Answers, Attempt, Phase},
};

/// While a silence lasts, it is looked at that often: what is usual may have changed.
const LOOK: Duration = Duration::from_millis(10);
/// And not more often than that, by those who want into a full overflow.
const LEAST_WAIT: Duration = Duration::from_millis(5);
/// A later attempt may be silent for so many times `slow_after` before it gives way to other later
/// ones: for a minute, at default settings.
const LATER_PATIENCE: u32 = 30;

#[derive(Debug)]
pub(super) struct Lanes {
    places: Lane,
    seats: Lane,
    later: Lane,
    overflow: Lane,
    pub(super) slow_after: Duration,
    pub(super) answers: Answers,
    /// So many others have to be answered in the time of a silence for it to be this one's own: a
    /// pause of the mail server's, or of ours, is everybody's.
    overtaking: u64,
    silent_ones: SilentOnes,
    next: AtomicU64,
}

/// Who is in the overflow, by the seat's number.
#[derive(Debug, Clone, Default)]
struct SilentOnes(Arc<Mutex<HashMap<u64, SilentOne>>>);

/// One of them: what can be seen of it, how to drop it, and the place that whoever drops it takes
/// over.
#[derive(Debug)]
struct SilentOne {
    attempt: Attempt,
    turn: Turn,
    dropped: CancellationToken,
    place: OwnedSemaphorePermit,
}

impl SilentOnes {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, SilentOne>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A first attempt's place among those that are claimed, under way or about to be: twice as many as
/// there are seats, so that a seat that is free finds its next mail claimed, and no more, because a
/// crash counts all of them as attempts.
#[derive(Debug)]
pub(crate) struct Place {
    _held: OwnedSemaphorePermit,
}

/// The right to one connection.
#[derive(Debug)]
pub(super) struct Seat {
    number: u64,
    turn: Turn,
    /// Until it goes on in the overflow.
    seat: Option<OwnedSemaphorePermit>,
    /// As long, of an attempt that was claimed before it had its seat.
    place: Option<Place>,
    /// A later attempt's, to its end.
    _share: Option<OwnedSemaphorePermit>,
    silent_ones: SilentOnes,
}

impl Seat {
    pub(super) fn keep(&mut self, place: Option<Place>) {
        self.place = place;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.silent_ones.lock().remove(&self.number);
    }
}

/// What comes of asking for a place in the overflow.
enum Asked {
    Place(OwnedSemaphorePermit),
    GivesUp,
    NotFor(Duration),
}

impl Lanes {
    pub(super) fn new(connections: usize, slow_after: Duration) -> Self {
        Self {
            places: Lane::new(connections * 2),
            seats: Lane::new(connections),
            later: Lane::new((connections / 2).max(1)),
            overflow: Lane::new(connections),
            slow_after,
            answers: Answers::new(Pace::new(slow_after)),
            overtaking: connections as u64 * 3 / 2,
            silent_ones: SilentOnes::default(),
            next: AtomicU64::new(0),
        }
    }

    /// Waits for a seat. A later attempt takes its share first: had it the seat first, it would
    /// hold it idle while it waits for the share.
    pub(super) async fn enter(&self, turn: Turn) -> Seat {
        let share = match turn {
            Turn::First => None,
            Turn::Later => Some(self.later.take().await),
        };
        self.seated(turn, self.seats.take().await, share)
    }

    /// Waits for a place.
    pub(super) async fn place(&self) -> Place {
        Place {
            _held: self.places.take().await,
        }
    }

    fn seated(
        &self,
        turn: Turn,
        seat: OwnedSemaphorePermit,
        share: Option<OwnedSemaphorePermit>,
    ) -> Seat {
        Seat {
            number: self.next.fetch_add(1, Ordering::Relaxed),
            turn,
            seat: Some(seat),
            place: None,
            _share: share,
            silent_ones: self.silent_ones.clone(),
        }
    }

    /// Returns when the attempt has to give its connection up, and is stopped. Until then it makes
    /// room for others when it has been silent for too long.
    pub(super) async fn make_room(&self, seat: &mut Seat, attempt: &Attempt) {
        let is_later = seat.turn == Turn::Later;
        tokio::select! {
            () = self.go_over(seat, attempt) => {}
            () = self.give_way_to_later_ones(attempt), if is_later => {}
        }
    }

    /// Goes on in the overflow when others wait for a seat; returns when it was dropped.
    async fn go_over(&self, seat: &mut Seat, attempt: &Attempt) {
        let patience = || self.tolerates(attempt).in_its_seat;
        let place = loop {
            silence_while_wanted(attempt, patience, &self.seats).await;
            match self.ask(seat, attempt) {
                Asked::Place(place) => break place,
                Asked::GivesUp => return,
                Asked::NotFor(wait) => sleep(wait.min(LOOK)).await,
            }
        };
        // The place is the list's: it goes with the seat, or to whoever drops this attempt.
        let dropped = CancellationToken::new();
        let silent_one = SilentOne {
            attempt: attempt.clone(),
            turn: seat.turn,
            dropped: dropped.clone(),
            place,
        };
        self.silent_ones.lock().insert(seat.number, silent_one);
        (seat.seat, seat.place) = (None, None);
        dropped.cancelled().await;
    }

    async fn give_way_to_later_ones(&self, attempt: &Attempt) {
        let patience = || self.slow_after * LATER_PATIENCE;
        loop {
            silence_while_wanted(attempt, patience, &self.later).await;
            if attempt.stop() == Phase::Stopped {
                return;
            }
        }
    }

    /// A place in the overflow: a free one, or that of whoever yields.
    fn ask(&self, seat: &Seat, attempt: &Attempt) -> Asked {
        if let Some(free) = self.overflow.take_free() {
            return Asked::Place(free);
        }
        // Judged, stopped and inherited under one lock: two who ask at once cannot drop the same
        // one.
        let mut silent_ones = self.silent_ones.lock();
        let all = silent_ones.iter();
        let all = all.map(|(number, one)| self.see(*number, one.turn, &one.attempt));
        let newcomer = self.see(seat.number, seat.turn, attempt);
        let seen: Vec<SilentAttempt> = all.chain([newcomer]).collect();
        let yields = match who_yields(&seen) {
            Yields::This(number) => number,
            Yields::NobodyFor(wait) => return Asked::NotFor(wait),
        };
        let yielding = silent_ones.get(&yields).map_or(attempt, |one| &one.attempt);
        // The mail server may have answered meanwhile: one whose final dot is out is not dropped.
        if yielding.stop() != Phase::Stopped {
            return Asked::NotFor(Duration::ZERO);
        }
        match silent_ones.remove(&yields) {
            Some(SilentOne { dropped, place, .. }) => {
                dropped.cancel();
                Asked::Place(place)
            }
            None => Asked::GivesUp,
        }
    }

    fn see(&self, number: u64, turn: Turn, attempt: &Attempt) -> SilentAttempt {
        let silent_for = attempt.silent_for();
        let may_yield = turn == Turn::First && !attempt.is_past_return();
        let tolerated = self.tolerates(attempt).at_all;
        let is_its_own = silent_for >= self.slow_after || attempt.overtaken_by() >= self.overtaking;
        let time_left = match is_its_own {
            true => tolerated.saturating_sub(silent_for),
            false => tolerated.saturating_sub(silent_for).max(LEAST_WAIT),
        };
        SilentAttempt {
            number,
            silent_for,
            time_left: may_yield.then_some(time_left),
        }
    }

    /// What is usual is known of mails. A connection that is being made is no mailbox's silence.
    fn tolerates(&self, attempt: &Attempt) -> Tolerated {
        match attempt.reached() {
            true => self.answers.pace().tolerates(Instant::now()),
            false => Tolerated::all(self.slow_after),
        }
    }
}

/// Returns when the attempt has been silent for longer than `patience` and others queue for
/// `lane`; never once its final dot is out: nobody may drop it then, so it would only fill the
/// overflow.
async fn silence_while_wanted(attempt: &Attempt, patience: impl Fn() -> Duration, lane: &Lane) {
    loop {
        let left = patience().saturating_sub(attempt.silent_for());
        if attempt.is_past_return() {
            std::future::pending::<()>().await;
        } else if !left.is_zero() {
            sleep(left.min(LOOK)).await; // asked again after that: an answer starts the silence anew
        } else if lane.is_wanted() {
            // What came while this one slept is heard first, by all.
            yield_now().await;
            if attempt.silent_for() >= patience() && !attempt.is_past_return() {
                return;
            }
        } else {
            lane.wanted().await;
        }
    }
}
