//! Gives a pending mail whose code's key is gone the next code: its digits cannot be derived any
//! more.

use kit::db::{Db, StoreError};
use opentelemetry::Context;

use super::{IssueCode, issue_code::Occasion};
use crate::store::{self, Code, CodeState, MailState};

/// Replaces the code if it is still the account's newest and its mail still waits.
pub(super) async fn replace_keyless(
    db: &Db,
    issue: &IssueCode,
    code: &Code,
) -> Result<(), StoreError> {
    tracing::warn!(code.id = %code.id, key.id = code.key_id, "The key of a pending code is gone; it is replaced.");
    let account_id = code.account_id;
    let tx = db.write("replace a keyless code").await?;
    // Who has the account locked goes first: the next tick meets the code again if it is still so.
    let locked = store::verifications::lock_free(&tx, vec![account_id]).await?;
    let newest = store::codes::newest(&tx, account_id).await?;
    if let (true, Some(newest)) = (locked.contains_key(&account_id), newest)
        && newest.id == code.id
        && newest.state == CodeState::Live
        && newest.mail_state == MailState::Pending
    {
        // A trace of its own: nobody asked for this code.
        let occasion = Occasion {
            why: "its key is gone",
            context: Context::new(),
        };
        issue.replace(&tx, &newest, &occasion).await?;
    }
    Ok(tx.commit().await?)
}
