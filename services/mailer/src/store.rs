//! The two tables and every statement on them: `mails` decides what may be sent, `attempts` tells operators what
//! was. `ledger` groups these statements into transactions.

pub(crate) mod attempts;
pub(crate) mod mails;
