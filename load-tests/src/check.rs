//! The conservation check: once a run is over, waits until nothing is owed any more, asks the
//! system and whoever took its mails what there is, tries the codes, and judges. It sees what
//! callers and operators see: gRPC and mails, never a database.

mod ask;
mod guess;
mod seen;
mod verdict;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

use kit::clock::{Clock, Timestamp};
use proto::verification::{MailState, Verification};
use tokio::time::{Instant, sleep};

pub use guess::{Guess, Typed};
pub use seen::{Seen, Stored};
pub use verdict::{Finding, Forgotten, Verdict};

use crate::{load::Asked, mails::Mails, people::People, sink::Accepted, target::Target};
use ask::Asker;

/// Between two looks at what is still owed.
const LOOK: Duration = Duration::from_millis(500);
/// A mail that is due goes out within this time.
const DUE: Duration = Duration::from_secs(15);

/// Longer than `background` waits between two calls for one account while verification answers.
const QUEUED: Duration = Duration::from_secs(12);

/// How a run is checked.
#[derive(Debug)]
pub struct Check<'a> {
    /// Where the system is.
    pub target: &'a Target,
    /// Who signed up.
    pub people: &'a People,
    /// Whether the system is the run's own, so that whoever is not of this run is a phantom.
    pub whole: bool,
    /// Whether nothing befell the system: then only an answer that the sink lost explains a second
    /// mail. After faults it is an outcome that the mailer could not know, as the mailer says.
    pub faultless: bool,
    /// Whether a crash may lose the news of an account: then nothing is owed to whom verification does
    /// not know once nothing can be queued any more.
    pub forgetful: bool,
    /// How long nothing may get better while something is owed.
    pub patience: Duration,
    /// How long a mail that is tried again later is waited for.
    pub limit: Duration,
    /// How many codes are tried at most, chosen by the people's seed.
    pub guesses: usize,
    /// What people were answered who typed their codes before.
    pub typed: &'a Typed,
}

