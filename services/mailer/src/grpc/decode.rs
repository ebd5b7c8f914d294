//! Checks an offered mail and turns it into the command; turns what became of it into a Result.

use kit::clock::Timestamp;
use proto::mailer::{Mail, Outcome as ProtoOutcome, Result as MailResult};
use uuid::Uuid;

use crate::{
    commands::deliver::{Answer, Deliver, Fate, Unusable},
    domain::{Digits, DisplayName, LocaleTag, Recipient, Turn},
};

/// The command, or why there is none.
pub(super) fn mail(mail: &Mail) -> Result<Deliver, Unusable> {
    let code_id = Uuid::try_parse(&mail.code_id).ok();
    let account_id = Uuid::try_parse(&mail.account_id).ok();
    let locale = LocaleTag::new(&mail.locale);
    let expires_at = mail.expires_at.as_ref().and_then(Timestamp::from_proto);
    let unusable = |reason| Unusable {
        code_id,
        account_id: account_id.unwrap_or_default(),
        locale: locale.clone(),
        expires_at,
        reason,
    };
    let name = DisplayName::parse(&mail.display_name);
    Ok(Deliver {
        code_id: code_id.ok_or_else(|| unusable("code_id: must be a UUID"))?,
        account_id: account_id.ok_or_else(|| unusable("account_id: must be a UUID"))?,
        recipient: Recipient::parse(&mail.email)
            .map_err(|_| unusable("email: is no address to send to"))?,
        name: name.map_err(|_| {
            unusable("display_name: is too long or has control characters or direction marks")
        })?,
        digits: Digits::parse(&mail.digits)
            .map_err(|_| unusable("digits: must be 6 to 10 digits"))?,
        expires_at: expires_at.ok_or_else(|| unusable("expires_at: must be a moment"))?,
        turn: if mail.attempt > 1 {
            Turn::Later
        } else {
            Turn::First
        },
        locale,
    })
}

/// The answer on the wire. The key goes back as it came.
pub(super) fn result(code_id: String, answer: Answer) -> MailResult {
    let (outcome, retry_after, accepted_at) = match answer.fate {
        Fate::Accepted(at) => (ProtoOutcome::Accepted, None, at),
        Fate::Ended(outcome) => (super::outcome(outcome), None, None),
        Fate::Later(after) => (ProtoOutcome::InFlight, Some(after), None),
    };
    MailResult {
        code_id,
        outcome: outcome.into(),
        retry_after: retry_after.and_then(|after| after.try_into().ok()),
        unknown_attempts: answer.unknown_attempts,
        reason: answer.reason,
        accepted_at: accepted_at.map(Into::into),
        reached: answer.reached,
    }
}
