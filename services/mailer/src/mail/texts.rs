//! The mail's sentences per language, as data beside the layout. `template` fills them in.

use serde::Deserialize;

use crate::domain::{Language, Lifetime};

/// One language's sentences; each is a template itself.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Texts {
    pub(super) subject: String,
    pub(super) preheader: String,
    pub(super) greeting: String,
    pub(super) greeting_without_name: String,
    pub(super) introduction: String,
    pub(super) link_introduction: String,
    pub(super) button: String,
    pub(super) expiry: String,
    pub(super) ignore: String,
    pub(super) automatic: String,
    pub(super) until: String,
    months: [String; 12],
    days: [String; 2],
    hours: [String; 2],
    minutes: [String; 2],
}

impl Texts {
    pub(super) fn of(language: Language) -> Self {
        let file = match language {
            Language::English => include_str!("../../templates/texts/en.toml"),
            Language::French => include_str!("../../templates/texts/fr.toml"),
            Language::German => include_str!("../../templates/texts/de.toml"),
        };
        toml::from_str(file).expect("the texts are compiled in and a test reads each of them")
    }

    /// The phrase for a lifetime, with `{{ n }}` still in it, and its n.
    pub(super) fn lifetime(&self, lifetime: Lifetime) -> (&str, u64) {
        let ([one, many], n) = match lifetime {
            Lifetime::Days(n) => (&self.days, n),
            Lifetime::Hours(n) => (&self.hours, n),
            Lifetime::Minutes(n) => (&self.minutes, n),
        };
        (if n == 1 { one } else { many }, n)
    }

    /// Name of a month.
    pub(super) fn month(&self, month: time::Month) -> &str {
        &self.months[usize::from(u8::from(month)) - 1]
    }
}
