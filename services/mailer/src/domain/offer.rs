//! A mail as a client offers it, checked. `grpc` decodes it, and one and the same offer is looked
//! up, claimed, composed and answered.

use kit::clock::Timestamp;
use uuid::Uuid;

use super::{Digits, DisplayName, LocaleTag, Recipient};

/// The template's name in the ledger and in spans.
pub(crate) const TEMPLATE: &str = "verification";

/// A verification mail to deliver.
#[derive(Debug, Clone)]
pub(crate) struct Offer {
    /// The mail's key.
    pub(crate) code_id: Uuid,
    pub(crate) account_id: Uuid,
    pub(crate) recipient: Recipient,
    pub(crate) name: DisplayName,
    pub(crate) locale: LocaleTag,
    pub(crate) digits: Digits,
    /// When the code stops working.
    pub(crate) expires_at: Timestamp,
    pub(crate) turn: Turn,
}

/// Whether a mail is offered for the first time: later attempts may use fewer connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    First,
    Later,
}
