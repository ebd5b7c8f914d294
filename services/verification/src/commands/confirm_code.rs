//! Judges one guess, in one transaction that a cancelled call cannot cut. The guess is counted
//! before it is compared; a right one commits with its AccountVerified; the answer leaves after the
//! commit.

use std::{sync::Arc, time::Duration};

use kit::{
    Violation,
    clock::Timestamp,
    db::{Db, StoreError, Tx, detached_within},
    fail_point,
    keyring::KeyRing,
    outbox::Outbox,
    telemetry::span,
    watch::Watches,
};
use opentelemetry::Context;
use sea_orm::DbErr;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::{
    code_keys::CodeKeys,
    domain::{
        Circumstances, Digits, Foregone, GUESS_WINDOW, GUESSES_PER_ACCOUNT, GUESSES_PER_CODE,
        asker_id, guesses_left, next_resend_after,
    },
    events,
    store::{
        self, Code, CodeState, Verification,
        history::{Fact, What},
    },
};

/// Whose code is guessed at: an account's newest, whichever code of it is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GuessTarget {
    Account(Uuid),
    Code(Uuid),
}

/// The answer to a guess.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Confirmed {
    Ok,
    /// So many guesses are left.
    Wrong(u32),
    Expired,
    /// It was right once; so many guesses are left.
    Superseded(u32),
    /// No guess is taken for this long.
    Burnt(Duration),
    AlreadyVerified,
}

/// Why a guess was not judged; it was not counted either.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum ConfirmCodeError {
    #[error("the request is malformed")]
    Invalid(Violation),
    #[error("there is no such account or code")]
    NotFound,
    /// No code of this account has so many digits; its newest one has this many.
    #[error("another number of digits than the {0} of the code")]
    OtherLength(i32),
    /// The newest code's key is not in this replica's ring: others may have it.
    #[error("the key `{0}` of the code is not known here")]
    KeyUnknown(String),
    #[error("too many guesses at once")]
    Busy,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<DbErr> for ConfirmCodeError {
    fn from(error: DbErr) -> Self {
        Self::Store(error.into())
    }
}

#[derive(Debug, Clone)]
pub(crate) struct ConfirmCode {
    pub(crate) db: Db,
    pub(crate) keys: CodeKeys,
    pub(crate) outbox: Outbox,
    pub(crate) watches: Watches<Uuid>,
    /// For guesses that are judged at once; shared with the wishes for another code.
    pub(crate) room: Arc<Semaphore>,
}

/// An account under its lock, as far as a guess needs it.
struct Guessed {
    verification: Verification,
    newest: Code,
    /// The newest superseded codes.
    superseded: Vec<Code>,
    /// When the guesses that count for the daily limit were made, newest first.
    counted: Vec<Timestamp>,
}

impl ConfirmCode {
    pub(crate) async fn run(
        &self,
        target: GuessTarget,
        typed: Digits,
    ) -> Result<Confirmed, ConfirmCodeError> {
        // In a task of its own: a caller that hangs up must not undo the counting of its guess.
        let this = self.clone();
        let caller = Context::current();
        let judging = async move { this.judge(target, &typed, &caller).await };
        let judged = detached_within(&self.room, judging).await;
        judged.unwrap_or(Err(ConfirmCodeError::Busy))
    }

    async fn judge(
        &self,
        target: GuessTarget,
        typed: &Digits,
        caller: &Context,
    ) -> Result<Confirmed, ConfirmCodeError> {
        let account_id = self.account_of(target).await?;
        let ring = self.keys.ring();
        let tx = self.db.write("confirm a code").await?;
        // From here on every other guess, resend and replacement of this account waits.
        let guessed = lock(&tx, account_id).await?;
        // Not counted: so many digits are no code of this account, and nothing is learnt by them.
        guessed.expect_length(typed)?;
        // Before the count: who is told this was not judged, and an attacker learns nothing about
        // the digits.
        if let Some(foregone) = guessed.circumstances(tx.now(), &ring).foregone() {
            let answer = answer(&tx, &ring, &guessed, foregone).await?;
            if answer == Confirmed::Expired {
                // What a person was told stays so, even if the clock is set back.
                store::codes::keep_expired(&tx, guessed.newest.id).await?;
                tx.commit().await?;
            }
            return Ok(answer);
        }
        let code = &guessed.newest;
        let Some(digits) = code.digits(&ring) else {
            return Err(ConfirmCodeError::KeyUnknown(code.key_id.clone()));
        };
        // Counted, then compared: a crash in between costs a guess, never gives one away. The
        // update is guarded, so that of guesses that come at once no more are compared than the
        // code takes.
        if !store::codes::take_guess(&tx, code.id, GUESSES_PER_CODE).await? {
            let burnt = Foregone::Burnt(Duration::ZERO);
            return Ok(answer(&tx, &ring, &guessed, burnt).await?);
        }
        if digits.matches(typed) {
            return Ok(self.verify(tx, code, caller).await?);
        }
        let was_right_once = guessed.is_superseded(typed, &ring);
        let what = if was_right_once {
            What::GuessSuperseded
        } else {
            What::GuessWrong
        };
        let left = count(&tx, &guessed, what).await?;
        tx.commit().await?;
        self.watches.notify(&[account_id]);
        Ok(match was_right_once {
            true => Confirmed::Superseded(left),
            false => Confirmed::Wrong(left),
        })
    }

