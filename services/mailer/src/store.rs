//! The ledger's two tables and every statement on them: `mails` decides what may be sent (`ends`
//! has what ends them), `attempts` tells operators what was. Whatever joins a transaction takes it
//! first; `commands` open and commit it.

pub(crate) mod attempts;
pub(crate) mod ends;
pub(crate) mod mails;

pub(crate) use attempts::{Model as PastAttempt, Outcome};
