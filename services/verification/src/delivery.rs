//! Hands due mails to the mailer and keeps their schedule. One loop owns everything in memory: mails come from the
//! queue as they are committed, or from the table by a tick; they leave on the streams; results come back in any
//! order and are settled in batches, one transaction at a time.

mod answers;
mod encode;
mod held;
mod measures;
mod stream;
mod streams;
mod work;

use std::{fmt, time::Duration};

use futures::{StreamExt as _, stream::FuturesUnordered};
use kit::{serve::Client, telemetry::span};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;

use self::{
    held::Mails,
    measures::Measures,
    streams::Streams,
    work::{Look, Work},
};
use crate::{
    commands::{Commands, Incoming, Settlement},
    domain::mail::Turn,
};

/// How long a shutdown waits for answers. A mail that is unanswered then is let go: the mailer's ledger knows it. Well
/// within the two seconds that a stop gives its workers: what is let go has to be written, too.
const GRACE: Duration = Duration::from_secs(1);
/// How often due mails are counted.
const COUNT_EVERY: Duration = Duration::from_secs(10);

/// The delivery; nothing happens until it runs.
pub(crate) struct Delivery {
    commands: Commands,
    incoming: Incoming,
    streams: Streams,
    mails: Mails,
    /// Answers that are not settled yet.
    unsettled: Vec<Settlement>,
    work: FuturesUnordered<Work>,
    settling: bool,
    looking: bool,
    /// The table may hold mails that can be sent now.
    backlog: bool,
    /// No mailer takes mails: what waits here is better off in the table.
    away: bool,
    tick: Duration,
    measures: Measures,
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Delivery")
    }
}

impl Delivery {
    /// A delivery to these mailers, which looks at the table once every `tick`.
    pub(crate) fn new(
        commands: Commands,
        incoming: Incoming,
        mailers: Vec<Client>,
        tick: Duration,
    ) -> Self {
        Self {
            streams: Streams::new(mailers),
            mails: Mails::new(commands.rules.lease),
            commands,
            incoming,
            unsettled: Vec::new(),
            work: FuturesUnordered::new(),
            settling: false,
            looking: false,
            backlog: false,
            away: false,
            tick,
            measures: Measures::new(),
        }
    }

    /// Delivers until `stop`; then waits a moment for answers, settles them and lets go of the rest.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        self.work.push(work::begin(&self.commands));
        let looks = self.incoming.looks();
        let mut ticks = interval(self.tick);
        let mut renewals =
            interval((self.commands.rules.lease * 3 / 10).max(Duration::from_millis(10)));
        let mut counts = interval(COUNT_EVERY);
        for timer in [&mut ticks, &mut renewals, &mut counts] {
            timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        }
        while !stop.is_cancelled() {
            self.advance();
            let resumes_at = self.streams.resumes_at();
            tokio::select! {
                () = stop.cancelled() => {}
                event = self.streams.next() => self.hear_all(event),
                Some(mails) = self.incoming.mails() => self.mails.add(mails),
                Some(done) = self.work.next(), if !self.work.is_empty() => self.done(done),
                _ = ticks.tick() => self.look(true),
                () = looks.notified() => self.look(true),
                _ = renewals.tick() => self.renew(),
                _ = counts.tick() => self.work.push(work::count(&self.commands)),
                () = until(resumes_at) => self.backlog = true, // a pause is over
            }
        }
        self.drain().await;
    }

    /// Does what has become possible: sends, settles, looks for more, or lets go of what cannot be sent.
    fn advance(&mut self) {
        let open = self.streams.window() > 0;
        self.commands.queue.set_open(open);
        if open {
            self.away = false;
            self.send(Turn::First);
            self.send(Turn::Again);
        } else if self.away {
            let waiting = self.mails.take_waiting();
            if !waiting.is_empty() {
                self.work.push(work::release(&self.commands, waiting));
            }
        }
        if !self.settling && !self.unsettled.is_empty() {
            self.settling = true;
            let batch = std::mem::take(&mut self.unsettled);
            self.work
                .push(work::settle(&self.commands, batch, self.tick));
        }
        // In large bites: a look for each mail that leaves would be a transaction a mail.
        if self.backlog && self.room(Turn::First) * 4 >= self.streams.window().max(1) {
            self.look(false);
        }
    }

    fn send(&mut self, turn: Turn) {
        while self.streams.room(turn) > 0 {
            let Some(mail) = self.mails.next(turn) else {
                return;
            };
            let id = mail.claim.code_id;
            if mail.expires_at <= self.commands.clock.now() {
                // It waited here for too long; the next look replaces its code.
                let expired = self.mails.forget(id).map(|mail| mail.claim);
                self.work
                    .push(work::release(&self.commands, expired.into_iter().collect()));
                continue;
            }
            let (request, span) = encode::request(mail);
            match self.streams.send(turn, request) {
                Some(stream) => self.mails.sent(id, stream, span),
                None => {
                    span::fail(&span, "stream_closed"); // its end is heard next
                    self.mails.put_back(id);
                }
            }
        }
    }

    /// How many more mails can be sent at once than are waiting.
    fn room(&self, turn: Turn) -> usize {
        let waiting = self.mails.waiting(Turn::First) + self.mails.waiting(Turn::Again);
        self.streams.room(turn).saturating_sub(waiting)
    }

    fn look(&mut self, whole: bool) {
        if self.looking {
            return;
        }
        self.looking = true;
        self.backlog = false;
        let look = Look {
            whole,
            most: self.room(Turn::First),
            most_again: self.room(Turn::Again),
        };
        self.work.push(work::look(&self.commands, look));
    }

    fn renew(&mut self) {
        let claims = self.mails.claims();
        if !claims.is_empty() {
            self.work.push(work::renew(&self.commands, claims));
        }
    }

    /// Stage one of a shutdown: sends nothing more, hears what comes in time, settles it, lets go of the rest.
    async fn drain(mut self) {
        self.commands.queue.set_open(false);
        self.streams.close();
        while let Some(mails) = self.incoming.ready() {
            self.mails.add(mails);
        }
        let end = Instant::now() + GRACE;
        loop {
            let overdue = Instant::now() >= end;
            let mut unsent = self.mails.take_waiting();
            if overdue {
                unsent.extend(self.mails.take_sent());
            }
            if !unsent.is_empty() {
                self.work.push(work::release(&self.commands, unsent));
            }
            if !self.settling && !self.unsettled.is_empty() && !overdue {
                self.settling = true;
                let batch = std::mem::take(&mut self.unsettled);
                self.work
                    .push(work::settle(&self.commands, batch, self.tick));
            }
            if self.work.is_empty() && (overdue || self.mails.is_empty()) {
                return;
            }
            tokio::select! {
                event = self.streams.next() => self.hear_all(event),
                Some(mails) = self.incoming.mails() => self.mails.add(mails), // of a commit that was under way
                Some(done) = self.work.next(), if !self.work.is_empty() => self.done(done),
                () = sleep_until(end), if !overdue => {}
            }
        }
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
