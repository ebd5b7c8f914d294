//! `usher mailbox`, from outside: mails go in by SMTP and are read by HTTP and by commands.
//! `ground` starts it and speaks to it.

mod commands;
pub(crate) mod ground;
mod keeping;
mod page;
mod taking;
