//! Delivers one mail: ask the ledger, wait for a connection, claim, send, settle, answer. Whatever dies in between,
//! the ledger knows enough to neither lose the mail nor send it blindly again.

mod answer;
mod trace;

use std::time::{Duration, Instant, SystemTime};

use kit::clock::Timestamp;
use opentelemetry::{Context, trace::FutureExt as _};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub(crate) use self::answer::{Answer, Fate};
use self::answer::{UNAVAILABLE, answer_of, busy};
use crate::{
    admission::{Admission, CircuitOpen, Slot},
    domain::{Digits, DisplayName, LocaleTag, Outcome, Recipient, Sender, Turn, redact},
    ledger::{Claimed, Ledger, Ours, Refusal, Request, Settlement, State},
    mail::{
        message::{self, Frame},
        template::{Content, Templates},
    },
    metrics::Metrics,
    transport::{Attempt, Ending, Outgoing, Transport},
};

/// The template's name in the ledger.
const TEMPLATE: &str = "verification";

/// A verification mail to deliver, checked.
#[derive(Debug, Clone)]
pub(crate) struct Deliver {
    /// The mail's key.
    pub(crate) code_id: Uuid,
    /// The account.
    pub(crate) account_id: Uuid,
    /// To whom.
    pub(crate) recipient: Recipient,
    /// Whom to greet.
    pub(crate) name: DisplayName,
    /// Language that was asked for.
    pub(crate) locale: LocaleTag,
    /// The code.
    pub(crate) digits: Digits,
    /// When it stops working.
    pub(crate) expires_at: Timestamp,
    /// First offer of this mail, or a later one.
    pub(crate) turn: Turn,
}

/// A mail that cannot be made, with as much of it as can be kept.
#[derive(Debug)]
pub(crate) struct Unusable {
    /// The mail's key; without one there is nothing to remember it by.
    pub(crate) code_id: Option<Uuid>,
    /// The account.
    pub(crate) account_id: Uuid,
    /// Language that was asked for.
    pub(crate) locale: LocaleTag,
    /// When its code stops working.
    pub(crate) expires_at: Option<Timestamp>,
    /// Which field is wrong, and how; no value is in it.
    pub(crate) reason: &'static str,
}

/// The command, with all that it needs.
#[derive(Debug)]
pub(crate) struct Mailer {
    /// Who may send what.
    pub(crate) ledger: Ledger,
    /// How many may send at once.
    pub(crate) admission: Admission,
    /// How it is sent.
    pub(crate) transport: Transport,
    /// What it says.
    pub(crate) templates: Templates,
    /// From whom.
    pub(crate) sender: Sender,
    /// Where the link in the mail leads; no link without it.
    pub(crate) public_url: Option<String>,
    /// What is measured.
    pub(crate) metrics: Metrics,
    /// Ends what has not ended by itself when the service stops.
    pub(crate) cut: CancellationToken,
}

impl Mailer {
    /// Delivers a mail. Until it is claimed it can be given up without a trace, when `caller_gone` completes; after
    /// that it runs to its end.
    pub(crate) async fn deliver(
        &self,
        mail: &Deliver,
        caller_gone: impl Future<Output = ()>,
    ) -> Option<Answer> {
        let admitted = tokio::select! {
            biased; // nothing is claimed any more after the cut
            () = self.cut.cancelled() => Err(Answer::not_tried(Fate::Later(Duration::ZERO), "the mailer shuts down")),
            admitted = self.admit(mail) => admitted,
            () = caller_gone => return None,
        };
        let (slot, unknown_attempts) = match admitted {
            Ok(admitted) => admitted,
            Err(answer) => return Some(answer),
        };
        let answer = match self.ledger.claim(mail.request()).await {
            Ok(Claimed::Ours(ours)) => return Some(self.send(mail, slot, ours).await),
            Ok(Claimed::No(standing)) => answer_of(standing).unwrap_or_else(busy),
            Ok(Claimed::Expired) => Answer::not_tried(UNAVAILABLE, "the code has expired"),
            Err(away) => away.into(),
        };
        // What the look-up found is not forgotten by an answer that knows less.
        Some(Answer {
            unknown_attempts: answer.unknown_attempts.max(unknown_attempts),
            ..answer
        })
    }

    /// Remembers that a mail cannot be made.
    pub(crate) async fn refuse(&self, mail: Unusable) -> Answer {
        let answer = Answer::not_tried(Fate::Ended(Outcome::Invalid), mail.reason);
        let Some(code_id) = mail.code_id else {
            return answer;
        };
        let refusal = Refusal {
            code_id,
            account_id: mail.account_id,
            template: TEMPLATE,
            locale: mail.locale.as_str().to_owned(),
            reason: mail.reason,
            expires_at: mail.expires_at,
            trace_id: trace::trace_id(&Context::current()),
        };
        self.ledger
            .refuse(refusal)
            .await
            .map_or_else(Answer::from, |()| answer)
    }

