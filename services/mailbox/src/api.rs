//! What is spoken over HTTP, in both directions: `http` writes it, `usher mailbox` reads it.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A mail in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// Larger than those of all mails that came before.
    pub id: Uuid,
    /// RFC 3339.
    pub received_at: String,
    /// The sender of the envelope; empty of a bounce.
    pub from: String,
    /// The recipients of the envelope.
    pub to: Vec<String>,
    /// Decoded, and cut where it is long.
    pub subject: String,
    /// Without its angle brackets; empty where there is none.
    pub message_id: String,
    /// Octets of the message.
    pub size: u64,
}

/// Mails, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailPage {
    /// Those of this page.
    pub mails: Vec<Mail>,
    /// The `after` of the next page; nothing on the last.
    pub next: Option<Uuid>,
}

/// One mail with what is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WholeMail {
    /// As in a list.
    #[serde(flatten)]
    pub mail: Mail,
    /// In their order.
    pub headers: Vec<HeaderField>,
    /// The text part, or what an HTML part says without its tags.
    pub text: Option<String>,
    /// The HTML part, as it came: never to be shown but in a sandbox.
    pub html: Option<String>,
}

/// One header field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderField {
    /// As it was written.
    pub name: String,
    /// Unfolded, not decoded.
    pub value: String,
}

/// How many mails were deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deleted {
    /// As many.
    pub deleted: usize,
}

/// Why there is no other answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// One sentence.
    pub error: String,
}
