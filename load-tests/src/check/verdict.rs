//! The judgement: what was asked for against what there is. Pure, so that each way to lose somebody
//! has a test.

mod forgotten;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fmt,
    time::Duration,
};

use proto::verification::{Code, CodeState, MailState};
use serde::Serialize;

pub use self::forgotten::Forgotten;
use super::{
    guess::{Choice, Guess},
    seen::{Seen, Stored},
};
use crate::{
    load::{Answer, Asked},
    people::is_gone,
    sink::Accepted,
};

/// What became of everybody.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Verdict {
    /// Sign-ups that were answered with an account.
    pub acknowledged: usize,
    /// Sign-ups that were refused: nothing may be left of them.
    pub refused: usize,
    /// Sign-ups without an answer: their accounts may exist or not.
    pub unknown: usize,
    /// Accounts that exist.
    pub stored: usize,
    /// Accounts whose live or used code was mailed.
    pub mailed: usize,
    /// Accounts whose mailbox is gone, and whose end is recorded.
    pub rejected: usize,
    /// Accounts whose mail arrived while verification does not know it yet.
    pub unsettled: usize,
    /// Accounts that asked for their mail: two outcomes were unknown, and the third attempt is an
    /// hour away.
    pub asked_again: usize,
    /// Codes from mails that were tried.
    pub guessed: usize,
    /// Of those, the ones that people typed while the faults lasted.
    pub confirmed_meanwhile: usize,
    /// Accounts that somebody was promised or that exist, and that are not as they must be.
    pub lost: Vec<Finding>,
    /// Accounts and mails that nobody asked for.
    pub phantom: Vec<Finding>,
    /// Mails beyond an account's first, under the same Message-ID.
    pub doubled: usize,
    /// Of those, the ones that an unknown outcome explains.
    pub doubled_unknowable: usize,
    /// Codes of which more were mailed than unknown outcomes explain.
    pub doubled_without_reason: Vec<Finding>,
    /// Mails beyond an account's first, under another Message-ID.
    pub doubled_under_another_id: Vec<Finding>,
    /// Accounts whose news a dispatcher has lost that may lose it.
    pub forgotten: Forgotten,
    /// How long it took until nothing was owed any more.
    #[serde(skip)]
    pub settled_after: Duration,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Whose: an account's id, or an address.
    pub whose: String,
    /// The address that signed up, by which a run knows when that was; empty where nobody did.
    #[serde(skip)]
    pub address: String,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.whose, self.what)
    }
}

impl Verdict {
    /// Whether nothing was lost, invented or doubled without a reason.
    pub fn is_conserved(&self) -> bool {
        [
            &self.lost,
            &self.phantom,
            &self.doubled_without_reason,
            &self.doubled_under_another_id,
        ]
        .iter()
        .all(|findings| findings.is_empty())
    }
}

/// The codes that can be tried: of each account with one code that is live, as its first mail shows
/// it.
pub(super) fn codes(seen: &Seen, mails: &[Accepted]) -> Vec<Choice> {
    let first: HashMap<_, _> = mails
        .iter()
        // Of several mails under one code the first stays: the last one put in wins.
        .rev()
        .map(|mail| (mail.code_id(), mail))
        .collect();
    let choice = |account_id: &String| {
        let code = the_code(seen, account_id).ok()?;
        let mail = first.get(code.code_id.as_str())?;
        Some(Choice {
            account_id: account_id.clone(),
            code_id: code.code_id.clone(),
            code: mail.code.clone(),
            is_typed: false,
        })
    };
    seen.accounts.keys().filter_map(choice).collect()
}

/// Codes of which more than one mail was accepted.
pub(super) fn doubled_codes(mails: &[Accepted]) -> BTreeSet<&str> {
    let mut seen = HashSet::new();
    let doubled = mails.iter().filter(|mail| !seen.insert(mail.code_id()));
    doubled.map(Accepted::code_id).collect()
}

pub(super) fn judge(
    asked: &[Asked],
    seen: &Seen,
    mails: &[Accepted],
    is_ours: impl Fn(&str) -> bool,
) -> Verdict {
    let mut verdict = Verdict {
        stored: seen.accounts.len(),
        guessed: seen.guesses.len(),
        confirmed_meanwhile: seen.confirmed_meanwhile,
        asked_again: seen.asked_again.len(),
        ..Verdict::default()
    };
    for one in asked {
        match &one.answer {
            Answer::Refused(_) => verdict.refused += 1,
            Answer::Unknown(_) => verdict.unknown += 1,
            Answer::Acknowledged { account_id, .. } => {
                verdict.acknowledged += 1;
                match seen.accounts.get(account_id) {
                    Some(stored) if stored.address == one.address => {}
                    Some(_) => {
                        verdict.lose(account_id, &one.address, "acknowledged for another address");
                    }
                    None => {
                        let what = "acknowledged, but there is no such account";
                        verdict.lose(account_id, &one.address, what);
                    }
                }
            }
        }
    }
    let asked: HashMap<_, _> = asked
        .iter()
        .map(|one| (one.address.as_str(), one))
        .collect();
    let mut by_recipient: BTreeMap<&str, Vec<&Accepted>> = BTreeMap::new();
    for mail in mails.iter().filter(|mail| is_ours(&mail.recipient)) {
        by_recipient.entry(&mail.recipient).or_default().push(mail);
    }
    for (account_id, stored) in &seen.accounts {
        let asked = asked.get(stored.address.as_str()).copied();
        if let Some(what) = phantom(account_id, asked) {
            verdict.phantom.push(finding(account_id, what));
        }
        let mails = by_recipient.remove(stored.address.as_str());
        verdict.judge_account(account_id, stored, &mails.unwrap_or_default(), seen, asked);
    }
    for recipient in by_recipient.keys() {
        let what = "was mailed to, but has no account";
        verdict.phantom.push(finding(recipient, what));
    }
    verdict
}

