//! What travels over the broker: each event's subject, type and headers.

use prost::Message;

use crate::{accounts::AccountCreated, verification::AccountVerified};

/// An event: a past-tense fact with one subject and one CloudEvents type.
pub trait Event: Message + Default {
    /// Subject it is published to; its version is part of the name.
    const SUBJECT: &'static str;
    /// CloudEvents `type`: the Protobuf message's full name.
    const TYPE: &'static str;
    /// CloudEvents `source`: the service that states the fact.
    const SOURCE: &'static str;
}

impl Event for AccountCreated {
    const SUBJECT: &'static str = "accounts.v1.account_created";
    const TYPE: &'static str = "usher.accounts.v1.AccountCreated";
    const SOURCE: &'static str = "/usher/accounts";
}

impl Event for AccountVerified {
    const SUBJECT: &'static str = "verification.v1.account_verified";
    const TYPE: &'static str = "usher.verification.v1.AccountVerified";
    const SOURCE: &'static str = "/usher/verification";
}

/// Header names: CloudEvents 1.0 binary mode (NATS protocol binding), NATS's own. The W3C
/// trace context beside them is `kit::propagation`'s.
pub mod headers {
    /// CloudEvents `id`: the event id, UUID version 7.
    pub const ID: &str = "ce-id";
    /// CloudEvents `type`.
    pub const TYPE: &str = "ce-type";
    /// CloudEvents `source`.
    pub const SOURCE: &str = "ce-source";
    /// CloudEvents `subject`: the account id.
    pub const SUBJECT: &str = "ce-subject";
    /// CloudEvents `time`, RFC 3339.
    pub const TIME: &str = "ce-time";
    /// CloudEvents `specversion`.
    pub const SPEC_VERSION: &str = "ce-specversion";
    /// The value of `ce-specversion`.
    pub const SPEC_VERSION_1_0: &str = "1.0";
    /// JetStream's key of the duplicate window.
    pub const MESSAGE_ID: &str = "Nats-Msg-Id";
}
