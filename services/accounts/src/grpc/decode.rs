//! Messages as arguments.

use kit::Violation;
use proto::accounts::{AccountStatus, CreateAccountRequest, CreateAccountsRequest};

use crate::commands::{
    Status,
    create_account::{CreateAccount, CreateAccountError},
};

/// Octets of an item's name.
const LONGEST_ITEM_ID: usize = 64;

/// Which accounts a list is to hold; `None` means all.
pub(super) fn status(number: i32) -> Result<Option<Status>, Violation> {
    match AccountStatus::try_from(number) {
        Ok(AccountStatus::Unspecified) => Ok(None),
        Ok(AccountStatus::Pending) => Ok(Some(Status::Pending)),
        Ok(AccountStatus::Verified) => Ok(Some(Status::Verified)),
        // A newer caller asks for what is not known here: everything would be no answer to that.
        Err(_) => Err((
            "status",
            "must be a status that this version knows".to_owned(),
        )),
    }
}

/// One of many sign-ups: the name that its result is to bear, and the command.
pub(super) fn item(
    request: CreateAccountsRequest,
) -> (String, Result<CreateAccount, CreateAccountError>) {
    let CreateAccountsRequest {
        mut item_id,
        idempotency_key,
        account,
    } = request;
    let CreateAccountRequest {
        email,
        display_name,
        locale,
    } = account.unwrap_or_default();
    let key = Some(idempotency_key.as_bytes()).filter(|key| !key.is_empty());
    let command = CreateAccount::parse(&email, &display_name, &locale, key);
    if (1..=LONGEST_ITEM_ID).contains(&item_id.len()) {
        return (item_id, command);
    }
    // A result is kept for its caller, and an item may be long.
    item_id.truncate(item_id.floor_char_boundary(LONGEST_ITEM_ID));
    let mut violations = vec![("item_id", "must have 1 to 64 octets".to_owned())];
    if let Err(CreateAccountError::Invalid(others)) = command {
        violations.extend(others);
    }
    (item_id, Err(CreateAccountError::Invalid(violations)))
}
