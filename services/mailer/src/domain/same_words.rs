//! Notices a mail server that refuses everybody in the same words. Read alone, "no such user" is
//! about a mailbox; said of ten different ones in a row, with no acceptance between them, it is
//! about the way the server is set up. Then none of those refusals is final, and those that were
//! taken for final are taken back.

use std::collections::HashMap;

use uuid::Uuid;

use super::redact::REDACTED;

/// Different mailboxes in a row that make the same words a policy.
const MAILBOXES: usize = 10;
/// Different words that are remembered at once; and mails of one mailbox.
const MOST: usize = 64;

/// What one refusal in words turns out to be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// It is the mailbox.
    Final,
    /// It is said of everybody. These mails were refused for good in the same words, and are to be
    /// taken back.
    SaidOfAll(Vec<Uuid>),
}

/// What is said, of whom, since the last acceptance.
#[derive(Debug, Default)]
pub(crate) struct SameWords(HashMap<String, Series>);

#[derive(Debug, Default)]
struct Series {
    /// Keys of mails, by a hash of their mailbox.
    mailboxes: HashMap<Vec<u8>, Vec<Uuid>>,
    is_said_of_all: bool,
}

impl SameWords {
    /// A mail was accepted.
    pub(crate) fn accepted(&mut self) {
        // The server does serve some, so that what it says of others is about them.
        self.0.clear();
    }

    /// A mailbox was refused in words; `reply` is redacted.
    pub(crate) fn refused(&mut self, reply: &str, mailbox: Vec<u8>, mail: Uuid) -> Judgement {
        let words = words(reply);
        if self.0.len() >= MOST && !self.0.contains_key(&words) {
            // So many ways of saying no are no single one.
            self.0.clear();
        }
        let series = self.0.entry(words).or_default();
        if series.is_said_of_all {
            return Judgement::SaidOfAll(Vec::new());
        }
        let mails = series.mailboxes.entry(mailbox).or_default();
        if mails.len() < MOST {
            mails.push(mail);
        }
        if series.mailboxes.len() < MAILBOXES {
            return Judgement::Final;
        }
        series.is_said_of_all = true;
        let mut taken_back: Vec<Uuid> = series
            .mailboxes
            .drain()
            .flat_map(|(_, mails)| mails)
            .collect();
        // The order in which rows are locked everywhere.
        taken_back.sort_unstable();
        Judgement::SaidOfAll(taken_back)
    }
}

fn words(reply: &str) -> String {
    // Without what differs from mail to mail: addresses, and names with digits in them, as of a
    // session; else the same refusal would never be said twice.
    let said = reply.replace(REDACTED, " ").to_ascii_lowercase();
    let mut words = said.split_whitespace();
    let code = words.next().unwrap_or_default();
    let rest = words.filter(|word| !word.contains(|c: char| c.is_ascii_digit()));
    [code].into_iter().chain(rest).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refuse(same: &mut SameWords, reply: &str, mailbox: u8) -> Judgement {
        same.refused(reply, vec![mailbox], Uuid::from_u128(u128::from(mailbox)))
    }

    #[test]
    fn the_same_words_of_ten_mailboxes_in_a_row_are_no_refusal_of_any_of_them() {
        let mut same = SameWords::default();
        for mailbox in 1..10 {
            let reply = format!("550 <redacted> no such user here id={mailbox}f");
            assert_eq!(refuse(&mut same, &reply, mailbox), Judgement::Final);
        }
        let all = (1..=10).map(Uuid::from_u128).collect();
        let tenth = refuse(&mut same, "550 no such user here", 10);
        assert_eq!(tenth, Judgement::SaidOfAll(all));
        let next = refuse(&mut same, "550 no such user here", 11);
        assert_eq!(next, Judgement::SaidOfAll(Vec::new()));
        same.accepted();
        let later = refuse(&mut same, "550 no such user here", 12);
        assert_eq!(later, Judgement::Final);
    }

    #[test]
    fn one_mailbox_many_times_other_words_and_an_acceptance_in_between_are_refusals() {
        let mut same = SameWords::default();
        for _ in 0..100 {
            assert_eq!(refuse(&mut same, "550 no such user", 1), Judgement::Final);
        }
        for mailbox in 1..10 {
            assert_eq!(
                refuse(&mut same, "550 user unknown", mailbox),
                Judgement::Final
            );
        }
        for mailbox in 1..100 {
            same.accepted();
            assert_eq!(
                refuse(&mut same, "550 no such user", mailbox),
                Judgement::Final
            );
        }
    }
}
