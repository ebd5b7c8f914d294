//! Composes a mail out of an offer and what all mails have in common: layouts, sender, and where
//! the link leads.

use std::time::SystemTime;

use kit::clock::Timestamp;
use time::OffsetDateTime;

use super::{
    message::{self, Frame, Unmailable},
    template::{Content, Rendered, Templates},
};
use crate::{
    domain::{Offer, Sender},
    transport::ComposedMail,
};

/// What all mails have in common.
#[derive(Debug)]
pub(crate) struct Composer {
    templates: Templates,
    sender: Sender,
    /// Where people find Usher; no link in the mail without it.
    public_url: Option<String>,
}

impl Composer {
    /// Compiles the templates.
    pub(crate) fn new(sender: Sender, public_url: Option<String>) -> Result<Self, Unmailable> {
        Ok(Self {
            templates: Templates::compile()?,
            sender,
            public_url,
        })
    }

    /// The mail's three parts, as they read at `now`.
    pub(crate) fn render(&self, offer: &Offer, now: Timestamp) -> Result<Rendered, Unmailable> {
        let link = self
            .public_url
            .as_ref()
            .map(|url| format!("{url}/verify/{}", offer.code_id));
        let expires_at = offer.expires_at.0.div_euclid(1_000_000);
        let content = Content {
            language: offer.locale.language(),
            sender: self.sender.title(),
            name: &offer.name,
            digits: &offer.digits,
            link: link.as_deref(),
            left: offer.expires_at.since(now),
            expires_at: OffsetDateTime::from_unix_timestamp(expires_at)?,
        };
        Ok(self.templates.render(&content)?)
    }

    /// The whole mail with its envelope.
    pub(crate) fn compose(
        &self,
        offer: &Offer,
        attempt: i32,
        now: Timestamp,
    ) -> Result<ComposedMail, Unmailable> {
        let frame = Frame {
            code_id: offer.code_id,
            sender: &self.sender,
            recipient: &offer.recipient,
            name: &offer.name,
            language: offer.locale.language(),
            date: SystemTime::UNIX_EPOCH + now.since(Timestamp(0)),
        };
        let rendered = self.render(offer, now)?;
        Ok(ComposedMail {
            code_id: offer.code_id,
            attempt,
            from: message::address(self.sender.address())?,
            to: message::address(&offer.recipient)?,
            bytes: message::build(&frame, rendered)?,
        })
    }
}
