//! The loop between the table and the mailers. It alone owns the mails in memory: they come from
//! `queue` as they are committed, or from the table by a poll; they leave on the streams; their
//! outcomes come back in any order and are recorded in batches, one transaction at a time.
//!
//! ```mermaid
//! stateDiagram-v2
//!     [*] --> Waiting
//!     Waiting --> Sending: a mailer takes mails
//!     Sending --> Waiting: the last stream broke, or its mailer drains
//!     Sending --> Away: the last mailer pauses
//!     Waiting --> Away: a mailer cannot be reached
//!     Away --> Sending: a mailer takes mails again
//!     Waiting --> Draining: stop
//!     Sending --> Draining: stop
//!     Away --> Draining: stop
//!     Draining --> [*]: all is answered and recorded
//!     Draining --> Leaving: the grace is over
//!     Leaving --> [*]: what was let go is written
//! ```
//!
//! What was handed over and not sent: *Sending* sends it, *Waiting* keeps it for the stream that is
//! being opened, *Away* and *Draining* let go of it, so that it waits in the table, where any
//! replica may claim it. *Draining* still waits for answers to what was sent; *Leaving* lets go of
//! that, too.

use std::{collections::HashSet, fmt, sync::Arc, time::Duration};

use kit::{fail_point, serve::Replicas, telemetry::span};
use proto::mailer::{self, deliver_response::Message};
use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    db_calls::{DbCalls, DbResult},
    encode,
    held::HeldMails,
    mode::Mode,
    queue::{Incoming, Queue},
    streams::{StreamEvent, StreamId, Streams},
    timers::{renewals, timer, until},
    unrecorded::Unrecorded,
};
use crate::{
    commands::{
        Claim, Metrics,
        claim_mails::{ClaimMails, MoreDue, Wanted},
        record_outcomes::MailAttempt,
    },
    domain::{Outcome, Turn},
};

/// How long a stop waits for answers.
const GRACE: Duration = Duration::from_secs(1);

/// The loop; nothing happens until it runs.
pub(crate) struct MailLoop {
    mode: Mode,
    mails: HeldMails,
    streams: Streams,
    queue: Queue,
    incoming: Incoming,
    db_calls: DbCalls,
    unrecorded: Unrecorded,
    /// The table may hold mails that are due: the last poll was full, or something happened that
    /// made some due.
    more_due: MoreDue,
    lease: Duration,
    tick: Duration,
    metrics: Metrics,
}

impl fmt::Debug for MailLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MailLoop({:?})", self.mode)
    }
}

impl MailLoop {
    /// A loop to these mailers, which polls the table once every `tick`.
    pub(crate) fn new(
        claim_mails: ClaimMails,
        (queue, incoming): (Queue, Incoming),
        mailers: Replicas,
        metrics: Metrics,
        tick: Duration,
    ) -> Self {
        let lease = claim_mails.lease;
        Self {
            mode: Mode::Waiting,
            mails: HeldMails::new(lease),
            streams: Streams::new(mailers),
            queue,
            incoming,
            lease,
            unrecorded: Unrecorded::new(lease, claim_mails.watches.clone()),
            db_calls: DbCalls::new(claim_mails, tick),
            more_due: MoreDue::NONE,
            tick,
            metrics,
        }
    }

    /// Delivers until `stop`; then waits a moment for answers, records them and lets go of the
    /// rest.
    pub(crate) async fn run(mut self, became_due: Arc<Notify>, stop: CancellationToken) {
        // Its mails are due at once, not when their leases run out.
        self.db_calls.end_stale_claims();
        let mut ticks = timer(self.tick);
        let mut renewals = renewals(self.lease);
        loop {
            kit::serve::beat();
            if stop.is_cancelled() && !self.mode.is_ending() {
                self.begin_to_drain();
            }
            self.advance();
            if self.is_done() {
                return;
            }
            let (runs, wakes_at) = (!self.mode.is_ending(), self.wakes_at());
            // Never at the very end: `advance` records nothing then, and this would come at once.
            let records_at = self.db_calls.records_at(&self.unrecorded);
            let records_at = records_at.filter(|_| self.mode != Mode::Leaving);
            // Unbiased: under load there is always another answer to hear, and what stood below it in
            // a biased order would never have its turn. A tick may well come late.
            tokio::select! {
                () = stop.cancelled(), if runs => {}
                event = self.streams.next() => self.hear_all(event),
                // Even at the end: a commit that was under way hands its mails over, and they are
                // let go.
                Some(mails) = self.incoming.recv() => self.mails.add(mails),
                result = self.db_calls.next() => self.take_in(result),
                _ = ticks.tick(), if runs => self.poll(),
                () = became_due.notified(), if runs => self.more_due = MoreDue::BOTH,
                _ = renewals.tick(), if runs => self.db_calls.renew(self.mails.claims()),
                () = until(records_at) => {} // by `advance`
                // With a pause that is over, for example.
                () = until(wakes_at) => self.more_due = MoreDue::BOTH,
            }
        }
    }

