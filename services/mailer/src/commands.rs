//! What the mailer does, one use case a file; `grpc` decodes for them and encodes what they answer.

pub(crate) mod deliver;
pub(crate) mod list_mails;
pub(crate) mod preview;
