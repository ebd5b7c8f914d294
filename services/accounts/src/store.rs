//! What accounts keep and how it is read and written: a file a table. Whatever joins a transaction
//! takes it first; `commands` open and commit it.

pub(crate) mod accounts;
pub(crate) mod idempotency_keys;

pub(crate) use accounts::{Model as Account, Status};
