//! Outcomes that are not recorded yet. Acceptances that come one after the other are recorded
//! together: at some hundred mails a second, a transaction each would cost as much as their codes.
//! Should this process die meanwhile, the mailer remembers what it did with each mail.

use std::time::Duration;

use kit::{company::Company, watch::Watches};
use tokio::time::Instant;
use uuid::Uuid;

use crate::{commands::record_outcomes::MailAttempt, domain::Outcome};

/// So many are worth a transaction at once.
const MANY: usize = 256;

#[derive(Debug)]
pub(super) struct Unrecorded {
    attempts: Vec<MailAttempt>,
    /// One of them decides what becomes of its mail next, or somebody waits for it.
    is_urgent: bool,
    /// What acceptances wait for.
    company: Company,
    watches: Watches<Uuid>,
}

impl Unrecorded {
    /// Of mails that are held for `lease`.
    pub(super) fn new(lease: Duration, watches: Watches<Uuid>) -> Self {
        Self {
            attempts: Vec::new(),
            is_urgent: false,
            company: Company::new(lease),
            watches,
        }
    }

    pub(super) fn add(&mut self, attempt: MailAttempt) {
        let may_wait = attempt.outcome == Outcome::Accepted;
        self.is_urgent |= !may_wait || self.watches.is_watched(&attempt.account_id);
        self.attempts.push(attempt);
    }

    /// Takes in what could not be recorded.
    pub(super) fn put_back(&mut self, batch: Vec<MailAttempt>) {
        self.is_urgent = true;
        self.attempts.extend(batch);
    }

    /// From now on nothing comes that could go along.
    pub(super) fn wait_no_more(&mut self) {
        self.company.wait_no_more();
    }

    /// When they are to be recorded; never while there are none.
    pub(super) fn due_at(&self) -> Option<Instant> {
        if self.attempts.is_empty() {
            return None;
        }
        let at_once = self.is_urgent || self.attempts.len() >= MANY;
        Some(match at_once {
            true => Instant::now(),
            false => self.company.due_at(),
        })
    }

    pub(super) fn are_due(&self) -> bool {
        self.due_at().is_some_and(|at| at <= Instant::now())
    }

    /// All of them, to be recorded now.
    pub(super) fn take(&mut self) -> Vec<MailAttempt> {
        self.is_urgent = false;
        self.company.part();
        std::mem::take(&mut self.attempts)
    }
}
