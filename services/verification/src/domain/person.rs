//! Whom the mail goes to, as AccountCreated says it. Checked again here: what stands on the broker
//! is input.

use kit::Private;

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
    /// Checks what an event says. A refusal names the field, never what stands in it.
    pub(crate) fn parse(
        email: &str,
        display_name: &str,
        locale: &str,
    ) -> Result<Self, InvalidPerson> {
        let address = AddressKey::parse(email).map_err(|_| InvalidPerson("invalid_email"))?;
        let email_is_fine =
            email.len() <= LONGEST_ADDRESS && email.bytes().all(|byte| byte.is_ascii_graphic());
        if !email_is_fine {
            return Err(InvalidPerson("invalid_email"));
        }
        if !is_line(display_name, LONGEST_NAME) {
            return Err(InvalidPerson("invalid_display_name"));
        }
        if !is_line(locale, LONGEST_LOCALE) {
            return Err(InvalidPerson("invalid_locale"));
        }
        Ok(Self {
            email: email.to_owned().into(),
            address,
            display_name: display_name.to_owned().into(),
            locale: locale.to_owned(),
        })
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

/// A field that no account can have; the reason under which its event becomes a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct InvalidPerson(pub(crate) &'static str);

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
            Person::parse(email, name, locale).unwrap_err().to_string()
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
}
