//! Claims mails that are due and loads them: the cold path from the table to the delivery.

use kit::db::StoreError;

use super::{IssueCode, replace_keyless::replace_keyless};
use crate::{domain::Turn, queue::ClaimedMail, store};

/// How many mails may be claimed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) all: usize,
    /// Of them, that were never tried.
    pub(crate) first: usize,
    /// Of them, that were.
    pub(crate) later: usize,
}

/// Of which kind the table may hold more that are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MoreDue {
    pub(crate) first: bool,
    pub(crate) later: bool,
}

impl MoreDue {
    pub(crate) const NONE: Self = Self {
        first: false,
        later: false,
    };
    pub(crate) const BOTH: Self = Self {
        first: true,
        later: true,
    };

    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            first: self.first || other.first,
            later: self.later || other.later,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct ClaimMails {
    pub(crate) issue: IssueCode,
}

impl ClaimMails {
    /// Claims due mails, fewer than wanted when there is less room in memory. Where it claimed all
    /// that it might of a kind, there may be more of it.
    pub(crate) async fn run(
        &self,
        wanted: Wanted,
    ) -> Result<(Vec<ClaimedMail>, MoreDue), StoreError> {
        let IssueCode {
            db,
            keys,
            rules,
            queue,
            ..
        } = &self.issue;
        // Before the claim: what has no room in memory would only hold its claim until it runs out.
        let mut first_room = queue.reserve(Turn::First, wanted.first.min(wanted.all));
        let mut later_room = queue.reserve(Turn::Later, wanted.later.min(wanted.all));
        if first_room.len() + later_room.len() == 0 {
            return Ok((Vec::new(), MoreDue::NONE));
        }
        let tx = db.write("claim mails").await?;
        let (lease, first) = (rules.lease, first_room.len());
        // Mails that were never tried come first: dead mailboxes come back again and again, and
        // hold nobody up. Those have a share of their own, which the streams leave them.
        let mut codes = store::mails::claim(&tx, lease, Turn::First, first as u64).await?;
        let later = later_room.len().min(wanted.all - codes.len());
        let tried = store::mails::claim(&tx, lease, Turn::Later, later as u64).await?;
        let more = MoreDue {
            first: first > 0 && codes.len() == first,
            later: later > 0 && tried.len() == later,
        };
        codes.extend(tried);
        let accounts = codes.iter().map(|code| code.account_id).collect();
        let verifications = store::verifications::find_all(&tx, accounts).await?;
        let mut mails = Vec::with_capacity(codes.len());
        let mut keyless = Vec::new();
        for code in codes {
            let Some(verification) = verifications.get(&code.account_id) else {
                continue;
            };
            let Some(digits) = code.digits(keys) else {
                keyless.push(code);
                continue;
            };
            let place = match code.mail_attempts {
                0 => first_room.take_one(),
                _ => later_room.take_one(),
            };
            mails.extend(
                place.map(|place| ClaimedMail::new(&tx, &code, verification, digits, place)),
            );
        }
        tx.commit().await?;
        for code in keyless {
            // In another transaction: the account's lock comes before its codes' everywhere. One
            // that fails has its claim run out, and is met again; the others are not held up by it.
            if let Err(error) = replace_keyless(&self.issue, &code).await {
                tracing::warn!(%error, code.id = %code.id, "A code without a key was not replaced yet.");
            }
        }
        Ok((mails, more))
    }
}
