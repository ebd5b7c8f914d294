//! The name that the mail greets with: parsed at the edge, stored and published as it is.

use kit::Private;
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory as _};

const LONGEST: usize = 64;

/// At most 64 letters, marks, digits, spaces and `'`, `-`, `.`; may be empty. Nothing that a mail
/// program would turn into a link, so that nobody sends spam by greeting.
///
/// Debug shows no name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DisplayName(Private<String>);

/// Why something is no name to greet with. Never repeats the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidDisplayName {
    #[error("must have at most 64 characters")]
    TooLong,
    #[error("may hold letters, digits, spaces, apostrophes ('), hyphens and full stops only")]
    Character,
    #[error("must not look like a web or mail address: write a space after a full stop")]
    Link,
}

impl DisplayName {
    /// Takes a name as a person typed it; outer spaces are dropped.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub(crate) fn parse(input: &str) -> Result<Self, InvalidDisplayName> {
        let name = input.trim_matches(' ');
        // Looks at no more than it must: the input may be as long as a message.
        if name.chars().nth(LONGEST).is_some() {
            return Err(InvalidDisplayName::TooLong);
        }
        if !name.chars().all(may_stand_in_a_name) {
            return Err(InvalidDisplayName::Character);
        }
        if name.split(' ').any(could_become_a_link) {
            return Err(InvalidDisplayName::Link);
        }
        Ok(Self(name.to_owned().into()))
    }

    pub(crate) fn as_str(&self) -> &str {
        self.0.expose()
    }
}

fn may_stand_in_a_name(c: char) -> bool {
    matches!(c, ' ' | '\'' | '-' | '.')
        || matches!(
            c.general_category_group(),
            GeneralCategoryGroup::Letter | GeneralCategoryGroup::Mark
        )
        || c.general_category() == GeneralCategory::DecimalNumber
}

fn could_become_a_link(word: &str) -> bool {
    // Without `@`, `:` and `/` only a host name is left. Top-level domains have two characters or
    // more, so that "J.R.R. Tolkien" and "Ph.D." pass and "www.example.org" does not; a digit after
    // a dot is an IP address.
    word.split('.')
        .skip(1)
        .any(|part| part.chars().nth(1).is_some() || part.starts_with(char::is_numeric))
}

#[cfg(test)]
mod tests {
    use super::{DisplayName, InvalidDisplayName};

    #[test]
    fn names_of_the_world_are_taken_as_they_are() {
        for name in [
            "",
            "Ada Lovelace",
            "Anne-Marie O'Neill",
            "J.R.R. Tolkien",
            "Sammy Davis Jr.",
            "Dr. Müller",
            "Łukasz Żółć",
            "山田 太郎",
            "נועה לוי",
            "संजय गुप्ता",
            "e\u{301}lodie",
            "Louis 14",
        ] {
            assert_eq!(DisplayName::parse(name).unwrap().as_str(), name);
        }
        assert_eq!(DisplayName::parse("  Ada  ").unwrap().as_str(), "Ada");
        assert!(DisplayName::parse(&"é".repeat(64)).is_ok());
    }

    #[test]
    fn what_could_carry_a_message_is_refused_for_its_reason() {
        use InvalidDisplayName::*;
        for (given, why) in [
            ("Ada\r\nBcc: eve@example.org", Character),
            ("Ada\nLovelace", Character),
            ("\tAda", Character),
            ("Ada\0", Character),
            ("ada@example.org", Character),
            ("http://example.org", Character),
            ("<b>Ada</b>", Character),
            ("{{ code }}", Character),
            ("Ada\u{202e}Lovelace", Character),
            ("www\u{ff0e}example\u{3002}org", Character),
            ("You won 🎉", Character),
            ("www.example.org", Link),
            ("visit example.org now", Link),
            ("m.sc", Link),
            ("10.0.0.1", Link),
        ] {
            assert_eq!(DisplayName::parse(given), Err(why), "{given:?}");
        }
        assert_eq!(DisplayName::parse(&"a".repeat(65)), Err(TooLong));
    }
}
