//! Claims mails that are due and loads them: the cold path from the table to the delivery.

use kit::db::StoreError;

use super::{IssueCode, replace_keyless::replace_keyless};
use crate::{domain::Turn, queue::ClaimedMail, store};

#[derive(Debug, Clone)]
pub(crate) struct ClaimMails {
    pub(crate) issue: IssueCode,
}

/// Claimed mails, and whether the table may hold more of each turn that are due.
#[derive(Debug, Default)]
pub(crate) struct DueMails {
    pub(crate) mails: Vec<ClaimedMail>,
    pub(crate) more_first: bool,
    pub(crate) more_later: bool,
}

impl ClaimMails {
    /// Claims up to `first` due mails that were never tried and `later` that were. Claims fewer when there is less room
    /// in memory.
    pub(crate) async fn run(&self, first: usize, later: usize) -> Result<DueMails, StoreError> {
        let IssueCode {
            db,
            keys,
            rules,
            queue,
            ..
        } = &self.issue;
        // Before the claim: what has no room in memory would only hold its claim until it runs out.
        let mut room = queue.reserve(Turn::First, first);
        let mut later_room = queue.reserve(Turn::Later, later);
        if room.len() + later_room.len() == 0 {
            return Ok(DueMails::default());
        }
        let tx = db.write("claim mails").await?;
        let (now, lease) = (tx.now(), rules.lease);
        let first = store::mails::claim(&tx, lease, Turn::First, room.len() as u64).await?;
        let later = store::mails::claim(&tx, lease, Turn::Later, later_room.len() as u64).await?;
        let mut due = DueMails {
            mails: Vec::with_capacity(first.len() + later.len()),
            more_first: !first.is_empty() && first.len() == room.len(),
            more_later: !later.is_empty() && later.len() == later_room.len(),
        };
        let codes: Vec<_> = first.into_iter().chain(later).collect();
        let accounts = codes.iter().map(|code| code.account_id).collect();
        let verifications = store::verifications::find_all(&tx, accounts).await?;
        tx.commit().await?;
        for code in codes {
            let Some(verification) = verifications.get(&code.account_id) else {
                continue;
            };
            let Some(digits) = code.digits(keys) else {
                // Another transaction: the account's lock comes before its codes' everywhere.
                replace_keyless(&self.issue, &code).await?;
                continue;
            };
            let place = match code.mail_attempts {
                0 => room.take_one(),
                _ => later_room.take_one(),
            };
            due.mails.extend(
                place.map(|place| ClaimedMail::new(&code, verification, digits, now, place)),
            );
        }
        Ok(due)
    }
}
