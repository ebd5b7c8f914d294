//! The address a person signs up with: parsed once at the edge, then stored, published and mailed
//! as it is.

use kit::Private;

use super::chars::{is_ignorable, shown};

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

/// Why something is no address that Usher can mail. Says what to change, and of the input repeats
/// one character at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidEmailAddress {
    #[error("must not be empty")]
    Empty,
    #[error("must have at most 254 octets, its domain in ASCII form")]
    TooLong,
    #[error("must not hold {}", shown(*.0))]
    Character(char),
    #[error("must be written as local@domain")]
    NoAt,
    #[error("must not have a quoted part before the @")]
    QuotedLocal,
    #[error("must have at most 64 characters before the @")]
    LocalTooLong,
    #[error(
        "must not hold {} before the @: ASCII letters, digits and !#$%&'*+-/=?^_`{{|}}~ may stand there, and single dots between them",
        shown(*.0)
    )]
    Local(char),
    #[error("must have something before the @, and no dot at its ends or beside another one")]
    Dots,
    #[error("must have a domain name after the @, not an IP address")]
    IpLiteral,
    #[error("must not hold {} after the @: letters, digits, hyphens and dots make a domain name", shown(*.0))]
    DomainCharacter(char),
    #[error(
        "must have a domain name after the @ that DNS allows, such as example.org or bücher.example"
    )]
    Domain,
}

impl EmailAddress {
    /// Takes an address as a person typed or pasted it: spaces, line ends and invisible signs around
    /// it are dropped.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub(crate) fn parse(input: &str) -> Result<Self, InvalidEmailAddress> {
        use InvalidEmailAddress::{Character, Empty, NoAt, TooLong};

        let input = input.trim_matches(|c: char| c.is_whitespace() || is_ignorable(c));
        if input.is_empty() {
            return Err(Empty);
        }
        // A label's ASCII form is never much shorter than its Unicode form; what is this long is
        // not worth the work of punycode.
        if input.len() > 4 * LONGEST {
            return Err(TooLong);
        }
        let is_foreign = |c: &char| c.is_control() || c.is_whitespace() || is_ignorable(*c);
        if let Some(foreign) = input.chars().find(is_foreign) {
            return Err(Character(foreign));
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
    if let Some(foreign) = local.chars().find(|c| *c != '.' && !is_atext(*c)) {
        return Err(InvalidEmailAddress::Local(foreign));
    }
    if local.split('.').any(str::is_empty) {
        return Err(InvalidEmailAddress::Dots);
    }
    Ok(())
}

fn is_atext(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c)
}

/// UTS 46 with STD3 rules and DNS lengths, then what a public mail domain is beyond that.
fn ascii_domain(domain: &str) -> Result<String, InvalidEmailAddress> {
    if domain.starts_with('[') || domain.parse::<std::net::IpAddr>().is_ok() {
        return Err(InvalidEmailAddress::IpLiteral);
    }
    let is_foreign = |c: &char| c.is_ascii() && !c.is_ascii_alphanumeric() && !"-.:".contains(*c);
    if let Some(foreign) = domain.chars().find(is_foreign) {
        return Err(InvalidEmailAddress::DomainCharacter(foreign));
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

    use kit::testing::table;

    use super::{EmailAddress, InvalidEmailAddress};

    const PAPER: &str = include_str!("../../../../docs/names-and-codes.md");

    #[test]
    fn every_address_in_the_table_is_taken_or_refused_as_it_says() {
        let found = table(PAPER, "addresses");
        for [address, expected] in &found {
            let said = match EmailAddress::parse(address) {
                Ok(taken) if taken.as_str() == address => "taken".to_owned(),
                Ok(taken) => format!("taken as {}", taken.as_str()),
                Err(why) => format!("refused: {why}"),
            };
            assert!(said.starts_with(expected), "{address:?}: {said}");
        }
        assert!(found.len() > 40, "{} rows", found.len());
    }

    #[test]
    fn one_mailbox_in_another_case_has_the_same_key() {
        let one = EmailAddress::parse("Ada.L+usher@BÜCHER.example").unwrap();
        assert_eq!(one.key(), "ada.l+usher@xn--bcher-kva.example");
    }

    #[test]
    fn what_is_too_long_is_refused_before_any_work() {
        use InvalidEmailAddress::{LocalTooLong, TooLong};
        for (given, why) in [
            (format!("{}@example.org", "a".repeat(65)), LocalTooLong),
            (
                format!("{}@{}example.org", "a".repeat(64), "label.".repeat(30)),
                TooLong,
            ),
            ("ü".repeat(100_000), TooLong),
        ] {
            assert_eq!(EmailAddress::parse(&given), Err(why));
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
