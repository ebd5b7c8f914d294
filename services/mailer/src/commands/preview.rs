//! Renders the mail with sample values, for people who look after its words and looks. Sends
//! nothing.

use std::time::Duration;

use kit::{Violation, clock::Timestamp};
use uuid::Uuid;

use crate::{
    domain::{Digits, DisplayName, Language, LocaleTag, Offer, Recipient, Turn},
    mail::{Composer, Rendered, Unmailable},
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Debug, thiserror::Error)]
pub(crate) enum PreviewError {
    #[error("the request has invalid fields")]
    Invalid(Vec<Violation>),
    /// The compiled-in templates do not fit together.
    #[error(transparent)]
    Unmailable(#[from] Unmailable),
}

/// The mail with the code 1234 5678, fresh for a day at `now`, and the language it is in.
pub(crate) fn preview(
    composer: &Composer,
    locale: &str,
    display_name: &str,
    now: Timestamp,
) -> Result<(Language, Rendered), PreviewError> {
    let name = DisplayName::parse(display_name)
        .map_err(|why| PreviewError::Invalid(vec![("display_name", why.to_string())]))?;
    let sample = Offer {
        code_id: Uuid::nil(),
        account_id: Uuid::nil(),
        recipient: Recipient::parse("ada@example.com").expect("the sample's address is one"),
        name,
        locale: LocaleTag::new(locale),
        digits: Digits::parse("12345678").expect("the sample's code is one"),
        expires_at: now + DAY,
        turn: Turn::First,
    };
    let rendered = composer.render(&sample, now)?;
    Ok((sample.locale.language(), rendered))
}
