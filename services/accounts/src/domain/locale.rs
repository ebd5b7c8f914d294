//! The language a person asks for: checked for its shape only. The mailer knows which languages
//! there are.

const LONGEST: usize = 35;

/// A BCP 47 language tag such as `de` or `fr-CA`, as it was given; empty when none was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Locale(String);

/// Why something is no language tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be a BCP 47 language tag of at most 35 characters, such as de or fr-CA; leave it empty for en"
)]
pub(crate) struct InvalidLocale;

impl Locale {
    /// Takes a tag as a program sent it.
    ///
    /// # Errors
    /// If it has not the shape of a tag. A well-formed tag of a language that no mail is written in
    /// is fine: the mail falls back to `en`.
    pub(crate) fn parse(input: &str) -> Result<Self, InvalidLocale> {
        let mut subtags = input.split('-');
        let is_language = |tag: &str| {
            (2..=8).contains(&tag.len()) && tag.bytes().all(|b| b.is_ascii_alphabetic())
        };
        let is_subtag = |tag: &str| {
            (1..=8).contains(&tag.len()) && tag.bytes().all(|b| b.is_ascii_alphanumeric())
        };
        let well_formed = input.len() <= LONGEST
            && subtags.next().is_some_and(is_language)
            && subtags.all(is_subtag);
        if input.is_empty() || well_formed {
            Ok(Self(input.to_owned()))
        } else {
            Err(InvalidLocale)
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::Locale;

    #[test]
    fn tags_are_taken_by_their_shape() {
        for tag in [
            "",
            "en",
            "de",
            "fr-CA",
            "zh-Hant-TW",
            "tlh",
            "de-CH-1996",
            "DE",
        ] {
            assert_eq!(Locale::parse(tag).unwrap().as_str(), tag);
        }
        let long = format!("en{}", "-abcdefgh".repeat(4));
        for malformed in [
            "d",
            "de_DE",
            "de-",
            "-de",
            "de--DE",
            "fr-Çà",
            "en; drop",
            "12",
            "verylonglanguage",
            &long,
        ] {
            assert!(Locale::parse(malformed).is_err(), "{malformed}");
        }
    }
}
