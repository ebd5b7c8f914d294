//! Claims mails that are due and loads them: the cold path from the table to the delivery.

use kit::db::StoreError;

use super::{IssueCode, replace_keyless::replace_keyless};
use crate::{domain::Turn, queue::ClaimedMail, store};

#[derive(Debug, Clone)]
pub(crate) struct ClaimMails {
    pub(crate) issue: IssueCode,
}

impl ClaimMails {
    /// Claims up to `most` due mails, of them at most `most_later` that were tried before. Returns fewer when there
    /// is less room in memory.
    pub(crate) async fn run(
        &self,
        most: usize,
        most_later: usize,
    ) -> Result<Vec<ClaimedMail>, StoreError> {
        let IssueCode {
            db,
            keys,
            rules,
            queue,
            ..
        } = &self.issue;
        // Before the claim: what has no room in memory would only hold its claim until it runs out.
        let mut room = queue.reserve(most);
        if room.len() == 0 {
            return Ok(Vec::new());
        }
        let tx = db.write("claim mails").await?;
        let (now, lease) = (tx.now(), rules.lease);
        let mut codes = store::mails::claim(&tx, lease, Turn::First, room.len() as u64).await?;
        // Mails that were never tried come first: dead mailboxes come back again and again, and hold nobody up.
        let left = (room.len() - codes.len()).min(most_later);
        if left > 0 {
            codes.extend(store::mails::claim(&tx, lease, Turn::Later, left as u64).await?);
        }
        let accounts = codes.iter().map(|code| code.account_id).collect();
        let verifications = store::verifications::find_all(&tx, accounts).await?;
        tx.commit().await?;
        let mut mails = Vec::with_capacity(codes.len());
        for code in codes {
            let Some(verification) = verifications.get(&code.account_id) else {
                continue;
            };
            let Some(digits) = code.digits(keys) else {
                // Another transaction: the account's lock comes before its codes' everywhere.
                replace_keyless(&self.issue, &code).await?;
                continue;
            };
            let place = room.take_one();
            mails.extend(
                place.map(|place| ClaimedMail::new(&code, verification, digits, now, place)),
            );
        }
        Ok(mails)
    }
}
