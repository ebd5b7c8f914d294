//! The address a person signs up with: parsed once at the edge, then stored, published and mailed
//! as it is.

use kit::Private;

const LONGEST_LOCAL_PART: usize = 64;
/// RFC 5321 §4.5.3.1.3 allows 256 octets of path, two of which are the angle brackets.
const LONGEST: usize = 254;

/// `local@domain`, the local part ASCII and as it was given, the domain in ASCII form (A-labels).
///
/// Debug shows no address, so that none reaches a log by accident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EmailAddress {
    address: Private<String>,
    key: Private<String>,
}

/// Why something is no address that Usher can mail. Says what to change and never repeats the
/// input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidEmailAddress {
    #[error("must not be empty")]
    Empty,
    #[error("must have at most 254 octets, its domain in ASCII form")]
    TooLong,
    #[error("must not contain control characters")]
    ControlCharacter,
    #[error("must be written as local@domain")]
    NoAt,
    #[error("must not have a quoted part before the @")]
    QuotedLocal,
    #[error("must have at most 64 characters before the @")]
    LocalTooLong,
    #[error(
        "before the @ must stand ASCII letters, digits and !#$%&'*+-/=?^_`{{|}}~, and single dots between them"
    )]
    Local,
    #[error("must have a domain name after the @, not an IP address")]
    IpLiteral,
    #[error(
        "must have a domain name after the @ that DNS allows, such as example.org or bücher.example"
    )]
    Domain,
}

impl EmailAddress {
    /// Takes an address as a person typed it.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub(crate) fn parse(input: &str) -> Result<Self, InvalidEmailAddress> {
        use InvalidEmailAddress::{ControlCharacter, Empty, NoAt, TooLong};

        if input.is_empty() {
            return Err(Empty);
        }
        // A label's ASCII form is never much shorter than its Unicode form; what is this long is
        // not worth the work of punycode.
        if input.len() > 4 * LONGEST {
            return Err(TooLong);
        }
        if input.chars().any(char::is_control) {
            return Err(ControlCharacter);
        }
        let (local, domain) = input.rsplit_once('@').ok_or(NoAt)?;
        check_local(local)?;
        let domain = ascii_domain(domain)?;
        if local.len() + 1 + domain.len() > LONGEST {
            return Err(TooLong);
        }
        // ASCII only: Unicode case folding makes different mailboxes one (`ı` and `i`).
        let key = format!("{}@{domain}", local.to_ascii_lowercase());
        Ok(Self {
            address: format!("{local}@{domain}").into(),
            key: key.into(),
        })
    }

    /// The address to mail, and to store.
    pub(crate) fn as_str(&self) -> &str {
        self.address.expose()
    }

    /// What is unique: the same mailbox in another case has the same key.
    pub(crate) fn key(&self) -> &str {
        self.key.expose()
    }
}

/// RFC 5322 dot-atom, ASCII only.
fn check_local(local: &str) -> Result<(), InvalidEmailAddress> {
    if local.contains('"') {
        return Err(InvalidEmailAddress::QuotedLocal);
    }
    if local.len() > LONGEST_LOCAL_PART {
        return Err(InvalidEmailAddress::LocalTooLong);
    }
    let is_atom = |atom: &str| !atom.is_empty() && atom.bytes().all(is_atext);
    if local.split('.').all(is_atom) {
        Ok(())
    } else {
        Err(InvalidEmailAddress::Local)
    }
}

fn is_atext(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&octet)
}

