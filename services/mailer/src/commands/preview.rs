//! Renders the mail with sample values, for people who look after its words and looks. Sends nothing.

use std::time::Duration;

use kit::{Violation, clock::Timestamp};
use uuid::Uuid;

use crate::{
    domain::{Digits, DisplayName, LocaleTag, Offer, Recipient, Turn},
    mail::{Composer, Rendered, Unmailable},
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

/// Why there is nothing to show.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PreviewError {
    #[error("the request has invalid fields")]
    Invalid(Vec<Violation>),
    /// The compiled-in templates do not fit together.
    #[error("the mail cannot be rendered")]
    Unrendered(#[from] Unmailable),
}

impl Preview {
    /// Parses a request.
    ///
    /// # Errors
    /// `Invalid`.
    pub(crate) fn parse(locale: &str, name: &str, now: Timestamp) -> Result<Self, PreviewError> {
        match DisplayName::parse(name) {
            Ok(name) => Ok(Self {
                locale: LocaleTag::new(locale),
                name,
                now,
            }),
            Err(why) => Err(PreviewError::Invalid(vec![(
                "display_name",
                why.to_string(),
            )])),
        }
    }
}

/// The mail with the code 1234 5678, fresh for a day.
///
/// # Errors
/// `Unrendered`.
pub(crate) fn preview(composer: &Composer, preview: Preview) -> Result<Rendered, PreviewError> {
    let sample = Offer {
        code_id: Uuid::nil(),
        account_id: Uuid::nil(),
        recipient: Recipient::parse("ada@example.com").expect("the sample's address is one"),
        name: preview.name,
        locale: preview.locale,
        digits: Digits::parse("12345678").expect("the sample's code is one"),
        expires_at: preview.now + DAY,
        turn: Turn::First,
    };
    Ok(composer.render(&sample, preview.now)?)
}
