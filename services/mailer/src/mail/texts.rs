//! The mail's sentences per language, as data beside the layout. `template` fills them in.

use serde::Deserialize;

use crate::domain::{Language, Lifetime};

/// One language's sentences; each is a template itself.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Texts {
    pub(super) subject: String,
    preheader: String,
    greeting: String,
    greeting_without_name: String,
    pub(super) introduction: String,
    pub(super) link_introduction: String,
    pub(super) button: String,
    expiry: String,
    pub(super) ignore: String,
    pub(super) automatic: String,
    until: String,
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

    /// Sentences and phrases that differ from mail to mail, by their names: each is a template.
    pub(super) fn own(&self) -> [(&'static str, &str); 11] {
        [
            ("preheader", &self.preheader),
            ("greeting", &self.greeting),
            ("greeting_without_name", &self.greeting_without_name),
            ("expiry", &self.expiry),
            ("until", &self.until),
            ("day", &self.days[0]),
            ("days", &self.days[1]),
            ("hour", &self.hours[0]),
            ("hours", &self.hours[1]),
            ("minute", &self.minutes[0]),
            ("minutes", &self.minutes[1]),
        ]
    }

    /// Name of a month.
    pub(super) fn month(&self, month: time::Month) -> &str {
        &self.months[usize::from(u8::from(month)) - 1]
    }
}

/// The name of the phrase for a lifetime, and the n in it.
pub(super) fn phrase(lifetime: Lifetime) -> (&'static str, u64) {
    let ([one, many], n) = match lifetime {
        Lifetime::Days(n) => (["day", "days"], n),
        Lifetime::Hours(n) => (["hour", "hours"], n),
        Lifetime::Minutes(n) => (["minute", "minutes"], n),
    };
    (if n == 1 { one } else { many }, n)
}
