//! Claims mails that are due and loads them: the cold path from the table to the delivery.

use std::time::Duration;

use kit::{
    db::{Db, StoreError},
    fail_point,
    watch::Watches,
};
use uuid::Uuid;

use super::ClaimedMail;
use crate::{code_keys::CodeKeys, domain::Turn, store};

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
    pub(crate) db: Db,
    pub(crate) keys: CodeKeys,
    /// How long a claim holds.
    pub(crate) lease: Duration,
    /// For what becomes of the claimed.
    pub(crate) watches: Watches<Uuid>,
}

impl ClaimMails {
    /// Claims due mails. Where it claimed all that it might of a kind, there may be more of it.
    pub(crate) async fn run(
        &self,
        wanted: Wanted,
    ) -> Result<(Vec<ClaimedMail>, MoreDue), StoreError> {
        // One ring for all of it: what is claimed can be derived.
        let ring = self.keys.ring();
        let keys: Vec<String> = ring.ids().map(str::to_owned).collect();
        let tx = self.db.write("claim mails").await?;
        // Mails that were never tried come first: dead mailboxes come back again and again, and
        // hold nobody up. Those have a share of their own, which the streams leave them.
        let first = wanted.first.min(wanted.all);
        let mut codes =
            store::mails::claim(&tx, self.lease, &keys, Turn::First, first as u64).await?;
        let later = wanted.later.min(wanted.all - codes.len());
        let tried = store::mails::claim(&tx, self.lease, &keys, Turn::Later, later as u64).await?;
        let more = MoreDue {
            // A full claim says that there may be more, a smaller one that there is none, or that
            // another replica has it.
            first: first > 0 && codes.len() == first,
            later: wanted.later > 0 && tried.len() == later,
        };
        codes.extend(tried);
        let accounts = codes.iter().map(|code| code.account_id).collect();
        // Without a lock: address, name and language of an account never change.
        let verifications = store::verifications::find_all(&tx, accounts).await?;
        let mut mails = Vec::with_capacity(codes.len());
        for code in codes {
            let verification = verifications.get(&code.account_id);
            if let (Some(verification), Some(digits)) = (verification, code.digits(&ring)) {
                mails.push(ClaimedMail::new(&tx, &code, verification, digits));
            }
        }
        tx.commit().await?;
        fail_point!("verification/claimed");
        Ok((mails, more))
    }
}
