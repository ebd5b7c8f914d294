//! What the mailer does, one use case a file; `grpc` decodes for them and encodes what they answer.

pub mod deliver;
pub mod list_mails;
pub mod preview;
