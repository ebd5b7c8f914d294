//! The language a person asks for: checked for its shape only. The mailer knows which languages
//! there are.

use super::chars::shown;

/// What RFC 5646 §4.4.1 asks everybody to support.
const LONGEST: usize = 35;

/// A BCP 47 language tag such as `de` or `fr-CA`; empty when none was given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Locale(String);

/// Why something is no language tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidLocale {
    #[error(
        "must not hold {}: ASCII letters, digits and hyphens make a language tag, such as de or fr-CA",
        shown(*.0)
    )]
    Character(char),
    #[error(
        "must be a BCP 47 language tag of at most 35 characters, such as de or fr-CA; leave it empty for en"
    )]
    Shape,
}

impl Locale {
    /// Takes a tag as a program sent it: `de_DE`, as POSIX writes it, is `de-DE`.
    ///
    /// # Errors
    /// If it has not the shape of a tag. A well-formed tag of a language that no mail is written in
    /// is fine: the mail falls back to `en`.
    pub(crate) fn parse(input: &str) -> Result<Self, InvalidLocale> {
        let tag = input.trim();
        if tag.is_empty() {
            return Ok(Self::default());
        }
        if tag.len() > LONGEST {
            return Err(InvalidLocale::Shape);
        }
        let tag = tag.replace('_', "-");
        let is_foreign = |c: &char| !c.is_ascii_alphanumeric() && *c != '-';
        if let Some(foreign) = tag.chars().find(is_foreign) {
            return Err(InvalidLocale::Character(foreign));
        }
        let mut subtags = tag.split('-');
        let is_language = |tag: &str| {
            (2..=8).contains(&tag.len()) && tag.bytes().all(|b| b.is_ascii_alphabetic())
        };
        let is_well_formed = subtags.next().is_some_and(is_language)
            && subtags.all(|subtag| (1..=8).contains(&subtag.len()));
        if is_well_formed {
            Ok(Self(tag))
        } else {
            Err(InvalidLocale::Shape)
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use kit::testing::table;

    use super::Locale;

    const PAPER: &str = include_str!("../../../../docs/names-and-codes.md");

    #[test]
    fn every_tag_in_the_table_is_taken_or_refused_as_it_says() {
        let found = table(PAPER, "locales");
        for [tag, expected] in &found {
            let said = match Locale::parse(tag) {
                Ok(taken) if taken.as_str() == tag => "taken".to_owned(),
                Ok(taken) => format!("taken as {}", taken.as_str()),
                Err(why) => format!("refused: {why}"),
            };
            assert!(said.starts_with(expected), "{tag:?}: {said}");
        }
        assert!(found.len() > 14, "{} rows", found.len());
        assert_eq!(Locale::parse(" ").unwrap(), Locale::default());
    }
}
