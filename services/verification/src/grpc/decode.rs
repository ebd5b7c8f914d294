//! Requests as what commands take. What cannot be decoded is refused here, by its field.

use kit::{
    clock::Timestamp,
    serve::{parse_uuid, uuid},
};
use proto::verification::{
    ConfirmCodeRequest, IssueCodeRequest, ResendCodeRequest, confirm_code_request,
    resend_code_request,
};
use tonic::Status;

use super::status::status;
use crate::{
    commands::{
        NewVerification,
        confirm_code::{ConfirmCodeError, GuessTarget},
        issue_first_code::IssueFirstCodeError,
        resend_code::{ResendCodeError, ResendTarget},
    },
    domain::{AddressKey, Digits, InvalidPerson, Person},
};

/// An account, and whether its mail is waited for.
pub(super) fn new_account(request: &IssueCodeRequest) -> Result<(NewVerification, bool), Status> {
    let account_id = parse_uuid(&request.account_id);
    let person = Person::parse(&request.email, &request.display_name, &request.locale);
    let created_at = request.account_created_at.as_ref();
    let created_at = created_at.and_then(Timestamp::from_proto);
    match (account_id, person, created_at) {
        (Ok(account_id), Ok(person), Some(account_created_at)) => {
            let new = NewVerification {
                account_id,
                person,
                account_created_at,
            };
            Ok((new, request.await_mail))
        }
        // All are parsed before any is refused: a caller learns all that is wrong at once.
        (account_id, person, created_at) => {
            let account_id = account_id.err();
            let mut violations = Vec::new();
            violations.extend(account_id.map(|why| ("account_id", why.to_string())));
            let person = person.map_err(InvalidPerson::violations);
            violations.extend(person.err().unwrap_or_default());
            let why = "expected a moment of the years 1 to 9999".to_owned();
            violations.extend(created_at.is_none().then_some(("account_created_at", why)));
            Err(status(IssueFirstCodeError::Invalid(violations)))
        }
    }
}

pub(super) fn guess(request: ConfirmCodeRequest) -> Result<(GuessTarget, Digits), Status> {
    use confirm_code_request::Target::{AccountId, CodeId};

    let invalid = |field, why: String| status(ConfirmCodeError::Invalid((field, why)));
    let target = match request.target {
        Some(AccountId(id)) => GuessTarget::Account(uuid("account_id", &id)?),
        Some(CodeId(id)) => GuessTarget::Code(uuid("code_id", &id)?),
        None => {
            let why = "expected an account_id or a code_id";
            return Err(invalid("target", why.to_owned()));
        }
    };
    let typed = Digits::parse(&request.code);
    let typed = typed.map_err(|error| invalid("code", error.to_string()))?;
    Ok((target, typed))
}

pub(super) fn asker(request: ResendCodeRequest) -> Result<ResendTarget, Status> {
    use resend_code_request::Target::{AccountId, Email};

    let invalid = |field, why: String| status(ResendCodeError::Invalid((field, why)));
    match request.target {
        Some(AccountId(id)) => Ok(ResendTarget::Account(uuid("account_id", &id)?)),
        Some(Email(email)) => {
            let address = AddressKey::parse(&email);
            let address = address.map_err(|error| invalid("email", error.to_string()))?;
            Ok(ResendTarget::Address(address))
        }
        None => {
            let why = "expected an account_id or an email";
            Err(invalid("target", why.to_owned()))
        }
    }
}
