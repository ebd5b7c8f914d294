//! What may go wrong with a database, by what the caller can do about it.

use std::sync::Arc;

use sea_orm::{
    DbErr, RuntimeErr,
    sqlx::{self, error::ErrorKind},
};

use crate::words;

/// Postgres' words for a schema that is older than this program: it is migrated by somebody else, any
/// moment.
const UNDEFINED_TABLE: &str = "42P01";
const UNDEFINED_COLUMN: &str = "42703";

/// What `gone` says: SeaORM has no kind of error for it.
const GONE: &str = "the database's file was deleted, moved or replaced";

/// The store did not do its part. Nothing was written, but for a commit whose answer was lost.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Locked, unreachable or out of space: the same command may succeed later.
    #[error("{}", in_words(.0))]
    Unavailable(Arc<DbErr>),
    /// A bug, or data that the database refuses: the same command would only fail again.
    #[error("the database refused: {}", in_words(.0))]
    Unexpected(Arc<DbErr>),
}

impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> Self {
        match is_away(&error) {
            true => Self::Unavailable(Arc::new(error)),
            false => Self::Unexpected(Arc::new(error)),
        }
    }
}

/// Why a database takes no writes, as far as its errors tell: for operators, who can do something
/// about each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// Unreachable, or silent for too long.
    #[error("the database does not answer")]
    Away,
    /// The server answers, and does not know us.
    #[error("the database refuses the login")]
    Login,
    /// The server answers, and has no database of that name.
    #[error("the server has no such database")]
    NoDatabase,
    /// Its lock was not to be had in time.
    #[error("the database is locked: somebody else writes, and does not come to an end")]
    Locked,
    /// A replica, a server that was demoted, a file without permission.
    #[error("the database is read-only")]
    ReadOnly,
    /// No space is left where it lies.
    #[error("the database is full")]
    Full,
    /// An SQLite file that was deleted, moved or replaced while it is open.
    #[error("the database's file was deleted, moved or replaced while it is open")]
    Gone,
    /// A table is missing.
    #[error("the database's tables are not current")]
    NotCurrent,
    /// What lies there is no database, or not all of one.
    #[error("the database is damaged")]
    Damaged,
}

impl Trouble {
    /// What to do about it; of a file, `Db::advice` says more.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Away => {
                "Bring the database back, or correct USHER_DATABASE_URL; the service goes on by itself."
            }
            Self::Login => {
                "Correct user and password in USHER_DATABASE_URL (percent-encode what is special: `#` is %23, `/` %2F, \
                 `@` %40), or the server's roles and pg_hba.conf."
            }
            Self::NoDatabase => {
                "Correct the name at the end of USHER_DATABASE_URL, or make the database (`createdb`); then run `usher \
                 migrate`."
            }
            Self::Locked => {
                "Find the program that holds it open (`fuser`, `pg_locks`), and end that one's transaction."
            }
            Self::ReadOnly => {
                "Let it take writes, or USHER_DATABASE_URL lead to the server that does (a replica cannot)."
            }
            Self::Full => "Free space where the database lies; the service goes on by itself.",
            Self::Gone => {
                "Put back the file that USHER_DATABASE_URL names. If it was deleted, the service still has it open: copy \
                 it from /proc/PID/fd before the service is stopped; else restore a backup. Then restart."
            }
            Self::NotCurrent => "`usher migrate` brings them up to date.",
            Self::Damaged => "Stop the service and restore the database from a copy.",
        }
    }

    pub(super) fn of_error(error: &sqlx::Error) -> Self {
        // Anything that is no answer of the database's: sockets, pools, a driver that gave up.
        let sqlx::Error::Database(error) = error else {
            return Self::Away;
        };
        let code = error.code().unwrap_or_default();
        match (code.parse::<u32>(), &*code) {
            (Ok(number), _) if code.len() != 5 => match number & 0xff {
                1 => Self::NotCurrent, // ERROR: there is no such table
                // BUSY and LOCKED, READONLY, FULL; below, the same among Postgres' SQLSTATEs.
                5 | 6 => Self::Locked,
                8 => Self::ReadOnly,
                13 => Self::Full,
                11 | 26 => Self::Damaged, // CORRUPT, NOTADB
                _ => Self::Away,
            },
            (_, "25006") => Self::ReadOnly,
            (_, "53100") => Self::Full,
            (_, "55P03") => Self::Locked,
            (_, UNDEFINED_TABLE | UNDEFINED_COLUMN) => Self::NotCurrent,
            (_, "3D000") => Self::NoDatabase,
            (_, "XX001" | "XX002") => Self::Damaged,
            (_, code) if code.starts_with("28") => Self::Login,
            _ => Self::Away,
        }
    }
}