    /// What the ledger can answer needs no connection; everything else waits for one. With the slot comes the count
    /// of unknown attempts.
    async fn admit(&self, mail: &Deliver) -> Result<(Slot, u32), Answer> {
        let standing = self.ledger.look_up(&mail.request()).await?;
        let unknown_attempts = standing.unknown_attempts;
        // A lapsed attempt is counted by the claim, which alone may write.
        if standing.state != State::Lapsed
            && let Some(answer) = answer_of(standing)
        {
            return Err(answer);
        }
        match self.admission.enter(mail.turn).await {
            Ok(slot) => Ok((slot, unknown_attempts)),
            Err(CircuitOpen(pause)) => Err(Answer {
                unknown_attempts,
                ..Answer::not_tried(Fate::Later(pause), "the mail server cannot be used for now")
            }),
        }
    }

    async fn send(&self, mail: &Deliver, mut slot: Slot, ours: Ours) -> Answer {
        let started = Instant::now();
        let outgoing = match self.make(mail, &ours) {
            Ok(outgoing) => outgoing,
            Err(error) => {
                drop(slot);
                tracing::error!(%error, code.id = %mail.code_id, "A mail cannot be made.");
                let reply = "the mail cannot be made".to_owned();
                return self.settle(mail, ours, Outcome::Invalid, reply).await;
            }
        };
        let attempt = Attempt::start(ours.held.lease());
        let cx = trace::start(&self.transport, ours.attempt);
        let sending = self
            .transport
            .send(&outgoing, &attempt)
            .with_context(cx.clone());
        let sent = self
            .admission
            .attend(&mut slot, &attempt, sending, &self.cut)
            .await;
        self.admission.leave(slot, sent.ending);
        let outcome = outcome(sent.ending);
        trace::end(&cx, &sent, outcome);
        self.metrics.attempt(outcome, started.elapsed());
        let reply = redact(&sent.reply, &mail.recipient, &mail.digits);
        Answer {
            reached: attempt.reached(),
            ..self.settle(mail, ours, outcome, reply).await
        }
    }

    fn make(&self, mail: &Deliver, ours: &Ours) -> anyhow::Result<Outgoing> {
        let language = mail.locale.language();
        let link = self
            .public_url
            .as_ref()
            .map(|url| format!("{url}/verify/{}", mail.code_id));
        let rendered = self.templates.render(&Content {
            language,
            sender: self.sender.title(),
            name: &mail.name,
            digits: &mail.digits,
            link: link.as_deref(),
            left: mail.expires_at.since(ours.now),
            expires_at: utc(mail.expires_at)?,
        })?;
        let date = SystemTime::UNIX_EPOCH + ours.now.since(Timestamp(0));
        let (sender, recipient, name) = (&self.sender, &mail.recipient, &mail.name);
        let frame = Frame {
            code_id: mail.code_id,
            sender,
            recipient,
            name,
            language,
            date,
        };
        Ok(Outgoing {
            code_id: mail.code_id,
            attempt: ours.attempt,
            from: message::address(self.sender.address())?,
            to: message::address(&mail.recipient)?,
            bytes: message::build(&frame, rendered)?,
        })
    }

    async fn settle(&self, mail: &Deliver, ours: Ours, outcome: Outcome, reply: String) -> Answer {
        let unknown_attempts = ours.unknown_attempts + u32::from(outcome == Outcome::Unknown);
        let ended = Settlement {
            code_id: mail.code_id,
            account_id: mail.account_id,
            token: ours.held.token(),
            attempt: ours.attempt,
            outcome,
            reply: reply.clone(),
            trace_id: trace::trace_id(&Context::current()),
        };
        let at = self.ledger.settle(ours, ended, &self.cut).await;
        let fate = match outcome {
            Outcome::Accepted => Fate::Accepted(Some(at)),
            other => Fate::Ended(other),
        };
        Answer {
            fate,
            unknown_attempts,
            reached: false,
            reason: reply,
        }
    }
}

impl Deliver {
    fn request(&self) -> Request {
        Request {
            code_id: self.code_id,
            account_id: self.account_id,
            template: TEMPLATE,
            locale: self.locale.clone(),
            recipient: self.recipient.clone(),
            expires_at: self.expires_at,
        }
    }
}

fn outcome(ending: Ending) -> Outcome {
    match ending {
        Ending::Accepted => Outcome::Accepted,
        Ending::RecipientRefused => Outcome::Rejected,
        Ending::NotNow(_) => Outcome::Unavailable,
        Ending::Unknown(_) => Outcome::Unknown,
    }
}

fn utc(at: Timestamp) -> Result<OffsetDateTime, time::error::ComponentRange> {
    OffsetDateTime::from_unix_timestamp(at.0.div_euclid(1_000_000))
}
