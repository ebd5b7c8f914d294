//! What comes back to the delivery: answers and pauses from the mailers, results of its errands to the database.

use kit::telemetry::span;
use proto::mailer::{self, deliver_response::Message};
use uuid::Uuid;

use super::{
    Delivery, encode,
    held::turn,
    streams::{Event, StreamId},
    work::Done,
};
use crate::{
    commands::{Mail, Settlement},
    domain::mail::Outcome,
};

impl Delivery {
    /// Takes in what an errand to the database brought.
    pub(super) fn done(&mut self, done: Done) {
        match done {
            Done::Settled(batch, accepted) => {
                self.settling = false;
                match accepted {
                    None => self.unsettled.extend(batch),
                    Some(accepted) => {
                        // The first unknown outcome of a mail is tried again at once.
                        if batch
                            .iter()
                            .any(|settled| settled.outcome == Outcome::Unknown)
                        {
                            self.backlog = true;
                        }
                        for settled in batch {
                            let mail = self.mails.forget(settled.claim.code_id);
                            if let Some(mail) =
                                mail.filter(|mail| accepted.contains(&mail.claim.code_id))
                            {
                                self.measure(&mail, &settled);
                            }
                        }
                    }
                }
            }
            Done::Looked(mails, more) => {
                self.looking = false;
                self.backlog |= more;
                self.mails.add(mails);
            }
            Done::Counted(number, age) => self.measures.due(number, age),
            Done::Renewed(at, claims) => self.mails.renewed(at, &claims),
            Done::Nothing => {}
        }
    }

    fn measure(&self, mail: &Mail, settled: &Settlement) {
        if let (Some(created), Some(accepted)) = (mail.account_created_at, settled.accepted_at) {
            self.measures.accepted(accepted.since(created));
        }
    }

    /// Hears an event and whatever else has happened by now, so that answers are settled in batches.
    pub(super) fn hear_all(&mut self, first: Event) {
        let mut event = Some(first);
        while let Some(next) = event {
            self.hear(next);
            event = self.streams.ready();
        }
    }

    fn hear(&mut self, event: Event) {
        match event {
            Event::Ready => self.backlog = true,
            Event::Said(stream, Message::Result(result)) => self.result(stream, &result),
            Event::Said(stream, Message::Pause(pause)) => {
                let wait = encode::wait(pause.retry_after.as_ref());
                tracing::warn!(
                    seconds = wait.as_secs(),
                    "The mailer pauses: the mail server cannot be used."
                );
                self.streams.pause(stream, wait);
                self.away = self.streams.window() == 0;
            }
            Event::Said(..) => {}
            Event::Ended(stream) => {
                let (spans, lost) = self.mails.broken(stream);
                self.unsettled
                    .extend(lost.into_iter().map(encode::unanswered));
                for span in spans {
                    span::fail(&span, "stream_broken");
                }
            }
            Event::Unreachable => self.away = self.streams.window() == 0,
        }
    }

    fn result(&mut self, stream: StreamId, result: &mailer::Result) {
        let Ok(id) = Uuid::try_parse(&result.code_id) else {
            return;
        };
        let Some((mail, span)) = self.mails.answered(id, stream) else {
            return;
        };
        self.streams.answered(stream, turn(mail));
        let settlement = encode::settlement(mail, result, &span);
        self.measures.attempt(settlement.outcome);
        self.unsettled.push(settlement);
    }
}
