//! Issues a code: an account's first, or the next one in the place of another. It joins the
//! transaction of the command that calls it.

use std::time::Duration;

use kit::{clock::Timestamp, db::Tx, propagation, random};
use opentelemetry::Context;
use sea_orm::DbErr;
use uuid::Uuid;

use crate::{
    code_keys::CodeKeys,
    domain::{CodeLength, SALT_BYTES},
    store::{
        self, Code, CodeState, MailState,
        history::{Fact, What},
    },
};

/// What new codes are like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CodeRules {
    pub(crate) length: CodeLength,
    /// How long a code confirms.
    pub(crate) lifetime: Duration,
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
    pub(crate) keys: CodeKeys,
    pub(crate) rules: CodeRules,
}

impl IssueCode {
    /// A code as it is born: live, its mail due and free for whoever claims it.
    pub(super) fn new_code(
        &self,
        tx: &Tx,
        account_id: Uuid,
        number: i32,
        context: &Context,
    ) -> Code {
        let now = tx.now();
        let CodeRules { length, lifetime } = self.rules;
        let (traceparent, tracestate) = propagation::to_traceparent(context);
        Code {
            id: tx.uuid_v7(),
            account_id,
            number,
            version: 1,
            // Remembered, so that a newer key does not change the digits of what was sent.
            key_id: self.keys.ring().in_use().id().to_owned(),
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
        }
    }

    /// Puts the next code in the place of the account's newest one, whose time is over or whose
    /// mail cannot be sent as it is. The caller holds the account's lock.
    pub(super) async fn replace(
        &self,
        tx: &Tx,
        newest: &Code,
        occasion: &Occasion,
    ) -> Result<(), DbErr> {
        // In this order: the database itself allows one live code an account.
        if newest.state == CodeState::Live {
            store::codes::end(tx, newest.id, CodeState::Superseded).await?;
            let superseded = Fact::of_code(newest, What::CodeSuperseded).because(occasion.why);
            store::history::append(tx, vec![superseded]).await?;
        }
        let next = self.new_code(tx, newest.account_id, newest.number + 1, &occasion.context);
        store::codes::insert(tx, vec![next]).await
    }
}