    /// Goes into the mode that the streams and the time allow, and does what has become possible in
    /// it.
    fn advance(&mut self) {
        self.mode = self.mode.next(self.streams.window(), Instant::now());
        self.queue.set_sending(self.mode == Mode::Sending);
        match self.mode {
            Mode::Sending => {
                // Those that were tried before only take what these leave: dead mailboxes hold
                // nobody up.
                self.send(Turn::First);
                self.send(Turn::Later);
                if self.is_worth_a_poll() {
                    self.poll();
                }
            }
            Mode::Waiting => {}
            // Another replica may reach a mailer; here the claims would only be renewed.
            Mode::Away | Mode::Draining(_) => self.db_calls.release(self.mails.take_waiting()),
            Mode::Leaving => {
                self.db_calls.release(self.mails.take_waiting());
                self.db_calls.release(self.mails.take_sent());
                return; // what is not recorded by now has its claim run out and is asked for again
            }
        }
        self.db_calls.record(&mut self.unrecorded, &self.mails);
    }

    /// Sends nothing more and opens no more streams.
    fn begin_to_drain(&mut self) {
        // Well within the two seconds that a stop gives its workers: what is let go is written.
        self.mode = Mode::Draining(Instant::now() + GRACE);
        self.streams.close();
        self.unrecorded.wait_no_more();
        // What was handed over by now is taken in, so that it is let go, too.
        while let Ok(mails) = self.incoming.try_recv() {
            self.mails.add(mails);
        }
    }

    fn is_done(&self) -> bool {
        match self.mode {
            Mode::Draining(_) => self.db_calls.is_empty() && self.mails.is_empty(),
            Mode::Leaving => self.db_calls.is_empty(),
            _ => false,
        }
    }

    /// When the mode may change though nothing happens.
    fn wakes_at(&self) -> Option<Instant> {
        match self.mode {
            Mode::Draining(until) => Some(until),
            Mode::Leaving => None,
            _ => self.streams.resumes_at(),
        }
    }

    fn send(&mut self, turn: Turn) {
        let mut expired: Vec<Claim> = Vec::new();
        while self.streams.room(turn) > 0 {
            let Some(mail) = self.mails.next(turn) else {
                break;
            };
            let claim = mail.claim;
            if mail.expires <= Instant::now() {
                // It waited here for too long; unclaimed, its code is replaced.
                self.mails.forget(claim.code_id);
                expired.push(claim);
                continue;
            }
            let (request, span) = encode::request(mail);
            match self.streams.send(turn, request) {
                Some(stream) => self.mails.sent(claim.code_id, stream, span),
                None => {
                    span::fail(&span, "stream_closed"); // its end is heard next
                    self.mails.put_back(claim.code_id);
                }
            }
        }
        self.db_calls.release(expired);
    }

    /// Claims as many due mails as can be sent at once.
    fn poll(&mut self) {
        if self.mode != Mode::Sending || self.db_calls.is_polling() {
            return;
        }
        let Wanted { all, first, later } = self.wanted();
        // Before the claim: what has no room in memory would only hold its claim until it runs out.
        let first_room = self.queue.reserve(Turn::First, first.min(all));
        let later_room = self.queue.reserve(Turn::Later, later.min(all));
        if first_room.len() + later_room.len() == 0 {
            return;
        }
        // What becomes due from here on sets it again. Nothing is learnt of a kind that there is no
        // room for.
        self.more_due.first &= first_room.len() == 0;
        self.more_due.later &= later_room.len() == 0;
        self.db_calls.poll(all, first_room, later_room);
    }

