//! Requests as what commands take. What cannot be decoded is refused here, by its field.

use kit::serve::{invalid_argument, uuid};
use proto::verification::{
    ConfirmCodeRequest, ResendCodeRequest, confirm_code_request, resend_code_request,
};
use tonic::Status;

use crate::{
    commands::{confirm_code::GuessTarget, resend_code::ResendTarget},
    domain::{AddressKey, Digits},
};

pub(super) fn guess(request: ConfirmCodeRequest) -> Result<(GuessTarget, Digits), Status> {
    use confirm_code_request::Target::{AccountId, CodeId};

    let target = match request.target {
        Some(AccountId(id)) => GuessTarget::Account(uuid("account_id", &id)?),
        Some(CodeId(id)) => GuessTarget::Code(uuid("code_id", &id)?),
        None => return Err(invalid("target", &"expected an account_id or a code_id")),
    };
    match Digits::parse(&request.code) {
        Ok(typed) => Ok((target, typed)),
        Err(error) => Err(invalid("code", &error)),
    }
}

pub(super) fn asker(request: ResendCodeRequest) -> Result<ResendTarget, Status> {
    use resend_code_request::Target::{AccountId, Email};

    match request.target {
        Some(AccountId(id)) => Ok(ResendTarget::Account(uuid("account_id", &id)?)),
        Some(Email(email)) => match AddressKey::parse(&email) {
            Ok(address) => Ok(ResendTarget::Address(address)),
            Err(error) => Err(invalid("email", &error)),
        },
        None => Err(invalid("target", &"expected an account_id or an email")),
    }
}

fn invalid(field: &'static str, why: &impl ToString) -> Status {
    invalid_argument(&[(field, why.to_string())])
}
