//! What a negative reply means for a mail: this mailbox will never take it, or not now, and then
//! whose business that is. `docs/smtp-replies.md` has the table with its sources, and a test reads
//! it. `transport` asks; `deliver` acts.

mod phrases;

use self::phrases::{FULL, MAILBOX, NO_RELAY, OUR_ADDRESS, Words};
use super::reply::{EnhancedStatus, Reply};

/// The exchanges that send a mail, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exchange {
    Mail,
    Rcpt,
    Data,
    /// The message and its final dot.
    Message,
}

/// A negative reply's meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// This mailbox does not take mail, for good.
    Mailbox(Ground),
    /// It may be otherwise soon: what is transient by its code, and a full mailbox.
    Later,
    /// A permanent reply that speaks of something else. It may be otherwise once somebody has seen
    /// to it.
    Policy(Concern),
}

/// What a refusal of the mailbox is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ground {
    /// Its enhanced status.
    Status,
    /// Its words: a relay that is set up wrongly may say the same of everybody.
    Words,
}

/// What a permanent refusal is about when it is not about the mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Concern {
    /// It does not relay for us.
    Relay,
    /// It does not want our sender.
    Sender,
    /// It wants a login.
    Login,
    /// It takes us, or the mail, for spam.
    Reputation,
    /// The message is too large.
    Size,
    /// Another rule of its own.
    Policy,
    /// It does not say.
    Unclear,
}

impl Concern {
    /// One word for logs and the table of replies.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Relay => "relay",
            Self::Sender => "sender",
            Self::Login => "login",
            Self::Reputation => "reputation",
            Self::Size => "size",
            Self::Policy => "policy",
            Self::Unclear => "unclear",
        }
    }

    /// What operators can do.
    pub(crate) fn advice(self) -> &'static str {
        match self {
            Self::Relay => {
                "it does not relay for us: see USHER_MAIL_URL (another server, or a login), or let it relay for this host"
            }
            Self::Sender => "it does not take our sender: see USHER_MAIL_FROM",
            Self::Login => "it wants a login: see user and password in USHER_MAIL_URL",
            Self::Reputation => {
                "it takes us for a source of spam: see its block list, SPF, DKIM and USHER_MAIL_FROM"
            }
            Self::Size => "it does not take a message of this size: raise its limit",
            Self::Policy => {
                "a rule of its own forbids it: see its log, USHER_MAIL_FROM and USHER_MAIL_URL"
            }
            Self::Unclear => "it does not say why: see its log and USHER_MAIL_URL",
        }
    }
}

/// Reads a negative reply.
pub(crate) fn refusal(exchange: Exchange, reply: &Reply, address: [&str; 2]) -> Refusal {
    let words = Words::of(&reply.text(), address);
    let (code, status) = (reply.code, reply.status());
    let concern = concern(code, status, &words);
    let named = match exchange {
        // One recipient a mail: what the answer to the message says of a mailbox, it says of this
        // one. But only RCPT is sure to have it in mind where there are no more than words.
        Exchange::Rcpt | Exchange::Message if is_of_mailbox(code, status) => Some(Ground::Status),
        Exchange::Rcpt if speak_of_mailbox(code, status, &words) => Some(Ground::Words),
        Exchange::Mail | Exchange::Rcpt | Exchange::Data | Exchange::Message => None,
    };
    let full = matches!(status, Some(EnhancedStatus(_, 2, 2))) || words.any(&FULL);
    match (named, concern) {
        _ if code < 500 => Refusal::Later,
        // Some say 5.1.1 of the sender's address, too, or of a domain that they do not relay to.
        (Some(Ground::Status), Some(Concern::Sender)) if words.any(&OUR_ADDRESS) => policy(concern),
        (Some(Ground::Status), Some(Concern::Relay)) if words.any(&NO_RELAY) => policy(concern),
        // Permanent is only what is said about this mailbox: a relay that is set up wrongly answers
        // everybody with 5yz, and nobody's mail may be lost to that.
        (Some(ground), _) => Refusal::Mailbox(ground),
        (None, _) if full && exchange != Exchange::Mail => Refusal::Later,
        (None, _) => policy(concern),
    }
}

fn policy(concern: Option<Concern>) -> Refusal {
    Refusal::Policy(concern.unwrap_or(Concern::Unclear))
}

