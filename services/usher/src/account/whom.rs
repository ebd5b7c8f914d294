//! Whom a command means: an account's id, or its address.

use proto::accounts::ListAccountsRequest;

use super::list;
use crate::{
    exit::{Exit, Failure},
    session::Session,
};

/// The account's id. To find it by the address takes the operators' token: to others the services
/// do not tell who signed up.
pub(super) async fn id_of(whom: &str, session: &Session) -> Result<String, Failure> {
    if !whom.contains('@') {
        return Ok(whom.to_owned());
    }
    let wanted = ListAccountsRequest {
        email: whom.to_owned(),
        ..ListAccountsRequest::default()
    };
    let found = list::read(session, wanted, 1).await?;
    found
        .into_iter()
        .next()
        .map(|account| account.account_id)
        .ok_or_else(|| {
            Failure::new(Exit::NotFound, "No account has this address.")
                .hint("`usher account list` shows those that there are.")
        })
}
