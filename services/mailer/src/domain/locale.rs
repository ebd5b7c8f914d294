//! Which language a mail is written in: the tag that was asked for, and the nearest language there
//! are texts for.

/// A BCP 47 tag, lower-cased; `und` (undetermined) for anything that is none. It is stored with the
/// mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LocaleTag(String);

/// Longest tag that RFC 5646 §4.4.1 asks everybody to support.
const MAX_OCTETS: usize = 35;

impl LocaleTag {
    /// Reads any text; it cannot fail, because an unknown locale only means another language.
    pub(crate) fn new(text: &str) -> Self {
        let text = text.trim().replace('_', "-").to_ascii_lowercase();
        let subtag = |part: &str| {
            (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric())
        };
        let valid = text.len() <= MAX_OCTETS
            && text.split('-').all(subtag)
            && text
                .split('-')
                .next()
                .is_some_and(|language| language.bytes().all(|b| b.is_ascii_alphabetic()));
        Self(if valid { text } else { "und".to_owned() })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The language to write in: `fr-CA` falls back to `fr`, and what there are no texts for to
    /// `en`.
    pub(crate) fn language(&self) -> Language {
        match self.0.split('-').next() {
            Some("fr") => Language::French,
            Some("de") => Language::German,
            _ => Language::English,
        }
    }
}

/// Languages there are texts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Language {
    /// `en`, which everything falls back to.
    English,
    /// `fr`
    French,
    /// `de`
    German,
}

impl Language {
    /// Its tag, for `Content-Language` and HTML's `lang`.
    pub(crate) fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::French => "fr",
            Self::German => "de",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn falls_back_from_region_to_language_to_english() {
        for (tag, language) in [
            ("fr", Language::French),
            ("fr-CA", Language::French),
            ("DE_at", Language::German),
            ("en-GB", Language::English),
            ("pt-BR", Language::English),
            ("", Language::English),
            ("../../etc/passwd", Language::English),
        ] {
            assert_eq!(LocaleTag::new(tag).language(), language, "{tag:?}");
        }
    }

    #[test]
    fn stores_nothing_but_a_tag() {
        for text in [
            "ada@example.com",
            "fr ca",
            &"a-".repeat(40),
            "12345678",
            "fr-\r\n",
        ] {
            assert!(
                ["und", "fr"].contains(&LocaleTag::new(text).as_str()),
                "{text:?}"
            );
        }
        assert_eq!(LocaleTag::new("fr-CA").as_str(), "fr-ca");
    }
}
