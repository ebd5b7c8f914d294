//! Messages as arguments.

use kit::Violation;
use proto::accounts::AccountStatus;

use crate::commands::Status;

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
