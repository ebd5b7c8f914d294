//! The name that the mail greets with: parsed at the edge, stored and published as it is but for its
//! spaces. `docs/names-and-codes.md` has the table of what is taken and refused, with its sources.

use kit::Private;

use super::chars::{RefusedCharacter, check, is_digit, is_dot, is_letter, is_space};

const LONGEST: usize = 64;
/// A regnal number, "3rd", a year of two digits; no telephone number and no code.
const MOST_DIGITS: usize = 3;

/// At most 64 characters of a person's name in any script; may be empty. Nothing that nobody sees,
/// no number, nothing that a mail program or a reader would take for a link: so that nobody sends a
/// message by greeting.
///
/// Debug shows no name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DisplayName(Private<String>);

/// Why something is no name to greet with. Of the input it repeats one character at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidDisplayName {
    #[error("must have at most 64 characters")]
    TooLong,
    #[error(transparent)]
    Character(#[from] RefusedCharacter),
    #[error("must not hold more than three digits in a row: a name is no number")]
    Number,
    #[error("must not look like a web or mail address: write a space after a full stop")]
    Link,
}

impl DisplayName {
    /// Takes a name as a person typed it. Outer spaces are dropped, spaces of every kind read as
    /// one.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub(crate) fn parse(input: &str) -> Result<Self, InvalidDisplayName> {
        let words: Vec<&str> = input
            .split(is_space)
            .filter(|word| !word.is_empty())
            .collect();
        let name = words.join(" ");
        if name.chars().nth(LONGEST).is_some() {
            return Err(InvalidDisplayName::TooLong);
        }
        let chars: Vec<char> = name.chars().collect();
        for place in 0..chars.len() {
            check(&chars, place)?;
        }
        if longest_number(&chars) > MOST_DIGITS {
            return Err(InvalidDisplayName::Number);
        }
        if words.into_iter().any(could_be_a_link) {
            return Err(InvalidDisplayName::Link);
        }
        Ok(Self(name.into()))
    }

    pub(crate) fn as_str(&self) -> &str {
        self.0.expose()
    }
}

/// Most digits that no letter stands between, as in "1-800 555.0199".
fn longest_number(name: &[char]) -> usize {
    let words = name.split(|c| is_letter(*c));
    let digits = words.map(|word| word.iter().filter(|c| is_digit(**c)).count());
    digits.max().unwrap_or_default()
}

fn could_be_a_link(word: &str) -> bool {
    // Without `@`, `:` and `/` only a host name is left. Top-level domains have two characters or
    // more, so that "J.R.R. Tolkien" and "Ph.D." pass and "www.example.org" does not; a digit after
    // a dot is an IP address.
    word.split(is_dot)
        .skip(1)
        .any(|part| part.chars().nth(1).is_some() || part.starts_with(char::is_numeric))
}

#[cfg(test)]
mod tests {
    use kit::testing::table;
    use proptest::prelude::*;

    use super::DisplayName;

    const PAPER: &str = include_str!("../../../../docs/names-and-codes.md");

    #[test]
    fn every_name_in_the_table_is_taken_or_refused_as_it_says() {
        let found = table(PAPER, "names");
        for [name, expected] in &found {
            let parsed = DisplayName::parse(name);
            let said = match &parsed {
                Ok(taken) if taken.as_str() == name => "taken".to_owned(),
                Ok(taken) => format!("taken as {}", taken.as_str()),
                Err(why) => format!("refused: {why}"),
            };
            assert!(said.starts_with(expected), "{name:?}: {said}");
        }
        assert!(found.len() > 60, "{} rows", found.len());
    }

    #[test]
    fn the_length_counts_characters() {
        assert!(DisplayName::parse(&"é".repeat(64)).is_ok());
        let refused = DisplayName::parse(&"a".repeat(65)).unwrap_err();
        assert_eq!(refused.to_string(), "must have at most 64 characters");
    }

    proptest! {
        #[test]
        fn whatever_is_taken_is_one_short_line_that_is_taken_again(input in "\\PC{0,70}") {
            if let Ok(name) = DisplayName::parse(&input) {
                prop_assert!(name.as_str().chars().count() <= 64);
                prop_assert!(!name.as_str().chars().any(|c| c.is_control() || "@:/<>\"".contains(c)));
                prop_assert_eq!(DisplayName::parse(name.as_str()).unwrap(), name);
            }
        }
    }
}