/// Bad mailbox, bad address, moved, no mail here (RFC 7505), disabled.
fn is_of_mailbox(code: u16, status: Option<EnhancedStatus>) -> bool {
    let of_mailbox = matches!(
        status,
        Some(EnhancedStatus(5, 1, 1 | 3 | 6 | 10) | EnhancedStatus(5, 2, 1))
    );
    of_mailbox && !is_of_session(code)
}

/// Where there is no enhanced status, or one that leaves it open, the words decide.
fn speak_of_mailbox(code: u16, status: Option<EnhancedStatus>, words: &Words) -> bool {
    match status {
        // Exchange Online of a mailbox that it does not have, in these words only.
        Some(EnhancedStatus(5, 4, 1)) => words.any(&[" recipient address rejected "]),
        None | Some(EnhancedStatus(5, 0 | 1 | 2 | 5, 0)) => {
            let says_so = words.any(&MAILBOX) || (code == 556 && words.any(&[" not accept mail"]));
            says_so
                && words.concern().is_none()
                && !words.any(&FULL)
                && !is_of_session(code)
                && code != 552
        }
        Some(_) => false,
    }
}

/// About syntax, order or the login, whatever the text says.
fn is_of_session(code: u16) -> bool {
    matches!(code, 500 | 502..=504 | 530 | 534 | 535 | 538)
}

fn concern(code: u16, status: Option<EnhancedStatus>, words: &Words) -> Option<Concern> {
    let by_number = match (code, status) {
        (530 | 534 | 535 | 538, _) | (_, Some(EnhancedStatus(5, 7, 8 | 9 | 11 | 14))) => {
            Some(Concern::Login)
        }
        (_, Some(EnhancedStatus(5, 1, 7 | 8))) => Some(Concern::Sender),
        (_, Some(EnhancedStatus(5, 2, 3) | EnhancedStatus(5, 3, 4))) => Some(Concern::Size),
        _ => None,
    };
    by_number
        .or_else(|| words.concern())
        .or(match (code, status) {
            (_, Some(EnhancedStatus(5, 7, _))) => Some(Concern::Policy),
            (552, None) => Some(Concern::Size),
            _ => None,
        })
}

#[cfg(test)]
mod tests {
    use kit::testing::table;

    use super::*;
    use crate::domain::ReplyReader;

    const TABLE: &str = include_str!("../../../../docs/smtp-replies.md");

    fn class(refusal: Refusal) -> String {
        match refusal {
            Refusal::Mailbox(Ground::Status) => "mailbox, by status".to_owned(),
            Refusal::Mailbox(Ground::Words) => "mailbox, by words".to_owned(),
            Refusal::Later => "later".to_owned(),
            Refusal::Policy(concern) => format!("policy: {}", concern.word()),
        }
    }

    fn reply(text: &str) -> Reply {
        let octets = format!("{text}\r\n");
        ReplyReader::default()
            .read(octets.as_bytes())
            .1
            .unwrap()
            .unwrap_or_else(|no_reply| panic!("{text}: {}", no_reply.0))
    }

    #[test]
    fn every_reply_in_the_table_is_classed_as_it_says() {
        let mut seen = 0;
        for [phase, text, expected] in table(TABLE, "replies") {
            let exchange = match phase.as_str() {
                "MAIL" => Exchange::Mail,
                "RCPT" => Exchange::Rcpt,
                "DATA" => Exchange::Data,
                "final dot" => Exchange::Message,
                other => panic!("{other} is no phase"),
            };
            let found = refusal(exchange, &reply(&text), ["ada", "mail.example"]);
            assert_eq!(class(found), expected, "{phase} {text}");
            seen += 1;
        }
        assert!(seen > 40, "{seen} rows");
    }

    #[test]
    fn an_address_that_looks_like_a_reason_is_none() {
        for text in [
            "550 <relay@sender.example>: user unknown",
            "550 relay@sender.example user unknown",
            "550 relay: user unknown",
            "550 user unknown: \"relay\" at sender.example",
        ] {
            let found = refusal(Exchange::Rcpt, &reply(text), ["relay", "sender.example"]);
            assert_eq!(found, Refusal::Mailbox(Ground::Words), "{text}");
        }
        let found = refusal(
            Exchange::Rcpt,
            &reply("550 <user-unknown@no.such.user> go away"),
            ["user-unknown", "no.such.user"],
        );
        assert_eq!(found, Refusal::Policy(Concern::Unclear));
    }
}
