//! Signs a person up. Sign-ups that arrive while a commit runs wait here and are committed together
//! by `group`; each caller then delivers its own account's event.

mod group;
mod keys;
mod sign_up;
mod wait;

use std::{pin::pin, sync::Arc};

use kit::{
    clock::Clock,
    db::Db,
    fail_point,
    group::{Group, Refused},
};
use opentelemetry::Context;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

pub(crate) use self::sign_up::CreateAccountError;
use self::{
    group::Writer,
    sign_up::{RequestId, SignUp, SignedUp},
    wait::Wait,
};
use super::{Account, MailOutcome};
use crate::{
    dispatch::EventDispatcher,
    domain::{FingerprintKey, IdempotencyKey, NewAccount},
};

/// A sign-up whose every part is well-formed.
#[derive(Debug, Clone)]
pub(crate) struct CreateAccount {
    account: NewAccount,
    key: Option<IdempotencyKey>,
}

impl CreateAccount {
    /// Parses a request and the idempotency key that came with it.
    pub(crate) fn parse(
        email: &str,
        display_name: &str,
        locale: &str,
        key: Option<&[u8]>,
    ) -> Result<Self, CreateAccountError> {
        let account = NewAccount::parse(email, display_name, locale);
        let key = key.map(IdempotencyKey::parse).transpose();
        match (account, key) {
            (Ok(account), Ok(key)) => Ok(Self { account, key }),
            // Both are parsed before either is refused: a caller learns all that is wrong at once.
            (account, key) => {
                let key = key.err().map(|why| ("idempotency-key", why.to_string()));
                let violations = account
                    .err()
                    .unwrap_or_default()
                    .into_iter()
                    .chain(key)
                    .collect();
                Err(CreateAccountError::Invalid(violations))
            }
        }
    }
}

/// How many sign-ups may wait, and how many share a transaction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) queue: usize,
    pub(crate) batch: usize,
}

/// The right to wait for room in the queue; over once the sign-up is committed.
#[derive(Debug)]
pub(crate) struct Turn(
    #[expect(dead_code, reason = "given back when it is dropped")] OwnedSemaphorePermit,
);

/// The way to sign people up. Clones share the queue; when all are gone, what is queued is
/// finished.
#[derive(Debug, Clone)]
pub(crate) struct SignUps {
    group: Group<SignUp, SignedUp>,
    events: Arc<dyn EventDispatcher>,
    /// Room for those that wait where others are refused.
    turns: Arc<Semaphore>,
    clock: Clock,
    fingerprints: FingerprintKey,
}

impl SignUps {
    /// Starts the worker that commits.
    pub(crate) fn start(
        db: Db,
        events: Arc<dyn EventDispatcher>,
        clock: Clock,
        fingerprints: FingerprintKey,
        limits: Limits,
    ) -> Self {
        let writer = Arc::new(Writer {
            db,
            events: Arc::clone(&events),
        });
        let write = move |sign_ups| Arc::clone(&writer).write(sign_ups);
        Self {
            group: Group::start(limits.queue, limits.batch, write, group::failed),
            events,
            // The other half is for those who come alone: a batch fills all that it may.
            turns: Arc::new(Semaphore::new(limits.queue.div_ceil(2))),
            clock,
            fingerprints,
        }
    }

    /// The right to wait for room in the queue, once there is such a right. Whoever brings many
    /// sign-ups takes one for each: so as few wait as are counted, and nobody has to be refused.
    pub(crate) async fn turn(&self) -> Turn {
        let permit = Arc::clone(&self.turns).acquire_owned().await;
        Turn(permit.expect("it is never closed"))
    }

    /// Stores the account, its event and its idempotency key in one transaction, and hands the
    /// event on; answers with the account and what is known of its mail by then. `caller` is the trace
    /// that the event belongs to. What cannot be committed before `deadline` is not written.
    pub(crate) async fn create(
        &self,
        command: CreateAccount,
        caller: Context,
        deadline: Instant,
    ) -> Result<(Account, MailOutcome), CreateAccountError> {
        self.sign_up(command, caller, deadline, None).await
    }

    /// The same for whom a full queue is to be waited for, until `deadline`.
    pub(crate) async fn create_in_turn(
        &self,
        turn: Turn,
        command: CreateAccount,
        caller: Context,
        deadline: Instant,
    ) -> Result<(Account, MailOutcome), CreateAccountError> {
        self.sign_up(command, caller, deadline, Some(turn)).await
    }

    async fn sign_up(
        &self,
        command: CreateAccount,
        caller: Context,
        deadline: Instant,
        turn: Option<Turn>,
    ) -> Result<(Account, MailOutcome), CreateAccountError> {
        let CreateAccount { account, key } = command;
        // First of all: an account whose event finds no place is not to be stored.
        let place = self.events.reserve().ok_or(CreateAccountError::Busy)?;
        let request = key.map(|key| RequestId {
            key: self.fingerprints.of_key(&key),
            fingerprint: self.fingerprints.of_request(&account),
        });
        // Made before the group: with the others or alone, it is written as the same account.
        let id = self.clock.uuid_v7();
        let wait = Arc::new(Wait::new(deadline));
        let sign_up = SignUp {
            id,
            account,
            request,
            caller,
            wait: Arc::clone(&wait),
            place,
        };
        let group = self.group.clone();
        // In a task of its own: a caller that hangs up after the commit must not keep the event
        // from its way.
        kit::db::detached(async move {
            let may_wait = turn.is_some();
            let submitting = async {
                match may_wait {
                    true => group.submit_in_turn(sign_up).await,
                    false => group.submit(sign_up).await,
                }
            };
            let mut submitted = pin!(submitting);
            let submitted = match timeout_at(wait.until(), &mut submitted).await {
                Ok(answer) => answer,
                // Told by its own timer, not by tonic's: after CANCELLED a caller cannot know what
                // became of it.
                Err(_) if wait.give_up() => return Err(CreateAccountError::Late),
                // It is being written: how that ends its transaction knows, and that has a limit.
                Err(_) => submitted.await,
            };
            let committed = match submitted {
                Ok(signed_up) => signed_up?,
                Err(Refused::Full) => return Err(CreateAccountError::Busy),
                Err(Refused::Stopped) => return Err(CreateAccountError::Stopping),
                Err(Refused::Lost) => return Err(CreateAccountError::Lost),
            };
            // It is no longer queued.
            drop(turn);
            // Not in the group: with a kind that waits for its mail all callers would wait for it.
            let mail = match committed.pending {
                Some(pending) => pending.deliver().await,
                None => MailOutcome::OnItsWay,
            };
            fail_point!("accounts/handed_over");
            Ok((committed.account, mail))
        })
        .await
    }
}
