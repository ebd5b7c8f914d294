//! Delivers one mail: let it in, claim it, send it by the connection that is free next, record how
//! that ended, answer. Whatever dies in between, the ledger knows enough to neither lose the mail nor
//! send it blindly again.

use std::{
    pin::{Pin, pin},
    sync::Arc,
    time::{Duration, Instant},
};

use kit::{db::StoreError, fail_point};
use opentelemetry::{Context, trace::FutureExt as _};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Answer, LedgerError, Outcome,
    claim::{Claim, Claimed},
    look_up::{LookUps, Standing},
    notes::Ended,
    record_outcome::Outcomes,
    rounds::Rounds,
    trace,
};
use crate::{
    admission::{Admission, CircuitOpen, Entered, Refusals, Slot},
    domain::{Judgement, Offer, Turn, redact},
    mail::Composer,
    metrics::Metrics,
    transport::{Attempt, CurrentTransport, Ending},
};

/// The command, with all that it needs.
#[derive(Debug)]
pub(crate) struct Deliver {
    pub(crate) look_ups: LookUps,
    pub(crate) admission: Admission,
    pub(crate) rounds: Rounds,
    pub(crate) composer: Arc<Composer>,
    pub(crate) transport: CurrentTransport,
    pub(crate) refusals: Refusals,
    pub(crate) outcomes: Outcomes,
    pub(crate) metrics: Metrics,
    /// Ends what has not ended by itself when the service stops.
    pub(crate) cut: CancellationToken,
}

/// Why no attempt was made, and the ledger does not know the answer either.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeliverError {
    /// The caller went away before the mail had its connection.
    #[error("nobody waits for the answer")]
    Abandoned,
    #[error("the mailer shuts down")]
    Stopping,
    #[error("the mail server cannot be used for now")]
    CircuitOpen {
        pause: Duration,
        unknown_attempts: u32,
    },
    #[error("the mailer's database does not answer")]
    Ledger {
        source: LedgerError,
        /// As far as they are known.
        unknown_attempts: u32,
    },
}

/// Nothing was looked up yet.
impl From<StoreError> for DeliverError {
    fn from(error: StoreError) -> Self {
        Self::Ledger {
            source: error.into(),
            unknown_attempts: 0,
        }
    }
}

/// What comes of a mail that wants in.
enum Admitted {
    /// With the unknown attempts that are known of it.
    ToClaim(Entered, u32),
    /// It is not to be sent now.
    Answered(Answer),
}

impl CircuitOpen {
    fn while_known(self, unknown_attempts: u32) -> DeliverError {
        let Self(pause) = self;
        DeliverError::CircuitOpen {
            pause,
            unknown_attempts,
        }
    }
}

/// What came of an attempt.
struct Tried {
    outcome: Outcome,
    /// Whether it got as far as the mail server, or may have.
    reached: bool,
    /// What the mail server said, or what happened instead, redacted.
    reply: String,
    /// Mails whose refusals this one shows to be said of everybody.
    taken_back: Vec<Uuid>,
}

impl Deliver {
    /// Delivers a mail. Until it has its connection it can be given up without an attempt, when
    /// `caller_gone` completes; after that it runs to its end.
    pub(crate) async fn run(
        &self,
        offer: Arc<Offer>,
        caller_gone: impl Future<Output = ()>,
    ) -> Result<Answer, DeliverError> {
        fail_point!("mailer/offered");
        let mut given_up = pin!(self.given_up(caller_gone));
        let (entered, unknown_attempts) = match self.enter(&offer, given_up.as_mut()).await? {
            Admitted::ToClaim(entered, unknown_attempts) => (entered, unknown_attempts),
            Admitted::Answered(answer) => return Ok(answer),
        };
        // Let in before the claim: a row that says `sending` while nobody sends would count as
        // unknown if this process died. So those that are claimed are under way, or next.
        let claim = match self.claim(&offer, unknown_attempts).await? {
            Claimed::ToSend(claim) => claim,
            Claimed::Answered(answer) => return Ok(answer),
        };
        fail_point!("mailer/claimed");
        let seating = unless(given_up, self.seat(&offer, entered, claim.unknown_attempts));
        let slot = match seating.await {
            Ok(slot) => slot,
            Err(reason) => {
                // Told before it is answered: whoever is offered it next may send at once.
                self.outcomes.let_go(&offer, claim).await;
                return Err(reason);
            }
        };
        let tried = self.send(&offer, &claim, slot).await;
        fail_point!("mailer/sent");
        // Committed before it is told; but while the database is away, what the mail server said is
        // told at once.
        let answer = self.record(offer, claim, tried).await;
        fail_point!("mailer/recorded");
        Ok(answer)
    }

    /// The reason to give up a mail that has no connection yet.
    async fn given_up(&self, caller_gone: impl Future<Output = ()>) -> DeliverError {
        tokio::select! {
            // A caller that leaves because we stop is no caller that left.
            biased;
            () = self.cut.cancelled() => DeliverError::Stopping,
            () = caller_gone => DeliverError::Abandoned,
        }
    }

