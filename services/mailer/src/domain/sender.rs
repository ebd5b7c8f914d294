//! Whom mails come from: `USHER_MAIL_FROM`, taken apart once at start.

use std::str::FromStr;

use super::{DisplayName, Recipient};

/// `Name <address>` or an address alone. Not a secret: it stands in every mail.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    name: DisplayName,
    address: Recipient,
}

/// What is neither of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected `Name <address@domain>` or `address@domain`")]
pub(crate) struct InvalidSender;

impl Sender {
    /// Name in the From header; may be empty.
    pub(crate) fn name(&self) -> &str {
        self.name.as_str()
    }

    /// Envelope sender and From address.
    pub(crate) fn address(&self) -> &Recipient {
        &self.address
    }

    /// How texts call the sender: its name, else its domain.
    pub(crate) fn title(&self) -> &str {
        match self.name.as_str() {
            "" => self.address.domain(),
            name => name,
        }
    }
}

impl FromStr for Sender {
    type Err = InvalidSender;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, address) = match text
            .trim()
            .strip_suffix('>')
            .and_then(|text| text.split_once('<'))
        {
            Some((name, address)) => (name.trim().trim_matches('"'), address),
            None => ("", text.trim()),
        };
        match (DisplayName::parse(name), Recipient::parse(address)) {
            (Ok(name), Ok(address)) => Ok(Self { name, address }),
            _ => Err(InvalidSender),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_names_quotes_and_idn_domains() {
        for (text, name, domain, title) in [
            ("usher@example.com", "", "example.com", "example.com"),
            ("Usher <usher@example.com>", "Usher", "example.com", "Usher"),
            (
                "\"Bücher & Größe\" <hallo@bücher.example>",
                "Bücher & Größe",
                "xn--bcher-kva.example",
                "Bücher & Größe",
            ),
        ] {
            let sender: Sender = text.parse().unwrap();
            assert_eq!(
                (sender.name(), sender.address().domain(), sender.title()),
                (name, domain, title)
            );
        }
        assert!("Usher".parse::<Sender>().is_err());
        assert!("Usher <usher@example.com> x".parse::<Sender>().is_err());
    }
}
