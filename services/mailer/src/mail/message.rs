//! Frames a mail's encoded parts as MIME, by lettre's builder only: it encodes every header and leaves no
//! bare CR or LF that could end the mail early. `transport` sends the bytes.

use std::time::SystemTime;

use lettre::{
    Address, Message,
    message::{
        Body, Mailbox, MultiPart, SinglePart,
        header::{ContentTransferEncoding, ContentType, Header, HeaderName, HeaderValue},
    },
};
use uuid::Uuid;

use crate::domain::{DisplayName, Language, Recipient, Sender};

/// The parts of a mail as they go out, quoted-printable. They hold the code: without `Debug` nothing
/// can print them.
pub(crate) struct Encoded {
    pub(crate) subject: String,
    pub(crate) text: Vec<u8>,
    pub(crate) html: Vec<u8>,
}

/// Around the parts.
#[derive(Debug)]
pub(crate) struct Frame<'a> {
    /// The mail's key. Repeating a mail repeats its Message-ID, so that a mail program can drop the
    /// second one.
    pub(crate) code_id: Uuid,
    pub(crate) sender: &'a Sender,
    pub(crate) recipient: &'a Recipient,
    pub(crate) name: &'a DisplayName,
    pub(crate) language: Language,
    pub(crate) date: SystemTime,
}

/// Why a mail cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unmailable {
    /// lettre does not take an address that `Recipient` took.
    #[error("the address cannot be written into a header")]
    Address(#[from] lettre::address::AddressError),
    /// lettre does not build the message.
    #[error("the message cannot be built")]
    Message(#[from] lettre::error::Error),
    /// A text or layout names a value that there is not.
    #[error("the template cannot be filled: {0}")]
    Template(#[from] minijinja::Error),
    /// The layouts are compiled for each of them.
    #[error("there is no layout in the mail's language")]
    Language,
    /// Beyond what a calendar has.
    #[error("the code's expiry is no date")]
    Date(#[from] time::error::ComponentRange),
}

/// The whole mail, ready for DATA but for dot-stuffing.
pub(crate) fn build(frame: &Frame<'_>, parts: Encoded) -> Result<Vec<u8>, Unmailable> {
    let sender = frame.sender.address();
    let message = Message::builder()
        .from(mailbox(frame.sender.name(), sender)?)
        .to(mailbox(frame.name.as_str(), frame.recipient)?)
        .subject(parts.subject)
        .date(frame.date)
        // The same for each attempt: a mail program that gets two can drop the second.
        .message_id(Some(format!("<{}@{}>", frame.code_id, sender.domain())))
        .header(AutoSubmitted)
        .header(ContentLanguage(frame.language))
        .multipart(
            MultiPart::alternative()
                .singlepart(part(ContentType::TEXT_PLAIN, parts.text))
                .singlepart(part(ContentType::TEXT_HTML, parts.html)),
        )?;
    Ok(message.formatted())
}

/// An address as lettre's transports take it.
pub(crate) fn address(recipient: &Recipient) -> Result<Address, lettre::address::AddressError> {
    Address::new(recipient.local(), recipient.domain())
}

fn mailbox(name: &str, recipient: &Recipient) -> Result<Mailbox, lettre::address::AddressError> {
    let name = (!name.is_empty()).then(|| name.to_owned());
    Ok(Mailbox::new(name, address(recipient)?))
}

fn part(kind: ContentType, body: Vec<u8>) -> SinglePart {
    // Always: seven bits and short lines pass every server, and no server needs to recode them,
    // which would break a signature.
    let encoding = ContentTransferEncoding::QuotedPrintable;
    SinglePart::builder()
        .header(kind)
        .header(encoding)
        .body(Body::dangerous_pre_encoded(body, encoding))
}

/// RFC 3834 §5: tells vacation responders and list software that no person wrote this.
#[derive(Debug, Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// RFC 3282.
#[derive(Debug, Clone)]
struct ContentLanguage(Language);

impl Header for ContentLanguage {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Content-Language")
    }

    fn parse(tag: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self(crate::domain::LocaleTag::new(tag).language()))
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), self.0.tag().to_owned())
    }
}
