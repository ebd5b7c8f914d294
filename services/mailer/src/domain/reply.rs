//! What a mail server's refusal means: no for this recipient, or not now. `transport` asks; `deliver` acts on it.

/// A negative reply's meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// This recipient, for good.
    Recipient,
    /// Anything that may be otherwise next time: transient replies, and permanent ones about us, the message, the
    /// server's policy or a full mailbox.
    NotNow,
}

/// Reads a negative reply to RCPT. Only a permanent reply about the recipient ends a mail: a misconfigured relay
/// answers everybody with 5yz, and nobody's mail may be lost to that.
pub(crate) fn refusal_at_rcpt(code: u16, text: &str) -> Refusal {
    let about_recipient = match (code, enhanced_status(text)) {
        (..500 | 600.., _) => false,
        // Authentication and exceeded storage, whatever the text says.
        (530 | 534 | 535 | 538 | 552, _) => false,
        // RFC 3463: X.1.7 and X.1.8 speak of the sender, X.2.2 of a full mailbox, X.2.3 of the message's length.
        (_, Some((5, 1, detail))) => !matches!(detail, 7 | 8),
        (_, Some((5, 2, detail))) => !matches!(detail, 2 | 3),
        (_, Some(_)) => false,
        // RFC 5321 §4.2.3: mailbox unavailable, user not local, mailbox name not allowed. RFC 7504: no mail here.
        (code, None) => matches!(code, 521 | 550 | 551 | 553 | 556),
    };
    if about_recipient {
        Refusal::Recipient
    } else {
        Refusal::NotNow
    }
}

/// The enhanced status code (RFC 2034) that a reply's text begins with.
fn enhanced_status(text: &str) -> Option<(u16, u16, u16)> {
    let mut numbers = text
        .split_whitespace()
        .next()?
        .splitn(3, '.')
        .map(str::parse);
    match (numbers.next()?, numbers.next()?, numbers.next()?) {
        (Ok(class @ 2..=5), Ok(subject), Ok(detail)) => Some((class, subject, detail)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_permanent_reply_about_the_recipient_is_one() {
        for (code, text) in [
            (550, "5.1.1 User unknown"),
            (550, "no such user"),
            (551, "User not local"),
            (553, "mailbox name not allowed"),
            (501, "5.1.3 Bad recipient address syntax"),
            (550, "5.2.1 Mailbox disabled"),
            (556, "5.1.10 null MX"),
        ] {
            assert_eq!(
                refusal_at_rcpt(code, text),
                Refusal::Recipient,
                "{code} {text}"
            );
        }
    }

    #[test]
    fn policy_configuration_and_full_mailboxes_are_not() {
        for (code, text) in [
            (450, "4.2.0 Greylisted"),
            (451, "try again"),
            (452, "4.5.3 too many recipients"),
            (535, "5.7.8 Authentication failed"),
            (530, "5.7.0 Must issue a STARTTLS command first"),
            (550, "5.7.1 Relaying denied"),
            (554, "5.7.1 Relay access denied"),
            (552, "5.2.2 Mailbox full"),
            (550, "5.2.2 Over quota"),
            (553, "5.1.8 Sender address rejected"),
            (503, "5.5.1 Bad sequence of commands"),
            (554, "Transaction failed"),
            (550, "4.1.1 contradicts itself"),
        ] {
            assert_eq!(
                refusal_at_rcpt(code, text),
                Refusal::NotNow,
                "{code} {text}"
            );
        }
    }
}
