//! Composes a mail out of an offer and what all mails have in common: layouts, sender, and where
//! the link leads.

use std::time::SystemTime;

use kit::clock::Timestamp;
use time::OffsetDateTime;

use super::{
    forms::Forms,
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
    forms: Forms,
    sender: Sender,
    /// Where people find Usher; no link in the mail without it.
    public_url: Option<String>,
}

impl Composer {
    /// Compiles the templates.
    pub(crate) fn new(sender: Sender, public_url: Option<String>) -> Result<Self, Unmailable> {
        let templates = Templates::compile()?;
        Ok(Self {
            forms: Forms::compile(&templates, sender.title())?,
            templates,
            sender,
            public_url,
        })
    }

    /// The mail's three parts, as they read at `now`.
    pub(crate) fn render(&self, offer: &Offer, now: Timestamp) -> Result<Rendered, Unmailable> {
        let link = self.link(offer);
        let content = self.content(offer, link.as_deref(), now)?;
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
        let link = self.link(offer);
        let content = self.content(offer, link.as_deref(), now)?;
        let parts = self.forms.fill(&self.templates, &content)?;
        Ok(ComposedMail {
            code_id: offer.code_id,
            attempt,
            from: message::address(self.sender.address())?,
            to: message::address(&offer.recipient)?,
            bytes: message::build(&frame, parts)?,
        })
    }

    fn link(&self, offer: &Offer) -> Option<String> {
        let url = self.public_url.as_ref();
        url.map(|url| format!("{url}/verify/{}", offer.code_id))
    }

    fn content<'a>(
        &'a self,
        offer: &'a Offer,
        link: Option<&'a str>,
        now: Timestamp,
    ) -> Result<Content<'a>, Unmailable> {
        let expires_at = offer.expires_at.0.div_euclid(1_000_000);
        Ok(Content {
            language: offer.locale.language(),
            sender: self.sender.title(),
            name: &offer.name,
            digits: &offer.digits,
            link,
            left: offer.expires_at.since(now),
            expires_at: OffsetDateTime::from_unix_timestamp(expires_at)?,
        })
    }
}
