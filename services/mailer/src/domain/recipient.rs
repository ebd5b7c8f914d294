//! The address a mail goes to, checked again where it is used; the message and the SMTP envelope
//! take it from here.

use kit::Private;

/// An address in ASCII form: dot-atom local part, domain of A-labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Recipient {
    local: Private<String>,
    domain: Private<String>,
}

/// Nothing a mail can be sent to, or nothing that may stand in an SMTP command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no address to send to")]
pub(crate) struct InvalidRecipient;

/// Longest address that fits a RCPT command's path (RFC 5321 §4.5.3.1.3: 256 octets with the
/// brackets).
const MAX_OCTETS: usize = 254;

impl Recipient {
    /// Takes `text` apart. Quoted local parts, IP literals and control characters are refused:
    /// nothing that passes can end an SMTP command early.
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidRecipient> {
        let (local, domain) = text.rsplit_once('@').ok_or(InvalidRecipient)?;
        let domain = idna::domain_to_ascii_strict(domain).map_err(|_| InvalidRecipient)?;
        let dot_atom = local
            .split('.')
            .all(|atom| !atom.is_empty() && atom.bytes().all(is_atom_byte));
        let fits = local.len() <= 64 && local.len() + 1 + domain.len() <= MAX_OCTETS;
        // One label is no public domain; a mail server on this very machine is worth the exception.
        let is_name = domain.contains('.') || domain == "localhost";
        let is_number = domain
            .rsplit('.')
            .next()
            .is_some_and(|label| label.bytes().all(|b| b.is_ascii_digit()));
        if !(dot_atom && fits && is_name) || is_number {
            return Err(InvalidRecipient);
        }
        Ok(Self {
            local: Private::new(local.to_owned()),
            domain: Private::new(domain),
        })
    }

    /// Local part, in the case it came in.
    pub(crate) fn local(&self) -> &str {
        self.local.expose()
    }

    pub(crate) fn domain(&self) -> &str {
        self.domain.expose()
    }

    /// What two spellings of one address have in common, for `address_mac`.
    pub(crate) fn canonical(&self) -> String {
        format!("{}@{}", self.local().to_ascii_lowercase(), self.domain())
    }
}

/// RFC 5322 §3.2.3 `atext`.
fn is_atom_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_ordinary_addresses_and_turns_idn_domains_into_a_labels() {
        for (text, local, domain) in [
            ("ada@example.com", "ada", "example.com"),
            (
                "Ada.Lovelace+1@Example.COM",
                "Ada.Lovelace+1",
                "example.com",
            ),
            ("zoe@bücher.example", "zoe", "xn--bcher-kva.example"),
        ] {
            let recipient = Recipient::parse(text).unwrap();
            assert_eq!((recipient.local(), recipient.domain()), (local, domain));
        }
    }

    #[test]
    fn refuses_what_could_leave_the_smtp_command() {
        for text in [
            "",
            "ada",
            "@example.com",
            "ada@",
            "a b@example.com",
            "\"a b\"@example.com",
            "a..b@example.com",
            "ada@[127.0.0.1]",
            "ada@127.0.0.1",
            "ada@exam\r\nple.com",
            "ada\r\nRCPT TO:<eve@example.com>@example.com",
            "ada\0@example.com",
            "ada>@example.com",
            "zoë@example.com",
            "ada@-.example",
            "ada@nodot",
        ] {
            assert_eq!(Recipient::parse(text), Err(InvalidRecipient), "{text:?}");
        }
        assert_eq!(
            Recipient::parse(&format!("{}@example.com", "a".repeat(65))),
            Err(InvalidRecipient)
        );
    }

    #[test]
    fn spellings_of_one_address_are_canonically_equal() {
        let (one, other) = (
            Recipient::parse("Ada@EXAMPLE.com"),
            Recipient::parse("ada@example.com"),
        );
        assert_eq!(one.unwrap().canonical(), other.unwrap().canonical());
    }
}
