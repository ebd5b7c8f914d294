//! The name in the greeting and in the To header.

use kit::Private;

/// At most 64 characters of one line; may be empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DisplayName(Private<String>);

/// More than one line, too long, or with characters that rearrange text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be at most 64 characters of one line, without control characters and direction marks"
)]
pub(crate) struct InvalidDisplayName;

impl DisplayName {
    /// Takes one line. What else a name may hold is the business of accounts.
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidDisplayName> {
        let text = text.trim();
        // Control characters would break headers, and direction marks would let a name rearrange
        // the sentence around it.
        let valid =
            text.chars().count() <= 64 && !text.chars().any(|c| c.is_control() || rearranges(c));
        if valid {
            Ok(Self(Private::new(text.to_owned())))
        } else {
            Err(InvalidDisplayName)
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        self.0.expose()
    }
}

/// Line and paragraph separators and Unicode's explicit direction marks (UAX #9 §2).
fn rearranges(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_names_of_many_scripts() {
        for name in [
            "",
            "Ada",
            "Zoë O'Brien-Müller",
            "李小龍",
            "عائشة",
            "<script>{{ 7 * 7 }}",
        ] {
            assert_eq!(DisplayName::parse(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn refuses_line_breaks_direction_marks_and_long_names() {
        for name in [
            "Ada\r\nBcc: eve@example.com",
            "Ada\u{202e}adA",
            "a\u{2028}b",
            "\u{7f}x",
            "\u{85}x",
        ] {
            let name = format!("x{name}x");
            assert_eq!(
                DisplayName::parse(&name),
                Err(InvalidDisplayName),
                "{name:?}"
            );
        }
        assert_eq!(DisplayName::parse(&"ä".repeat(65)), Err(InvalidDisplayName));
    }
}