    fn is_worth_a_poll(&self) -> bool {
        // In large bites: a poll for each mail that leaves would be a transaction for each of them.
        let bite = self.streams.window().div_ceil(4);
        let Wanted { first, later, .. } = self.wanted();
        // Without room in memory it would find nothing, and be worth another one at once.
        let may = |turn, room| room >= bite && self.queue.has_room(turn);
        let more = self.more_due;
        (more.first && may(Turn::First, first)) || (more.later && may(Turn::Later, later))
    }

    /// How many more mails can be sent at once than are waiting to be.
    fn wanted(&self) -> Wanted {
        let (mails, streams) = (&self.mails, &self.streams);
        // What waits beyond its own kind's room leaves the other kind alone.
        let leaving = |turn| mails.waiting(turn).min(streams.room(turn));
        let (first, later) = (leaving(Turn::First), leaving(Turn::Later));
        Wanted {
            all: streams.free().saturating_sub(first + later),
            first: streams.room(Turn::First) - first,
            later: streams.room(Turn::Later) - later,
        }
    }

    /// Hears an event and whatever else has happened by now.
    fn hear_all(&mut self, first: StreamEvent) {
        let mut event = Some(first);
        while let Some(next) = event {
            self.hear(next);
            // So that outcomes are recorded in batches, as large as the load makes them.
            event = self.streams.ready();
        }
    }

    fn hear(&mut self, event: StreamEvent) {
        match event {
            StreamEvent::Ready => self.more_due = MoreDue::BOTH,
            StreamEvent::Said(stream, Message::Result(result)) => self.answer(stream, &result),
            StreamEvent::Said(stream, Message::Pause(pause)) => {
                self.streams
                    .pause(stream, encode::wait(pause.retry_after.as_ref()));
                self.mode = self.mode.without_mailer(self.streams.window());
            }
            StreamEvent::Said(_, Message::TakenBack(said)) => {
                self.db_calls.take_back(encode::taken_back(&said));
            }
            StreamEvent::Said(..) => {}
            StreamEvent::Ended(stream) => {
                // What it left unanswered waits again, in front, and is offered to another one at
                // once: the mailer knows each mail by its key. One that saw too many streams break
                // has failed: if it is what breaks them, it must not take the others along.
                let (spans, lost) = self.mails.broken(stream);
                let lost = lost.into_iter().map(encode::unanswered);
                lost.for_each(|attempt| self.unrecorded.add(attempt));
                for span in spans {
                    span::fail(&span, "stream_broken");
                }
            }
            StreamEvent::Unreachable => {
                self.mode = self.mode.without_mailer(self.streams.window());
            }
        }
    }

    fn answer(&mut self, stream: StreamId, result: &mailer::Result) {
        let answered = encode::code_id(result).and_then(|id| self.mails.answered(id, stream));
        let Some((mail, span)) = answered else {
            return; // of an attempt on a stream that broke: it is under way again, or let go
        };
        fail_point!("verification/answered");
        self.streams.answered(stream, mail.turn());
        let attempt = encode::attempt(mail, result, &span);
        self.metrics.attempt(attempt.outcome);
        self.unrecorded.add(attempt);
    }

    fn take_in(&mut self, result: DbResult) {
        match result {
            DbResult::Recorded(batch, accepted, _) => self.recorded(batch, &accepted),
            // Written again until it is: a claim may run out meanwhile, a fact is one all the same.
            DbResult::NotRecorded(batch, _) => self.unrecorded.put_back(batch),
            DbResult::Polled(mails, more) => {
                self.more_due = self.more_due.or(more);
                self.mails.add(mails);
            }
            DbResult::Renewed(at, codes) => self.mails.renewed(at, &codes),
            DbResult::Nothing => {}
        }
    }

    /// Forgets mails whose outcome stands in the table. `accepted` are those whose acceptance was
    /// news.
    fn recorded(&mut self, batch: Vec<MailAttempt>, accepted: &HashSet<Uuid>) {
        for attempt in batch {
            // The first unknown outcome of a mail makes it due again at once.
            self.more_due.later |= attempt.outcome == Outcome::Unknown;
            let code_id = attempt.claim.code_id;
            let forgotten = self.mails.forget(code_id);
            let created = forgotten.and_then(|mail| mail.account_created_at);
            if let (Some(created), Some(at)) = (created, attempt.accepted_at)
                && accepted.contains(&code_id)
            {
                self.metrics.accepted(at.since(created));
            }
        }
    }
}
