//! What a person signs up with, all of it parsed: the one way from a request to `commands::create_account`.

use super::{DisplayName, EmailAddress, Locale};

/// A sign-up that can be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAccount {
    /// Where the mail goes.
    pub email: EmailAddress,
    /// Whom it greets.
    pub display_name: DisplayName,
    /// In which language.
    pub locale: Locale,
}

/// One refused field: its name in the request, and what to change.
pub type Violation = (&'static str, String);

impl NewAccount {
    /// Parses every field, so that a person learns all that is wrong at once.
    ///
    /// # Errors
    /// Each refused field, in the request's order.
    pub fn parse(email: &str, display_name: &str, locale: &str) -> Result<Self, Vec<Violation>> {
        match (
            EmailAddress::parse(email),
            DisplayName::parse(display_name),
            Locale::parse(locale),
        ) {
            (Ok(email), Ok(display_name), Ok(locale)) => Ok(Self {
                email,
                display_name,
                locale,
            }),
            (email, display_name, locale) => Err([
                email.err().map(|why| ("email", why.to_string())),
                display_name
                    .err()
                    .map(|why| ("display_name", why.to_string())),
                locale.err().map(|why| ("locale", why.to_string())),
            ]
            .into_iter()
            .flatten()
            .collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::NewAccount;

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let violations = NewAccount::parse("ada", "a@b", "de_DE").unwrap_err();
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