impl Check<'_> {
    /// Waits, asks, tries and judges.
    ///
    /// # Errors
    /// When the system does not answer for longer than the patience.
    pub async fn run(&self, asked: &[Asked], mails: &Mails) -> anyhow::Result<Verdict> {
        let asker = Asker::new(self.target, self.patience)?;
        let begin = Instant::now();
        let mut seen = self.settled(&asker, mails).await?;
        let settled_after = begin.elapsed();
        // What nobody owes may still come: the mails are counted last.
        seen.guesses = self.guess(&asker, &seen, mails).await?;
        seen.confirmed_meanwhile = self
            .typed
            .values()
            .flatten()
            .filter(|one| one.is_right())
            .count();
        self.see_verified(&asker, &mut seen).await?;
        let mails = mails.accepted().await?;
        for code_id in verdict::doubled_codes(&mails) {
            let unknown = match self.faultless {
                true => answers_lost(&mails, code_id),
                false => asker.unknown_attempts(code_id).await?,
            };
            seen.unknowable.insert(code_id.to_owned(), unknown);
        }
        let mut verdict = verdict::judge(asked, &seen, &mails, |address| self.is_ours(address));
        verdict.settled_after = settled_after;
        Ok(verdict)
    }

    fn is_ours(&self, address: &str) -> bool {
        self.whole || self.people.includes(address)
    }

    /// Waits until no mail is owed, or nothing gets better.
    async fn settled(&self, asker: &Asker, mails: &Mails) -> anyhow::Result<Seen> {
        let mut seen = Seen::default();
        let begin = Instant::now();
        let (mut fewest, mut better) = (usize::MAX, begin);
        loop {
            // Each time anew: a call that was given up may be stored a moment later.
            seen.accounts = self.ours(asker).await?;
            let is_settled = |seen: &Seen, account_id: &String| {
                let verification = seen.verifications.get(account_id);
                verification.is_some_and(is_settled)
            };
            let mut owed: Vec<_> = seen.accounts.keys().cloned().collect();
            owed.retain(|account_id| !is_settled(&seen, account_id));
            seen.verifications.extend(asker.verifications(&owed).await?);
            owed.retain(|account_id| !is_settled(&seen, account_id));
            // Whoever is to wait for longer than the limit, as after two unknown outcomes, asks for
            // the mail, as a person would.
            let late = Self::late(&seen, &owed, begin + self.limit);
            let arrived: HashSet<_> = mails
                .accepted()
                .await?
                .into_iter()
                .map(|mail| mail.recipient)
                .collect();
            for account_id in late {
                let has_mail = arrived.contains(&seen.accounts[&account_id].address);
                if has_mail {
                    // Verification does not know, and will not within the limit; the person has
                    // what is needed.
                    owed.retain(|one| *one != account_id);
                } else if seen.asked_again.insert(account_id.clone()) {
                    asker.ask_again(&account_id).await?;
                    better = Instant::now();
                }
            }
            if owed.is_empty() {
                return Ok(seen);
            }
            if owed.len() < fewest {
                (fewest, better) = (owed.len(), Instant::now());
            }
            let due = owed.iter().filter_map(|id| seen.verifications.get(id));
            let due = due
                .filter_map(due_in)
                .map(|wait| Instant::now() + wait + DUE);
            // A mail that waits for its time makes nothing better, and is not stuck either.
            let is_worth_waiting_for = due
                .max()
                .is_some_and(|due| Instant::now() < due && due < begin + self.limit);
            let forgotten = self.forgotten(&seen, &owed);
            let patience = match forgotten.len() == owed.len() {
                true => QUEUED.min(self.patience),
                false => self.patience,
            };
            if better.elapsed() > patience && !is_worth_waiting_for {
                seen.forgotten = forgotten;
                return Ok(seen);
            }
            sleep(LOOK).await;
        }
    }

    /// Those whose news may be lost: verification does not know them.
    fn forgotten(&self, seen: &Seen, owed: &[String]) -> HashSet<String> {
        let is_unknown = |id: &&String| self.forgetful && !seen.verifications.contains_key(*id);
        owed.iter().filter(is_unknown).cloned().collect()
    }

    /// Those whose mail is tried again only after `limit`.
    fn late(seen: &Seen, owed: &[String], limit: Instant) -> Vec<String> {
        let is_late = |account_id: &&String| {
            let verification = seen.verifications.get(*account_id);
            let wait = verification.and_then(due_in);
            wait.is_some_and(|wait| Instant::now() + wait > limit)
        };
        owed.iter().filter(is_late).cloned().collect()
    }

    async fn ours(&self, asker: &Asker) -> anyhow::Result<BTreeMap<String, Stored>> {
        let mut accounts = asker.accounts().await?;
        accounts.retain(|_, account| self.is_ours(&account.address));
        Ok(accounts)
    }

    async fn guess(
        &self,
        asker: &Asker,
        seen: &Seen,
        mails: &Mails,
    ) -> anyhow::Result<HashMap<String, Guess>> {
        let mails = mails.accepted().await?;
        let mut chosen = verdict::codes(seen, &mails);
        let mut known = HashMap::new();
        chosen.retain_mut(|choice| match self.typed.get(&choice.code_id) {
            Some(Some(guess)) => {
                known.insert(choice.account_id.clone(), guess.clone());
                false
            }
            typed => {
                choice.is_typed = typed.is_some();
                true
            }
        });
        guess::choose(&mut chosen, self.guesses, self.people.seed);
        known.extend(asker.guess(chosen).await?);
        Ok(known)
    }

    /// Waits until the news of each code that was right has reached its account.
    async fn see_verified(&self, asker: &Asker, seen: &mut Seen) -> anyhow::Result<()> {
        let deadline = Instant::now() + self.patience;
        loop {
            seen.accounts = self.ours(asker).await?;
            let mut right = seen.guesses.iter().filter(|(_, guess)| guess.is_right());
            let all = right.all(|(id, _)| seen.accounts.get(id).is_some_and(|one| one.verified));
            if all || Instant::now() > deadline {
                return Ok(());
            }
            sleep(LOOK).await;
        }
    }
}

fn answers_lost(mails: &[Accepted], code_id: &str) -> usize {
    let lost = |mail: &&Accepted| mail.is_answer_lost && mail.code_id() == code_id;
    mails.iter().filter(lost).count()
}

/// Whether no mail is owed: each code's mail has an end.
fn is_settled(verification: &Verification) -> bool {
    let mut codes = verification.codes.iter();
    !verification.codes.is_empty() && codes.all(|code| code.mail_state() != MailState::Pending)
}

/// How long until the next attempt at a mail that is owed; nothing where it is due.
fn due_in(verification: &Verification) -> Option<Duration> {
    let pending = verification.codes.iter();
    let pending = pending.filter(|code| code.mail_state() == MailState::Pending);
    let due = pending.filter_map(|code| code.next_attempt_at.as_ref());
    let due = due.filter_map(Timestamp::from_proto).max()?;
    let wait = due.since(Clock::default().now());
    (!wait.is_zero()).then_some(wait)
}
