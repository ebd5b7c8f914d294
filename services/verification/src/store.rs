//! Every statement on verification's tables. What joins a transaction takes it first; `now` is the transaction's one
//! reading of the database's clock. Commands call these, and commit.

mod bulk;
pub(crate) mod codes;
pub(crate) mod entities;
pub(crate) mod history;
pub(crate) mod mails;
pub(crate) mod resends;
pub(crate) mod verifications;

pub(crate) use entities::{
    code::{CodeState, MailState, Model as Code},
    history::Model as HistoryEntry,
    verification::Model as Verification,
};
