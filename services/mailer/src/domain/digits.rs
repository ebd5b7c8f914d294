//! The code as the mail shows it. It goes into the message and, to be recognised there, into
//! `redact`; never into a table.

use kit::Private;

/// Six to ten ASCII digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Digits(Private<String>);

/// Not six to ten ASCII digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 6 to 10 digits")]
pub(crate) struct InvalidDigits;

impl Digits {
    /// Takes digits without spaces.
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidDigits> {
        let valid =
            (6..=10).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        if valid {
            Ok(Self(Private::new(text.to_owned())))
        } else {
            Err(InvalidDigits)
        }
    }

    pub(crate) fn plain(&self) -> &str {
        self.0.expose()
    }

    /// In two groups, as people read and type them: `1234 5678`.
    pub(crate) fn grouped(&self) -> String {
        let digits = self.plain();
        let (first, second) = digits.split_at(digits.len().div_ceil(2));
        format!("{first} {second}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_the_digits_in_halves() {
        for (plain, grouped) in [
            ("123456", "123 456"),
            ("1234567", "1234 567"),
            ("12345678", "1234 5678"),
        ] {
            assert_eq!(Digits::parse(plain).unwrap().grouped(), grouped);
        }
    }

    #[test]
    fn refuses_other_lengths_and_characters() {
        for text in [
            "",
            "12345",
            "12345678901",
            "1234 5678",
            "12345٦",
            "123456\n",
        ] {
            assert_eq!(Digits::parse(text), Err(InvalidDigits), "{text:?}");
        }
    }
}
