//! Makes codes: an account's first, and the next one when a code is to be replaced. The mail goes on in memory where
//! there is room, and waits in the table where there is none.

use kit::{clock::Timestamp, propagation, random};
use opentelemetry::Context;
use sea_orm::{DatabaseTransaction, DbErr};
use uuid::Uuid;

use super::{Commands, Mail};
use crate::{
    domain::digits::{Digits, Length, SALT_BYTES},
    queue::Room,
    store::{
        self, Code, CodeState, MailState, Verification,
        history::{Fact, What},
        mails::Claim,
    },
};

impl Commands {
    /// A code's row as it is born: live, its mail due, claimed if `claimed`.
    pub(super) fn new_code(
        &self,
        now: Timestamp,
        account_id: Uuid,
        number: i32,
        context: &Context,
        claimed: bool,
    ) -> Code {
        let (traceparent, tracestate) = propagation::to_traceparent(context);
        Code {
            id: self.clock.uuid_v7(),
            account_id,
            number,
            version: 1,
            key_id: self.keys.newest().id().to_owned(),
            digits: i32::from(self.rules.length.get()),
            salt: random::bytes::<SALT_BYTES>().to_vec(),
            state: CodeState::Live,
            mail_state: MailState::Pending,
            created_at: now,
            expires_at: now + self.rules.lifetime,
            guesses: 0,
            mail_attempts: 0,
            mail_reached: false,
            accepted_at: None,
            next_attempt_at: now,
            claim_no: i32::from(claimed),
            lease_until: if claimed {
                now + self.rules.lease
            } else {
                Timestamp(0)
            },
            traceparent,
            tracestate,
        }
    }

    /// The digits of a code; none when its key is gone.
    pub(super) fn digits(&self, code: &Code) -> Option<Digits> {
        let length = Length::parse(code.digits.into())?;
        Some(Digits::derive(
            self.keys.get(&code.key_id)?,
            code.id,
            &code.salt,
            length,
        ))
    }

    /// A claimed code's mail, in a place of `room`; none when the code's key is gone or the room is used up.
    pub(super) fn mail(&self, code: &Code, person: &Verification, room: &mut Room) -> Option<Mail> {
        let digits = self.digits(code)?;
        Some(Mail {
            claim: Claim {
                code_id: code.id,
                claim_no: code.claim_no,
            },
            account_id: code.account_id,
            attempts: u32::try_from(code.mail_attempts).unwrap_or(0),
            email: person.email.clone(),
            display_name: person.display_name.clone(),
            locale: person.locale.clone(),
            digits,
            expires_at: code.expires_at,
            account_created_at: (code.number == 1).then_some(person.account_created_at),
            context: propagation::from_traceparent(&code.traceparent, &code.tracestate),
            _place: room.take()?,
        })
    }

    /// Puts the next code in the place of the account's newest one, whose time is over or whose mail cannot be sent
    /// as it is. The caller holds the account's lock, and hands the mail over after the commit.
    pub(super) async fn replace(
        &self,
        tx: &DatabaseTransaction,
        now: Timestamp,
        person: &Verification,
        newest: &Code,
        why: &str,
        context: &Context,
    ) -> Result<Option<Mail>, DbErr> {
        if newest.state == CodeState::Live {
            store::codes::end(tx, newest.id, CodeState::Superseded).await?;
            let superseded = Fact {
                detail: why.to_owned(),
                ..Fact::of_code(newest.account_id, newest.id, What::CodeSuperseded)
            };
            store::history::append(tx, now, vec![superseded]).await?;
        }
        let mut room = self.queue.reserve(1);
        let next = self.new_code(
            now,
            newest.account_id,
            newest.number + 1,
            context,
            room.len() > 0,
        );
        let mail = self.mail(&next, person, &mut room);
        store::codes::insert(tx, vec![next]).await?;
        Ok(mail)
    }
}
