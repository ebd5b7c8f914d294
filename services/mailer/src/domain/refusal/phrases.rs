//! The phrases by which servers say whom a refusal is about; `refusal` weighs them.

use super::Concern;

/// Phrases as `Words` finds them: a space stands at both ends where the whole word is meant, else
/// its beginning.
const SENDER: [&str; 4] = [" sender", " mail from ", " return path", " envelope from "];
const RELAY: [&str; 3] = [" relay", " rcpthosts", " gateway "];
/// What takes a status about a mailbox back.
pub(super) const OUR_ADDRESS: [&str; 3] = [" sender address", " sender rejected", " sender denied"];
pub(super) const NO_RELAY: [&str; 5] = [
    " relaying",
    " relay access",
    " relay denied",
    " not relay",
    " relay not",
];
const LOGIN: [&str; 5] = [
    " authenticat",
    " auth ",
    " login",
    " log in ",
    " credentials",
];
const REPUTATION: [&str; 13] = [
    " spam",
    " block",
    " black list",
    " blacklist",
    " denylist",
    " blocklist",
    " listed",
    " reputation",
    " abus",
    " banned",
    " dnsbl",
    " rbl ",
    " bulk ",
];
const SIZE: [&str; 4] = [" too large", " too big", " size ", " message length"];
const POLICY: [&str; 22] = [
    " policy",
    " policies",
    " permitted",
    " permission",
    " access denied",
    " authorized",
    " authorised",
    " unauthori",
    " administrative",
    " prohibit",
    " spf ",
    " dkim ",
    " dmarc ",
    " rdns ",
    " reverse dns",
    " ptr ",
    " helo ",
    " ehlo ",
    " tls ",
    " too many",
    " rate ",
    " weren't sent",
];
pub(super) const FULL: [&str; 4] = [" full ", " quota", " storage", " insufficient"];
// Not among them: "invalid recipient". OpenSMTPD says it of a mailbox that it has not, and in the same
// words where it does not relay for us.
pub(super) const MAILBOX: [&str; 41] = [
    " user unknown ",
    " unknown user",
    " unknown recipient",
    " recipient unknown ",
    " unknown mailbox",
    " mailbox unknown ",
    " unknown address",
    " address unknown ",
    " unknown local part",
    " no such user",
    " no such recipient",
    " no such mailbox",
    " no such address",
    " no such person",
    " no such account",
    " no such local",
    " mailbox unavailable",
    " mailbox not found",
    " mailbox name not allowed",
    " mailbox disabled",
    " mailbox is disabled",
    " mailbox inactive",
    " mailbox is inactive",
    " mailbox does not exist",
    " mailbox doesn't exist",
    " no mailbox here",
    " user not found",
    " user not local",
    " user does not exist",
    " user doesn't exist",
    " user doesn't have",
    " recipient not found",
    " recipient does not exist",
    " invalid mailbox",
    " account disabled",
    " account has been disabled",
    " account does not exist",
    " unrouteable address",
    " @ unknown ",
    " @ not found ",
    " @ does not exist ",
];

/// What a reply says, in lower case, without numbers and with `@` for an address: a name in one
/// must not pass for a reason. A space stands around each word.
pub(super) struct Words(String);

impl Words {
    /// `address` is the recipient's local part and domain; servers repeat either of them alone.
    pub(super) fn of(text: &str, address: [&str; 2]) -> Self {
        let mut words = String::from(" ");
        let text = text.to_lowercase().replace('\u{2019}', "'");
        for word in text.split_whitespace() {
            let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
            if word.contains('@') || address.iter().any(|part| bare.eq_ignore_ascii_case(part)) {
                words.push_str("@ ");
                continue;
            }
            for part in word.split(|c: char| !(c.is_alphanumeric() || c == '\'')) {
                if part.contains(char::is_alphabetic) {
                    words.push_str(part);
                    words.push(' ');
                }
            }
        }
        Self(words)
    }

    pub(super) fn any(&self, phrases: &[&str]) -> bool {
        phrases.iter().any(|phrase| self.0.contains(phrase))
    }

    /// What else than the mailbox they speak of.
    pub(super) fn concern(&self) -> Option<Concern> {
        let lists: [(&[&str], Concern); 6] = [
            (&SENDER, Concern::Sender),
            (&RELAY, Concern::Relay),
            (&LOGIN, Concern::Login),
            (&REPUTATION, Concern::Reputation),
            (&SIZE, Concern::Size),
            (&POLICY, Concern::Policy),
        ];
        let mut found = lists.into_iter().filter(|(phrases, _)| self.any(phrases));
        found.next().map(|(_, concern)| concern)
    }
}
