//! Whom a dispatcher forgot that may forget, by what their callers know.

use proto::accounts::MailOutcome;
use serde::Serialize;

use crate::load::{Answer, Asked};

/// Accounts that exist, and that verification never heard of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Forgotten {
    /// Their callers were answered as if all was well.
    pub lost: usize,
    /// Their callers were told that nobody knows of the mail.
    pub told: usize,
    /// Their callers had no answer.
    pub unanswered: usize,
}

impl Forgotten {
    /// Counts whoever asked for it, unless verification had the account by what the caller was told.
    pub(super) fn counts(&mut self, asked: Option<&Asked>) -> bool {
        let counted = match asked.map(|one| &one.answer) {
            Some(Answer::Acknowledged { mail, .. }) => match mail {
                MailOutcome::Unspecified => &mut self.lost,
                MailOutcome::Unknown => &mut self.told,
                MailOutcome::Accepted | MailOutcome::Pending | MailOutcome::Rejected => {
                    return false;
                }
            },
            _ => &mut self.unanswered,
        };
        *counted += 1;
        true
    }
}
