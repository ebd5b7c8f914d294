//! Checks an offered mail and turns it into the command's offer.

use std::fmt::Display;

use kit::{clock::Timestamp, serve};
use proto::mailer::Mail;

use crate::{
    commands::refuse::Unusable,
    domain::{Digits, DisplayName, LocaleTag, Offer, Recipient, Turn},
};

/// The offer, or as much of it as can be kept and the first field that is wrong.
pub(super) fn offer(mail: &Mail) -> Result<Offer, Unusable> {
    let code_id = serve::parse_uuid(&mail.code_id);
    let account_id = serve::parse_uuid(&mail.account_id);
    let locale = LocaleTag::new(&mail.locale);
    let expires_at = mail.expires_at.as_ref().and_then(Timestamp::from_proto);
    let unusable = |field: &str, why: &dyn Display| Unusable {
        code_id: code_id.ok(),
        account_id: account_id.unwrap_or_default(),
        locale: locale.clone(),
        expires_at,
        reason: format!("{field}: {why}"),
    };
    Ok(Offer {
        code_id: code_id.map_err(|why| unusable("code_id", &why))?,
        account_id: account_id.map_err(|why| unusable("account_id", &why))?,
        recipient: Recipient::parse(&mail.email).map_err(|why| unusable("email", &why))?,
        name: DisplayName::parse(&mail.display_name)
            .map_err(|why| unusable("display_name", &why))?,
        digits: Digits::parse(&mail.digits).map_err(|why| unusable("digits", &why))?,
        expires_at: expires_at.ok_or_else(|| unusable("expires_at", &"must be a moment"))?,
        turn: match mail.attempt {
            0 | 1 => Turn::First,
            2.. => Turn::Later,
        },
        locale,
    })
}
