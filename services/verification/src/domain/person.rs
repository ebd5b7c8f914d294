//! Whom the mail goes to, as AccountCreated or IssueCode says it. Checked again here: what comes from
//! another service is input.

use kit::{Private, Violation};

use super::address::{AddressKey, LONGEST_ADDRESS};

/// Longest name, in characters.
const LONGEST_NAME: usize = 64;

/// Longest language tag, in characters.
const LONGEST_LOCALE: usize = 35;

/// A recipient whose fields are fit for a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Person {
    email: Private<String>,
    address: AddressKey,
    display_name: Private<String>,
    locale: String,
}

impl Person {
    /// Checks what is said of an account. A refusal names the fields, never what stands in them.
    pub(crate) fn parse(
        email: &str,
        display_name: &str,
        locale: &str,
    ) -> Result<Self, InvalidPerson> {
        let fits = email.len() <= LONGEST_ADDRESS && email.bytes().all(|it| it.is_ascii_graphic());
        let address = AddressKey::parse(email).ok().filter(|_| fits);
        let name_fits = is_line(display_name, LONGEST_NAME);
        let locale_fits = is_line(locale, LONGEST_LOCALE);
        match address {
            Some(address) if name_fits && locale_fits => Ok(Self {
                email: email.to_owned().into(),
                address,
                display_name: display_name.to_owned().into(),
                locale: locale.to_owned(),
            }),
            address => Err(InvalidPerson {
                email: address.is_none(),
                display_name: !name_fits,
                locale: !locale_fits,
            }),
        }
    }

    /// Where the mail goes, as it was given.
    pub(crate) fn email(&self) -> &str {
        self.email.expose()
    }

    /// The address in the form in which it is looked up.
    pub(crate) fn address(&self) -> &AddressKey {
        &self.address
    }

    /// The name for the greeting; may be empty.
    pub(crate) fn display_name(&self) -> &str {
        self.display_name.expose()
    }

    /// The language tag; may be empty.
    pub(crate) fn locale(&self) -> &str {
        &self.locale
    }
}

/// Which fields are as no account can have them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InvalidPerson {
    email: bool,
    display_name: bool,
    locale: bool,
}

impl InvalidPerson {
    /// The reason under which an event becomes a dead letter: the first of them.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self { email: true, .. } => "invalid_email",
            Self {
                display_name: true, ..
            } => "invalid_display_name",
            _ => "invalid_locale",
        }
    }

    /// All of them, for who can correct them.
    pub(crate) fn violations(self) -> Vec<Violation> {
        let line = |longest| format!("expected one line of at most {longest} characters");
        let email = "expected an address in ASCII, such as `ada@example.com`".to_owned();
        let all = [
            (self.email, ("email", email)),
            (self.display_name, ("display_name", line(LONGEST_NAME))),
            (self.locale, ("locale", line(LONGEST_LOCALE))),
        ];
        let invalid = all.into_iter().filter(|(is_invalid, _)| *is_invalid);
        invalid.map(|(_, violation)| violation).collect()
    }
}

fn is_line(text: &str, longest: usize) -> bool {
    text.chars().count() <= longest && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_goes_to_the_address_as_it_was_given() {
        let person = Person::parse("Ada.L@example.com", "Ada Łovelace", "de").unwrap();
        assert_eq!(person.email(), "Ada.L@example.com");
        assert_eq!(person.address().expose(), "ada.l@example.com");
        assert_eq!(
            format!("{person:?}"),
            "Person { email: <redacted>, address: AddressKey(<redacted>), display_name: <redacted>, locale: \"de\" }"
        );
    }

    #[test]
    fn line_breaks_and_foreign_octets_are_refused_by_field() {
        let refused = |email: &str, name: &str, locale: &str| {
            Person::parse(email, name, locale).unwrap_err().reason()
        };
        assert_eq!(
            refused("ada@example.com\r\nBcc: x@example.com", "", ""),
            "invalid_email"
        );
        assert_eq!(refused(" ada@example.com", "", ""), "invalid_email");
        assert_eq!(refused("ada@bücher.example", "", ""), "invalid_email");
        assert_eq!(
            refused("ada@example.com", "Ada\nL", ""),
            "invalid_display_name"
        );
        assert_eq!(
            refused("ada@example.com", &"a".repeat(65), ""),
            "invalid_display_name"
        );
        assert_eq!(
            refused("ada@example.com", "", &"x".repeat(36)),
            "invalid_locale"
        );
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once_and_nothing_of_what_stands_there() {
        let refused = Person::parse("canary", "ca\nnary", &"x".repeat(36)).unwrap_err();
        let fields: Vec<_> = refused.violations().iter().map(|it| it.0).collect();
        assert_eq!(fields, ["email", "display_name", "locale"]);
        assert!(!format!("{refused:?} {:?}", refused.violations()).contains("canary"));
        let refused = Person::parse("ada@example.com", "Ada\nL", "").unwrap_err();
        let told = "expected one line of at most 64 characters".to_owned();
        assert_eq!(refused.violations(), [("display_name", told)]);
    }
}
