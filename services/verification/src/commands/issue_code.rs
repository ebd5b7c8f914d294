//! Issues a code: an account's first, or the next one in the place of another. It joins the
//! transaction of the command that calls it, and that command hands the mail over after its commit.

use std::{sync::Arc, time::Duration};

use kit::{
    clock::Timestamp,
    db::{Db, Tx},
    keyring::KeyRing,
    propagation, random,
    watch::Watches,
};
use opentelemetry::Context;
use sea_orm::DbErr;
use uuid::Uuid;

use crate::{
    domain::{CodeLength, Digits, SALT_BYTES},
    queue::{ClaimedMail, Queue, Room},
    store::{
        self, Code, CodeState, MailState, Verification,
        history::{Fact, What},
    },
};

/// What new codes are like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CodeRules {
    pub(crate) length: CodeLength,
    /// How long a code confirms.
    pub(crate) lifetime: Duration,
    /// How long a claim on its mail holds.
    pub(crate) lease: Duration,
}

/// Why a code takes the place of another, and the trace that it belongs to.
#[derive(Debug)]
pub(super) struct Occasion {
    pub(super) why: &'static str,
    pub(super) context: Context,
}

/// What it takes to issue codes, for the commands that do.
#[derive(Debug, Clone)]
pub(crate) struct IssueCode {
    pub(crate) db: Db,
    pub(crate) keys: Arc<KeyRing>,
    pub(crate) rules: CodeRules,
    pub(crate) queue: Queue,
    pub(crate) watches: Watches<Uuid>,
}

impl IssueCode {
    /// A code as it is born: live, its mail due. If there is room in memory the row is born claimed
    /// and its mail comes with it; else the mail waits in the table until somebody claims it.
    pub(super) fn new_code(
        &self,
        tx: &Tx,
        verification: &Verification,
        number: i32,
        context: &Context,
        room: &mut Room,
    ) -> (Code, Option<ClaimedMail>) {
        let now = tx.now();
        let CodeRules {
            length,
            lifetime,
            lease,
        } = self.rules;
        let key = self.keys.newest();
        let (traceparent, tracestate) = propagation::to_traceparent(context);
        let mut code = Code {
            id: self.db.clock().uuid_v7(),
            account_id: verification.account_id,
            number,
            version: 1,
            key_id: key.id().to_owned(),
            length: length.get().into(),
            salt: random::bytes::<SALT_BYTES>().to_vec(),
            state: CodeState::Live,
            mail_state: MailState::Pending,
            created_at: now,
            expires_at: now + lifetime,
            expired_at: None,
            guesses: 0,
            mail_attempts: 0,
            mail_reached: false,
            accepted_at: None,
            next_attempt_at: now,
            scheduled_at: now,
            claim_no: 0,
            claimed_until: Timestamp(0),
            traceparent,
            tracestate,
        };
        let Some(place) = room.take_one() else {
            return (code, None);
        };
        code.claim_no = 1;
        code.claimed_until = now + lease;
        let digits = Digits::derive(key, code.id, &code.salt, length);
        let mail = ClaimedMail::new(tx, &code, verification, digits, place);
        (code, Some(mail))
    }

    /// Puts the next code in the place of the account's newest one, whose time is over or whose
    /// mail cannot be sent as it is. The caller holds the account's lock.
    pub(super) async fn replace(
        &self,
        tx: &Tx,
        verification: &Verification,
        newest: &Code,
        occasion: &Occasion,
        room: &mut Room,
    ) -> Result<Option<ClaimedMail>, DbErr> {
        // In this order: the database itself allows one live code an account.
        if newest.state == CodeState::Live {
            store::codes::end(tx, newest.id, CodeState::Superseded).await?;
            let superseded = Fact::of_code(newest, What::CodeSuperseded).because(occasion.why);
            store::history::append(tx, vec![superseded]).await?;
        }
        let (next, mail) =
            self.new_code(tx, verification, newest.number + 1, &occasion.context, room);
        store::codes::insert(tx, vec![next]).await?;
        Ok(mail)
    }

    /// To be called after the commit: hands the mails over, and tells whoever watches these
    /// accounts.
    pub(super) fn announce(&self, mails: Vec<ClaimedMail>, accounts: &[Uuid]) {
        self.queue.hand_over(mails);
        self.watches.notify(accounts);
    }
}