    async fn account_of(&self, target: GuessTarget) -> Result<Uuid, ConfirmCodeError> {
        match target {
            // It need not exist: under the lock it is looked at in any case.
            GuessTarget::Account(account_id) => Ok(account_id),
            GuessTarget::Code(code_id) => {
                let found = store::codes::account_of(self.db.reader(), code_id).await?;
                found.ok_or(ConfirmCodeError::NotFound)
            }
        }
    }

    /// Marks code and account, and commits both with the event.
    async fn verify(&self, tx: Tx, code: &Code, caller: &Context) -> Result<Confirmed, DbErr> {
        let account_id = code.account_id;
        store::codes::end(&tx, code.id, CodeState::Used).await?;
        store::verifications::mark_verified(&tx, account_id).await?;
        let id = self.db.clock().uuid_v7();
        let (event, creation) = events::account_verified(id, account_id, tx.now(), caller);
        // Before the insert: the row is born claimed only if the relay is going to get it.
        let room = self.outbox.reserve(1);
        let handovers = self.outbox.insert(&tx, vec![event], room).await?;
        fail_point!("verification/judged");
        tx.commit().await?;
        fail_point!("verification/confirmed");
        span::end(&creation);
        // After the commit: an event of a confirmation that was rolled back must never leave.
        for handover in handovers {
            handover.deliver();
        }
        self.watches.notify(&[account_id]);
        tracing::info!(account.id = %account_id, "Account verified.");
        Ok(Confirmed::Ok)
    }
}

/// An answer that the digits have no part in.
async fn answer(
    tx: &Tx,
    ring: &KeyRing,
    guessed: &Guessed,
    foregone: Foregone,
) -> Result<Confirmed, DbErr> {
    Ok(match foregone {
        Foregone::AlreadyVerified => Confirmed::AlreadyVerified,
        Foregone::Expired => Confirmed::Expired,
        Foregone::Burnt(daily) => {
            // Another guess takes another code, and that takes a resend.
            let subject = asker_id(ring, "address", &guessed.verification.address_key);
            let ages = store::resends::ages(tx, &subject).await?;
            Confirmed::Burnt(daily.max(next_resend_after(&ages)))
        }
    })
}

async fn lock(tx: &Tx, account_id: Uuid) -> Result<Guessed, ConfirmCodeError> {
    let verification = store::verifications::lock(tx, account_id).await?;
    let newest = store::codes::newest(tx, account_id).await?;
    let (Some(verification), Some(newest)) = (verification, newest) else {
        return Err(ConfirmCodeError::NotFound);
    };
    let superseded = store::codes::superseded(tx, account_id).await?;
    let since = tx.now() - GUESS_WINDOW;
    // By the account, not by the code: a resend must not give new guesses.
    let counted = store::history::guesses(tx, account_id, since, GUESSES_PER_ACCOUNT).await?;
    Ok(Guessed {
        verification,
        newest,
        superseded,
        counted,
    })
}

impl Guessed {
    fn expect_length(&self, typed: &Digits) -> Result<(), ConfirmCodeError> {
        let has_its_length = |code: &Code| usize::try_from(code.length) == Ok(typed.count());
        if has_its_length(&self.newest) || self.superseded.iter().any(has_its_length) {
            return Ok(());
        }
        Err(ConfirmCodeError::OtherLength(self.newest.length))
    }

    fn is_superseded(&self, typed: &Digits, ring: &KeyRing) -> bool {
        // Only after the guess is counted: it is as good a guess as any other. A code whose key is
        // gone matches nothing.
        let mut derived = self.superseded.iter().filter_map(|code| code.digits(ring));
        derived.any(|digits| digits.matches(typed))
    }

    fn circumstances(&self, now: Timestamp, ring: &KeyRing) -> Circumstances {
        let is_full = self.counted.len() >= GUESSES_PER_ACCOUNT as usize;
        // Once the oldest of them leaves the window there is room for one more.
        let oldest = self.counted.last().filter(|_| is_full);
        Circumstances {
            verified: self.verification.verified_at.is_some(),
            daily_limit_for: oldest.map(|oldest| (*oldest + GUESS_WINDOW).since(now)),
            burnt: self.newest.state == CodeState::Burnt,
            // With its key a code's time is over, too: no digits can be right any more.
            expired: self.newest.expires_at <= now || ring.is_retired(&self.newest.key_id),
        }
    }
}

/// Writes a counted guess down and burns the code with its last one. Returns how many are left.
async fn count(tx: &Tx, guessed: &Guessed, what: What) -> Result<u32, DbErr> {
    let Guessed {
        newest: code,
        counted,
        ..
    } = guessed;
    let on_code = u32::try_from(code.guesses).unwrap_or(GUESSES_PER_CODE) + 1;
    let on_account = u32::try_from(counted.len()).unwrap_or(GUESSES_PER_ACCOUNT) + 1;
    let mut facts = vec![Fact::of_code(code, what)];
    if on_code >= GUESSES_PER_CODE {
        store::codes::end(tx, code.id, CodeState::Burnt).await?;
        facts.push(Fact::of_code(code, What::CodeBurnt));
    }
    store::history::append(tx, facts).await?;
    Ok(guesses_left(on_code, on_account))
}
