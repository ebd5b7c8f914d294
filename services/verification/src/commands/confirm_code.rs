//! ConfirmCode: one guess, in one transaction that a cancelled call cannot cut. The guess is counted before it is
//! compared; a right one commits with its AccountVerified; the answer leaves after the commit.

use std::time::Duration;

use kit::{clock::Timestamp, db, telemetry::span};
use opentelemetry::Context;
use sea_orm::{DatabaseTransaction, DbErr};

use super::{Commands, Failed, Target};
use crate::{
    domain::{
        budget,
        digits::Digits,
        guess::{self, PER_ACCOUNT, PER_CODE, Settled, Standing, WINDOW},
    },
    events,
    store::{
        self, Code, CodeState, Verification,
        history::{Fact, What},
    },
};

/// The answer to a guess.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Confirmed {
    /// The code was right.
    Ok,
    /// It was wrong; so many guesses are left.
    Wrong(u32),
    /// The code's time is over.
    Expired,
    /// It was right once; so many guesses are left.
    Superseded(u32),
    /// No guess is taken for this long.
    Burnt(Duration),
    /// The account had been verified before.
    AlreadyVerified,
}

/// Why a guess was not judged; it was not counted either.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfirmError {
    /// There is no such account or code.
    #[error("unknown target")]
    Unknown,
    /// No code of this account has so many digits; its newest one has this many.
    #[error("another number of digits than the {0} of the code")]
    Malformed(i64),
    /// The key of the account's code is not in this process's key ring.
    #[error("the key `{0}` is not in the key ring")]
    KeyMissing(String),
    /// Anything else.
    #[error(transparent)]
    Failed(#[from] Failed),
}

impl From<DbErr> for ConfirmError {
    fn from(error: DbErr) -> Self {
        Self::Failed(error.into())
    }
}

/// What a counted guess was.
enum Guess {
    Right,
    Superseded,
    Wrong,
}

impl Commands {
    /// Judges one guess.
    pub(crate) async fn confirm_code(
        &self,
        target: Target,
        typed: Digits,
    ) -> Result<Confirmed, ConfirmError> {
        let this = self.clone();
        let context = Context::current();
        let judged = async move { this.judge(target, &typed, &context).await };
        db::detached(db::measured("confirm_code", judged)).await
    }

    async fn judge(
        &self,
        target: Target,
        typed: &Digits,
        context: &Context,
    ) -> Result<Confirmed, ConfirmError> {
        let account_id = self
            .account_of(target)
            .await?
            .ok_or(ConfirmError::Unknown)?;
        let tx = self.db.begin().await?;
        let now = self.db.now(&tx).await?;
        // From here on every other guess, resend and replacement of this account waits.
        let person = store::verifications::lock(&tx, account_id)
            .await?
            .ok_or(ConfirmError::Unknown)?;
        let code = store::codes::newest(&tx, account_id)
            .await?
            .ok_or(ConfirmError::Unknown)?;
        let older = store::codes::superseded(&tx, account_id).await?;
        let has_its_length = |code: &Code| usize::try_from(code.digits) == Ok(typed.count());
        if !has_its_length(&code) && !older.iter().any(has_its_length) {
            return Err(ConfirmError::Malformed(code.digits.into()));
        }
        let guesses = store::history::guesses(&tx, account_id, now - WINDOW, PER_ACCOUNT).await?;
        if let Some(settled) = standing(now, &person, &code, &guesses).settled() {
            return self.answer(&tx, now, &person, settled).await;
        }
        let digits = self
            .digits(&code)
            .ok_or_else(|| ConfirmError::KeyMissing(code.key_id.clone()))?;
        if !store::codes::take_guess(&tx, now, code.id, PER_CODE).await? {
            return self
                .answer(&tx, now, &person, Settled::Burnt(Duration::ZERO))
                .await;
        }
        let guess = if digits.matches(typed) {
            Guess::Right
        } else if older
            .iter()
            .filter_map(|code| self.digits(code))
            .any(|digits| digits.matches(typed))
        {
            Guess::Superseded
        } else {
            Guess::Wrong
        };
        let what = match guess {
            Guess::Right => return self.verify(tx, now, &code, context).await,
            Guess::Superseded => What::GuessSuperseded,
            Guess::Wrong => What::GuessWrong,
        };
        let left = count(&tx, now, &code, guesses.len(), what).await?;
        tx.commit().await?;
        self.watches.notify(&[account_id]);
        Ok(match guess {
            Guess::Superseded => Confirmed::Superseded(left),
            _ => Confirmed::Wrong(left),
        })
    }

    /// Marks code and account, and commits both with the event.
    async fn verify(
        &self,
        tx: DatabaseTransaction,
        now: Timestamp,
        code: &Code,
        context: &Context,
    ) -> Result<Confirmed, ConfirmError> {
        let account_id = code.account_id;
        store::codes::end(&tx, code.id, CodeState::Used).await?;
        store::verifications::mark_verified(&tx, now, account_id).await?;
        let (event, creation) =
            events::account_verified(self.clock.uuid_v7(), account_id, now, context);
        let room = self.outbox.reserve(1);
        let handovers = self.outbox.insert(&tx, now, vec![event], room).await?;
        tx.commit().await?;
        span::end(&creation);
        for handover in handovers {
            handover.deliver();
        }
        self.watches.notify(&[account_id]);
        tracing::info!(account.id = %account_id, "Account verified.");
        Ok(Confirmed::Ok)
    }

    /// An answer that the digits have no part in.
    async fn answer(
        &self,
        tx: &DatabaseTransaction,
        now: Timestamp,
        person: &Verification,
        settled: Settled,
    ) -> Result<Confirmed, ConfirmError> {
        Ok(match settled {
            Settled::AlreadyVerified => Confirmed::AlreadyVerified,
            Settled::Expired => Confirmed::Expired,
            Settled::Burnt(daily) => {
                // Another guess takes another code, and that takes a resend.
                let taken =
                    store::resends::taken(tx, &self.keys.blind("address", &person.address_key))
                        .await?;
                let ages: Vec<Duration> = taken.into_iter().map(|at| now.since(at)).collect();
                Confirmed::Burnt(daily.max(budget::next_after(&ages)))
            }
        })
    }
}

fn standing(now: Timestamp, person: &Verification, code: &Code, guesses: &[Timestamp]) -> Standing {
    let oldest = guesses
        .last()
        .filter(|_| guesses.len() >= PER_ACCOUNT as usize);
    Standing {
        verified: person.verified_at.is_some(),
        daily_limit_for: oldest.map(|oldest| (*oldest + WINDOW).since(now)),
        burnt: code.state == CodeState::Burnt,
        expired: code.expires_at <= now,
    }
}

/// Writes a counted guess down and burns the code with its last one. Returns how many are left.
async fn count(
    tx: &DatabaseTransaction,
    now: Timestamp,
    code: &Code,
    before: usize,
    what: What,
) -> Result<u32, DbErr> {
    let on_code = u32::try_from(code.guesses).unwrap_or(PER_CODE) + 1;
    let on_account = u32::try_from(before).unwrap_or(PER_ACCOUNT) + 1;
    let mut facts = vec![Fact::of_code(code.account_id, code.id, what)];
    if on_code >= PER_CODE {
        store::codes::end(tx, code.id, CodeState::Burnt).await?;
        facts.push(Fact::of_code(code.account_id, code.id, What::CodeBurnt));
    }
    store::history::append(tx, now, facts).await?;
    Ok(guess::left(on_code, on_account))
}