/// UTS 46 with STD3 rules and DNS lengths, then what a public mail domain is beyond that.
fn ascii_domain(domain: &str) -> Result<String, InvalidEmailAddress> {
    if domain.starts_with('[') || domain.parse::<std::net::IpAddr>().is_ok() {
        return Err(InvalidEmailAddress::IpLiteral);
    }
    let ascii = idna::domain_to_ascii_strict(domain).map_err(|_| InvalidEmailAddress::Domain)?;
    let (_, top_level) = ascii.rsplit_once('.').ok_or(InvalidEmailAddress::Domain)?;
    // No top-level domain begins with a digit, every IPv4 address does, in any base.
    if top_level.starts_with(|first: char| first.is_ascii_digit()) {
        return Err(InvalidEmailAddress::IpLiteral);
    }
    Ok(ascii)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{EmailAddress, InvalidEmailAddress};

    #[test]
    fn the_local_part_stays_and_the_domain_becomes_ascii() {
        for (given, address, key) in [
            ("ada@example.org", "ada@example.org", "ada@example.org"),
            (
                "Ada.L+usher@Example.ORG",
                "Ada.L+usher@example.org",
                "ada.l+usher@example.org",
            ),
            (
                "ada@BÜCHER.example",
                "ada@xn--bcher-kva.example",
                "ada@xn--bcher-kva.example",
            ),
            (
                "ada@xn--bcher-kva.example",
                "ada@xn--bcher-kva.example",
                "ada@xn--bcher-kva.example",
            ),
            (
                "ada@faß.example",
                "ada@xn--fa-hia.example",
                "ada@xn--fa-hia.example",
            ),
            (
                "ada@例え。テスト",
                "ada@xn--r8jz45g.xn--zckzah",
                "ada@xn--r8jz45g.xn--zckzah",
            ),
            (
                "!#$%&'*+-/=?^_`{|}~@example.org",
                "!#$%&'*+-/=?^_`{|}~@example.org",
                "!#$%&'*+-/=?^_`{|}~@example.org",
            ),
        ] {
            let parsed = EmailAddress::parse(given).unwrap();
            assert_eq!((parsed.as_str(), parsed.key()), (address, key));
        }
    }

    #[test]
    fn what_is_no_address_is_refused_for_its_reason() {
        use InvalidEmailAddress::*;
        let long_local = format!("{}@example.org", "a".repeat(65));
        let long_domain = format!("{}@{}example.org", "a".repeat(64), "label.".repeat(30));
        let huge = "ü".repeat(100_000);
        for (given, why) in [
            ("", Empty),
            ("ada", NoAt),
            ("ada@", Domain),
            ("@example.org", Local),
            ("ada.@example.org", Local),
            (".ada@example.org", Local),
            ("a..da@example.org", Local),
            ("ada lovelace@example.org", Local),
            ("ada@home@example.org", Local),
            ("mıke@example.org", Local),
            ("ada(comment)@example.org", Local),
            (" ada@example.org", Local),
            ("ada@example.org ", Domain),
            ("\"ada\"@example.org", QuotedLocal),
            ("\"a@b\"@example.org", QuotedLocal),
            ("ada@[127.0.0.1]", IpLiteral),
            ("ada@[IPv6:::1]", IpLiteral),
            ("ada@::1", IpLiteral),
            ("ada@127.0.0.1", IpLiteral),
            ("ada@１２７.0.0.1", IpLiteral),
            ("ada@127.0.0.0x1", IpLiteral),
            ("ada@localhost", Domain),
            ("ada@example.org.", Domain),
            ("ada@example..org", Domain),
            ("ada@-example.org", Domain),
            ("ada@ex_ample.org", Domain),
            ("ada@xn--a.example", Domain),
            ("ada@xn--bücher.example", Domain),
            ("ada@exa\u{200b}\u{202e}mple.org", Domain),
            ("ada@example.org\r\nBcc: eve@example.org", ControlCharacter),
            ("ada\0@example.org", ControlCharacter),
            ("ada\u{85}@example.org", ControlCharacter),
            (&long_local, LocalTooLong),
            (&long_domain, TooLong),
            (&huge, TooLong),
        ] {
            assert_eq!(EmailAddress::parse(given), Err(why), "{given:?}");
        }
    }

    #[test]
    fn debug_shows_no_address() {
        let address = EmailAddress::parse("ada@example.org").unwrap();
        assert_eq!(
            format!("{address:?}"),
            "EmailAddress { address: <redacted>, key: <redacted> }"
        );
    }

    proptest! {
        #[test]
        fn whatever_is_accepted_is_ascii_short_and_parses_to_itself(input in "\\PC{0,12}@?\\PC{0,12}\\.?[a-zü]{0,4}") {
            if let Ok(parsed) = EmailAddress::parse(&input) {
                prop_assert!(parsed.as_str().is_ascii() && parsed.as_str().len() <= 254);
                prop_assert!(!parsed.as_str().contains(|c: char| c.is_control() || "<> ,;:\\\"()[]".contains(c)));
                let again = EmailAddress::parse(parsed.as_str()).unwrap();
                prop_assert_eq!(again.key(), parsed.key());
                prop_assert_eq!(EmailAddress::parse(parsed.key()).unwrap().key().to_owned(), parsed.key());
            }
        }

        #[test]
        fn the_key_ignores_ascii_case(local in "[a-zA-Z0-9.+]{1,20}", domain in "[a-zA-Z]{1,20}\\.[a-zA-Z]{2,6}") {
            if let Ok(parsed) = EmailAddress::parse(&format!("{local}@{domain}")) {
                let shouted = format!("{local}@{domain}").to_ascii_uppercase();
                prop_assert_eq!(EmailAddress::parse(&shouted).unwrap().key().to_owned(), parsed.key());
            }
        }
    }
}
