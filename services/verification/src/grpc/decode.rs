//! Requests as what commands take. What cannot be decoded is refused here, by its field.

use kit::serve::uuid;
use proto::verification::{
    ConfirmCodeRequest, ResendCodeRequest, confirm_code_request, resend_code_request,
};
use tonic::Status;

use super::status::status;
use crate::{
    commands::{
        confirm_code::{ConfirmCodeError, GuessTarget},
        resend_code::{ResendCodeError, ResendTarget},
    },
    domain::{AddressKey, Digits},
};

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