/// Why an account should not exist.
fn phantom(account_id: &str, asked: Option<&Asked>) -> Option<&'static str> {
    match asked.map(|one| &one.answer) {
        None => Some("exists, but nobody signed up"),
        Some(Answer::Refused(_)) => Some("exists, but its sign-up was refused"),
        Some(Answer::Acknowledged {
            account_id: other, ..
        }) if other != account_id => Some("exists beside the acknowledged account of its address"),
        Some(_) => None,
    }
}

impl Verdict {
    fn judge_account(
        &mut self,
        account_id: &str,
        stored: &Stored,
        mails: &[&Accepted],
        seen: &Seen,
        asked: Option<&Asked>,
    ) {
        self.count_doubled(account_id, mails, seen);
        let codes = seen.verifications.get(account_id).map(|one| &one.codes);
        let is_its_own = |mail: &&&Accepted| {
            let mut codes = codes.into_iter().flatten();
            codes.any(|code| code.code_id == mail.code_id())
        };
        for mail in mails.iter().filter(|mail| !is_its_own(mail)) {
            let what = format!(
                "was mailed under {}, which is no code of it",
                mail.message_id
            );
            self.phantom.push(finding(account_id, what));
        }
        if seen.forgotten.contains(account_id) && self.forgotten.counts(asked) {
            return;
        }
        let code = match the_code(seen, account_id) {
            Ok(code) => code,
            Err(what) => return self.lose(account_id, &stored.address, what),
        };
        let mut its = mails.iter().filter(|mail| mail.code_id() == code.code_id);
        match (its.next(), code.mail_state()) {
            (None, MailState::Rejected) if is_gone(&stored.address) => self.rejected += 1,
            (None, state) => {
                let (attempts, state) = (code.mail_attempts, state.as_str_name());
                let what = format!("no mail arrived; {state} after {attempts} attempts");
                self.lose(account_id, &stored.address, what);
            }
            (Some(_), state) if !is_end_of_arrived(code.state(), state) => {
                let what = format!(
                    "its mail arrived, but is {}",
                    code.mail_state().as_str_name()
                );
                self.lose(account_id, &stored.address, what);
            }
            (Some(first), state) => {
                self.mailed += 1;
                self.unsettled += usize::from(state == MailState::Pending);
                if its.any(|mail| mail.code != first.code) {
                    let what = "two mails under one Message-ID show two codes";
                    self.lose(account_id, &stored.address, what);
                }
                self.judge_guess(account_id, stored, seen.guesses.get(account_id));
            }
        }
    }

    fn judge_guess(&mut self, account_id: &str, stored: &Stored, guess: Option<&Guess>) {
        match guess {
            Some(Guess::Answered(answer)) => {
                let what = format!("the code in its mail was answered {answer}");
                self.lose(account_id, &stored.address, what);
            }
            Some(Guess::Right) if !stored.verified => {
                let what = "its code was right, but it is not VERIFIED";
                self.lose(account_id, &stored.address, what);
            }
            _ => {}
        }
    }

    fn count_doubled(&mut self, account_id: &str, mails: &[&Accepted], seen: &Seen) {
        let mut by_id: BTreeMap<&str, usize> = BTreeMap::new();
        for mail in mails {
            *by_id.entry(mail.code_id()).or_default() += 1;
        }
        for (code_id, count) in &by_id {
            let more = count - 1;
            self.doubled += more;
            let unknown = seen.unknowable.get(*code_id).copied().unwrap_or(0);
            self.doubled_unknowable += more.min(unknown);
            if more > unknown {
                let what = format!("{count} mails, and a reason for {unknown} more than one");
                self.doubled_without_reason.push(finding(account_id, what));
            }
        }
        if by_id.len() > 1 {
            let what = format!("mails under {} Message-IDs", by_id.len());
            self.doubled_under_another_id
                .push(finding(account_id, what));
        }
    }

    fn lose(&mut self, account_id: &str, address: &str, what: impl Into<String>) {
        self.lost.push(Finding {
            address: address.to_owned(),
            ..finding(account_id, what)
        });
    }
}

/// Whether a mail that arrived may be in this state. Whoever types the code before its mail's outcome
/// is known leaves nothing to be known.
fn is_end_of_arrived(code: CodeState, mail: MailState) -> bool {
    match mail {
        MailState::Rejected | MailState::Undelivered => false,
        MailState::Obsolete => code == CodeState::Used,
        _ => true,
    }
}

fn finding(whose: &str, what: impl Into<String>) -> Finding {
    Finding {
        whose: whose.to_owned(),
        address: String::new(),
        what: what.into(),
    }
}

/// The one code of an account that confirms it or has confirmed it.
fn the_code<'s>(seen: &'s Seen, account_id: &str) -> Result<&'s Code, String> {
    let verification = seen.verifications.get(account_id);
    let verification = verification.ok_or("never reached verification")?;
    let codes = verification.codes.iter();
    let mut codes = codes.filter(|code| matches!(code.state(), CodeState::Live | CodeState::Used));
    let code = codes.next().ok_or("has no code that is live or used")?;
    match codes.count() {
        0 => Ok(code),
        more => Err(format!("has {} codes that are live or used", more + 1)),
    }
}

#[cfg(test)]
mod tests;
