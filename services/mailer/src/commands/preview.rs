//! Renders the mail with sample values, for people who look after its words and looks. Sends nothing.

use std::time::Duration;

use kit::clock::Timestamp;
use time::OffsetDateTime;
use uuid::Uuid;

use super::deliver::Mailer;
use crate::{
    domain::{Digits, DisplayName, LocaleTag},
    mail::template::{Content, Rendered},
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What to render.
#[derive(Debug)]
pub(crate) struct Preview {
    /// Language that was asked for.
    pub(crate) locale: LocaleTag,
    /// Whom to greet.
    pub(crate) name: DisplayName,
    /// From which the sample's expiry counts.
    pub(crate) now: Timestamp,
}

impl Mailer {
    /// The mail with the code 1234 5678, fresh for a day.
    ///
    /// # Errors
    /// When the compiled-in templates do not fit together.
    pub(crate) fn preview(&self, preview: &Preview) -> anyhow::Result<Rendered> {
        let expires_at = preview.now + DAY;
        let digits = Digits::parse("12345678")?;
        let link = self
            .public_url
            .as_ref()
            .map(|url| format!("{url}/verify/{}", Uuid::nil()));
        Ok(self.templates.render(&Content {
            language: preview.locale.language(),
            sender: self.sender.title(),
            name: &preview.name,
            digits: &digits,
            link: link.as_deref(),
            left: DAY,
            expires_at: OffsetDateTime::from_unix_timestamp(expires_at.0.div_euclid(1_000_000))?,
        })?)
    }
}
