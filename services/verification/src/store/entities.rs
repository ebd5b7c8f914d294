//! The tables as SeaORM sees them. The store's queries are built from these.

pub(crate) mod code;
pub(crate) mod history;
pub(crate) mod resend;
pub(crate) mod verification;
