//! What verification keeps and how it is read and written: a file a table, and `mails` for the
//! schedule that stands in the codes' rows. Whatever joins a transaction takes it first, and its
//! moment with it; `commands` open and commit it.

pub(crate) mod codes;
pub(crate) mod history;
pub(crate) mod mails;
pub(crate) mod resends;
pub(crate) mod verifications;

use sea_orm::{
    DbErr, RuntimeErr,
    sqlx::{self, error::ErrorKind},
};

pub(crate) use codes::{CodeState, MailState, Model as Code};
pub(crate) use mails::Claim;
pub(crate) use verifications::Model as Verification;

/// Whether the database refused what a row says, so that the same row would be refused again.
pub(crate) fn refuses_data(error: &DbErr) -> bool {
    let (DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error))) =
        error
    else {
        return false;
    };
    let sqlx::Error::Database(error) = &**error else {
        return false;
    };
    // Postgres' class 22, data exceptions; SQLite's TOOBIG and MISMATCH.
    let code = error.code().unwrap_or_default();
    !matches!(error.kind(), ErrorKind::Other)
        || (code.len() == 5 && code.starts_with("22"))
        || ["18", "20"].contains(&&*code)
}
