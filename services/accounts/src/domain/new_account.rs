//! What a person signs up with, all of it parsed: the one way from a request to
//! `commands::create_account`.

use kit::Violation;

use super::{DisplayName, EmailAddress, Locale};

/// A sign-up that can be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewAccount {
    /// Where the mail goes.
    pub(crate) email: EmailAddress,
    /// Whom it greets.
    pub(crate) display_name: DisplayName,
    /// In which language.
    pub(crate) locale: Locale,
}

impl NewAccount {
    /// Parses every field, so that a person learns all that is wrong at once.
    pub(crate) fn parse(
        email: &str,
        display_name: &str,
        locale: &str,
    ) -> Result<Self, Vec<Violation>> {
        let mut violations = Vec::new();
        let mut refused = |field, why: String| violations.push((field, why));
        let email = EmailAddress::parse(email).map_err(|why| refused("email", why.to_string()));
        let display_name = DisplayName::parse(display_name)
            .map_err(|why| refused("display_name", why.to_string()));
        let locale = Locale::parse(locale).map_err(|why| refused("locale", why.to_string()));
        match (email, display_name, locale) {
            (Ok(email), Ok(display_name), Ok(locale)) => Ok(Self {
                email,
                display_name,
                locale,
            }),
            _ => Err(violations),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::NewAccount;

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let violations = NewAccount::parse("ada", "a@b", "de.DE").unwrap_err();
        assert_eq!(
            violations
                .iter()
                .map(|(field, _)| *field)
                .collect::<Vec<_>>(),
            ["email", "display_name", "locale"]
        );
        assert!(NewAccount::parse("ada@example.org", "", "").is_ok());
    }
}
