//! What verification keeps and how it is read and written: a file a table; of the codes' rows `mails`
//! has the schedule, `unsendable` what can only be replaced, and `keys` what their keys come to.
//! Whatever joins a transaction takes it first, and its moment with it; `commands` open and commit it.

pub(crate) mod codes;
pub(crate) mod history;
pub(crate) mod keys;
pub(crate) mod mails;
pub(crate) mod resends;
pub(crate) mod unsendable;
pub(crate) mod verifications;

pub(crate) use codes::{CodeState, MailState, Model as Code};
pub(crate) use mails::Claim;
pub(crate) use verifications::Model as Verification;