impl From<&DbErr> for Trouble {
    fn from(error: &DbErr) -> Self {
        match error {
            DbErr::Conn(RuntimeErr::SqlxError(error))
            | DbErr::Exec(RuntimeErr::SqlxError(error))
            | DbErr::Query(RuntimeErr::SqlxError(error)) => Self::of_error(error),
            DbErr::Conn(RuntimeErr::Internal(why)) if why == GONE => Self::Gone,
            _ => Self::Away,
        }
    }
}

/// The database's file is gone or another one: it counts as away, until it is there again.
pub(super) fn gone() -> DbErr {
    DbErr::Conn(RuntimeErr::Internal(GONE.to_owned()))
}

/// A library's error in our words.
pub(super) fn in_words(error: &DbErr) -> String {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => of_driver(error),
        DbErr::ConnectionAcquire(_) => Trouble::Away.to_string(),
        error => error.to_string(),
    }
}

/// What is known of a driver's error, else the database's own sentence.
pub(super) fn of_driver(error: &sqlx::Error) -> String {
    match (Trouble::of_error(error), error) {
        (Trouble::Away, sqlx::Error::Database(error)) => error.message().to_owned(),
        // Which table it is that is missing helps; of SQLite the same code may mean anything.
        (trouble @ Trouble::NotCurrent, sqlx::Error::Database(error))
            if error.code().is_some_and(|code| code.len() == 5) =>
        {
            format!("{trouble}: {}", error.message())
        }
        (Trouble::Away, sqlx::Error::Io(error)) => words::of_io(error),
        (Trouble::NotCurrent, _) | (Trouble::Away, _) => error.to_string(),
        (trouble, _) => trouble.to_string(),
    }
}

/// Whether the database could not be used just now: locked, timed out, unreachable, out of space.
/// The work may be done again later as it is; any other error would only come again.
pub fn is_away(error: &DbErr) -> bool {
    let (DbErr::Exec(runtime) | DbErr::Query(runtime)) = error else {
        // No connection was to be had, or the transaction's time was over. Why one could not be
        // made says nothing of what was to be run on it, whatever the server's code for that is.
        return matches!(error, DbErr::Conn(_) | DbErr::ConnectionAcquire(_));
    };
    // Without a code nobody can say that it would come again: once more is the cheaper mistake.
    let RuntimeErr::SqlxError(error) = runtime else {
        return true;
    };
    match &**error {
        sqlx::Error::Database(error) => error.code().is_some_and(|code| is_away_code(&code)),
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => true,
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => true,
        _ => false,
    }
}

/// SQLite's result codes (<https://sqlite.org/rescode.html>), printed as decimal numbers whose low
/// byte is the primary code, and Postgres' five-character SQLSTATEs.
fn is_away_code(code: &str) -> bool {
    const BUSY_LOCKED_READONLY_IOERR_FULL_CANTOPEN: [u32; 6] = [5, 6, 8, 10, 13, 14];
    // Connection, insufficient resources, operator intervention, system error (a file that cannot
    // be read or written), rollback (serialization, deadlock), invalid transaction state (left
    // behind by a lost connection), lock not available.
    // And tables that are not current, which no work of ours makes so: it waits for the migration.
    const SQLSTATES: [&str; 9] = [
        "08",
        "53",
        "57",
        "58",
        "40",
        "25",
        "55P03",
        UNDEFINED_TABLE,
        UNDEFINED_COLUMN,
    ];
    match code.parse::<u32>() {
        Ok(number) if code.len() != 5 => {
            BUSY_LOCKED_READONLY_IOERR_FULL_CANTOPEN.contains(&(number & 0xff))
        }
        _ => SQLSTATES.iter().any(|class| code.starts_with(class)),
    }
}

/// Whether the database refused what a row says, so that the same row would be refused again.
pub fn refuses_data(error: &DbErr) -> bool {
    let (DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error))) =
        error
    else {
        return false;
    };
    let sqlx::Error::Database(error) = &**error else {
        return false;
    };
    if !matches!(error.kind(), ErrorKind::Other) {
        return true;
    }
    let code = error.code().unwrap_or_default();
    match code.parse::<u32>() {
        // SQLite's TOOBIG, CONSTRAINT in all its kinds (a trigger's, too), and MISMATCH.
        Ok(number) if code.len() != 5 => [18, 19, 20].contains(&(number & 0xff)),
        // Postgres' data exceptions, integrity constraints, and what a trigger raises.
        _ => ["22", "23", "P0001"]
            .iter()
            .any(|class| code.starts_with(class)),
    }
}