    /// Waits to be let in. A mail that waits here is nowhere written down: it goes away with its
    /// stream, or with this process.
    async fn enter(
        &self,
        offer: &Arc<Offer>,
        mut given_up: Pin<&mut impl Future<Output = DeliverError>>,
    ) -> Result<Admitted, DeliverError> {
        let entering = |unknown_attempts| async move {
            let entered = self.admission.enter(offer.turn).await;
            entered.map_err(|closed| closed.while_known(unknown_attempts))
        };
        // A first attempt's claim looks by itself, and nobody waits for long for a place that turns
        // out to be for nothing.
        if offer.turn == Turn::First {
            match unless(given_up.as_mut(), entering(0)).await {
                Ok(entered) => return Ok(Admitted::ToClaim(entered, 0)),
                // What became of it before is told all the same.
                Err(DeliverError::CircuitOpen { .. }) => {}
                Err(reason) => return Err(reason),
            }
        }
        // Asked before anything is waited for: what is answered here takes nobody's place. And should
        // the claim fail, its client is told what earlier attempts came to.
        let unknown_attempts = match unless(given_up.as_mut(), self.look_up(offer)).await? {
            Standing::Claimable { unknown_attempts } => unknown_attempts,
            Standing::Answered(answer) => return Ok(Admitted::Answered(answer)),
        };
        let entered = unless(given_up, entering(unknown_attempts)).await?;
        Ok(Admitted::ToClaim(entered, unknown_attempts))
    }

    async fn look_up(&self, offer: &Arc<Offer>) -> Result<Standing, DeliverError> {
        let standing = self.look_ups.look_up(Arc::clone(offer)).await;
        standing.map_err(|source| DeliverError::Ledger {
            source,
            unknown_attempts: 0,
        })
    }

    /// The connection of one that was let in.
    async fn seat(
        &self,
        offer: &Offer,
        entered: Entered,
        unknown_attempts: u32,
    ) -> Result<Slot, DeliverError> {
        let place = match entered {
            Entered::Seated(slot) => return Ok(slot),
            Entered::Placed(place) => place,
        };
        let seated = self.admission.seat(offer.turn, Some(place)).await;
        seated.map_err(|closed| closed.while_known(unknown_attempts))
    }

    async fn claim(
        &self,
        offer: &Arc<Offer>,
        unknown_attempts: u32,
    ) -> Result<Claimed, DeliverError> {
        // An error may hide a claim that was committed: nothing is sent under it; it is taken back.
        let claimed = self.rounds.claim(Arc::clone(offer)).await;
        claimed.map_err(|source| DeliverError::Ledger {
            source,
            unknown_attempts,
        })
    }

    async fn send(&self, offer: &Offer, claim: &Claim, mut slot: Slot) -> Tried {
        let started = Instant::now();
        let outgoing = match self.composer.compose(offer, claim.claim_no, claim.now) {
            Ok(outgoing) => outgoing,
            Err(error) => {
                tracing::error!(%error, code.id = %offer.code_id, "A mail cannot be made.");
                return Tried {
                    outcome: Outcome::Invalid,
                    reached: false,
                    reply: "the mail cannot be made".to_owned(),
                    taken_back: Vec::new(),
                };
            }
        };
        // Made only now: its silence is measured from here, and composing is no silence of the mail
        // server's.
        let attempt = Attempt::start(claim.lease.lease(), self.admission.answers());
        let transport = self.transport.now();
        let cx = trace::start(&transport, claim.claim_no);
        let sending = transport.send(&outgoing, &attempt).with_context(cx.clone());
        let attended = self
            .admission
            .attend(&mut slot, &attempt, sending, &self.cut);
        let sent = attended.await;
        // From here on nothing holds what the mail server said of the recipient.
        let reply = redact(&sent.reply, &offer.recipient, &offer.name, &offer.digits);
        // Before the ledger is told: the next mail need not wait for our database to get this
        // connection.
        self.admission.leave(slot, sent.ending, &reply);
        // Nothing is awaited between this and the record: what an earlier refusal wrote is written
        // before it is taken back.
        let (outcome, taken_back) = match self.refusals.note(offer, sent.ending, &reply) {
            Judgement::Final => (outcome_of(sent.ending), Vec::new()),
            Judgement::SaidOfAll(taken_back) => (Outcome::Unavailable, taken_back),
        };
        trace::end(&cx, &sent, outcome);
        self.metrics.attempt(outcome, started.elapsed());
        Tried {
            outcome,
            reached: attempt.reached(),
            reply,
            taken_back,
        }
    }

    async fn record(&self, offer: Arc<Offer>, claim: Claim, tried: Tried) -> Answer {
        let unknown_attempts =
            claim.unknown_attempts + u32::from(tried.outcome == Outcome::Unknown);
        let ended = Ended {
            offer,
            claim_no: claim.claim_no,
            outcome: tried.outcome,
            reply: tried.reply.clone(),
            taken_back: tried.taken_back.clone(),
            trace_id: trace::trace_id(&Context::current()),
        };
        // With the claim: until the outcome is written, its lease keeps others from sending.
        let at = self.outcomes.record(claim, ended).await;
        // After the record: a client that hears of it offers the mails again at once.
        self.refusals.tell_taken_back(tried.taken_back);
        Answer {
            outcome: Some(tried.outcome),
            accepted_at: (tried.outcome == Outcome::Accepted).then_some(at),
            retry_after: None,
            unknown_attempts,
            reached: tried.reached,
            reason: tried.reply,
        }
    }
}

/// Takes a step, unless the mail is given up first.
async fn unless<T>(
    given_up: Pin<&mut impl Future<Output = DeliverError>>,
    step: impl Future<Output = Result<T, DeliverError>>,
) -> Result<T, DeliverError> {
    tokio::select! {
        // Given up and done at once is given up: nothing may be claimed after the cut.
        biased;
        reason = given_up => Err(reason),
        done = step => done,
    }
}

fn outcome_of(ending: Ending) -> Outcome {
    match ending {
        Ending::Accepted => Outcome::Accepted,
        Ending::RecipientRefused(_) => Outcome::Rejected,
        Ending::NotNow(_) => Outcome::Unavailable,
        Ending::Unknown(_) => Outcome::Unknown,
    }
}
