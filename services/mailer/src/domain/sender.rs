//! Whom mails come from: `USHER_MAIL_FROM`, taken apart once at start.

use std::str::FromStr;

use super::{DisplayName, Recipient};

/// `Name <address>` or an address alone. Not a secret: it stands in every mail.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    name: DisplayName,
    address: Recipient,
}

/// What no mail can come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidSender {
    /// Neither of the two.
    #[error("expected `Name <address@domain>` or `address@domain`")]
    Form,
    /// The name holds a character that is none.
    #[error("expected a name without U+{0:04X}, which Unicode keeps for programs' own use")]
    Noncharacter(u32),
}

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
        // Layouts are filled with the name and then cut at one of these (`mail/forms.rs`).
        if let Some(c) = name.chars().find(|c| is_noncharacter(*c)) {
            return Err(InvalidSender::Noncharacter(c.into()));
        }
        match (DisplayName::parse(name), Recipient::parse(address)) {
            (Ok(name), Ok(address)) => Ok(Self { name, address }),
            _ => Err(InvalidSender::Form),
        }
    }
}

/// Whether Unicode keeps it for programs' own use, so that it stands in no text (§23.7).
fn is_noncharacter(c: char) -> bool {
    matches!(c, '\u{fdd0}'..='\u{fdef}') || u32::from(c) & 0xfffe == 0xfffe
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

    #[test]
    fn refuses_noncharacters_which_layouts_are_cut_at() {
        for noncharacter in [
            '\u{fdd0}',
            '\u{fdef}',
            '\u{fffe}',
            '\u{1ffff}',
            '\u{10ffff}',
        ] {
            let text = format!("Ush{noncharacter}er <usher@example.com>");
            assert!(text.parse::<Sender>().is_err(), "{text:?}");
            let text = format!("usher@exam{noncharacter}ple.com");
            assert!(text.parse::<Sender>().is_err(), "{text:?}");
        }
        for beside in ['\u{fdcf}', '\u{fdf0}', '\u{fffd}', '\u{1fffd}'] {
            let text = format!("Ush{beside}er <usher@example.com>");
            assert!(text.parse::<Sender>().is_ok(), "{text:?}");
        }
    }
}
