//! The secrets that a service begins with, all looked for before anything else is done: in the
//! custody of operators, whatever of them is missing or wrong is waited for (`waiting`).

use std::path::Path;

use crate::{
    config::RefusedSetting,
    db::{self, DatabaseUrl},
    files::{Custody, FileRefused},
    words,
};

use super::AdminToken;

/// Those of all services.
#[derive(Debug)]
pub struct Secrets {
    /// Where its database is.
    pub database_url: DatabaseUrl,
    /// Proves that a caller is an operator.
    pub token: AdminToken,
}

/// What a service cannot begin without, and what to do about it; all of it in one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}. {advice}")]
pub(super) struct Lacking {
    pub(super) reason: String,
    pub(super) advice: String,
}

/// A look for secrets, which goes on past those that are missing.
#[derive(Debug)]
pub struct Looking {
    custody: Custody,
    database_url: Option<DatabaseUrl>,
    token: Option<AdminToken>,
    reasons: Vec<String>,
    advice: Vec<String>,
}

impl Looking {
    /// Begins with those that all services have.
    ///
    /// # Errors
    /// As `take`.
    pub(super) fn begin(
        database_url: Result<DatabaseUrl, FileRefused>,
        token_file: &Path,
    ) -> anyhow::Result<Self> {
        // An SQLite file has one process, and its secrets lie beside it. With Postgres there may be
        // replicas, and so there may with a URL that is not there yet.
        let sqlite = database_url
            .as_ref()
            .ok()
            .and_then(DatabaseUrl::sqlite_path);
        let custody = match sqlite {
            Some(path) => {
                // First: nothing is made in a folder that is refused.
                db::make_folder(path)?;
                Custody::Ours
            }
            None => Custody::Operators,
        };
        let mut looking = Self {
            custody,
            database_url: None,
            token: None,
            reasons: Vec::new(),
            advice: Vec::new(),
        };
        looking.database_url = looking.take(|_| database_url)?;
        looking.token = looking.take(|custody| AdminToken::read(token_file, custody))?;
        Ok(looking)
    }

    /// The file of an SQLite database.
    pub fn sqlite_path(&self) -> Option<&str> {
        self.database_url.as_ref()?.sqlite_path()
    }

    /// Reads one more; nothing where it is to be waited for.
    ///
    /// # Errors
    /// What ends the start: with SQLite, whatever is wrong; and a setting that no file mends.
    pub fn take<T, E: Into<anyhow::Error>>(
        &mut self,
        read: impl FnOnce(Custody) -> Result<T, E>,
    ) -> anyhow::Result<Option<T>> {
        let error = match read(self.custody) {
            Ok(secret) => return Ok(Some(secret)),
            Err(error) => error.into(),
        };
        if self.custody == Custody::Ours || error.is::<RefusedSetting>() {
            return Err(error);
        }
        match error.downcast_ref::<FileRefused>() {
            Some(refused) => self.lacks(refused.what(), refused.mend()),
            None => self.lacks(
                &words::of_chain(&error),
                "Put it right; it is read again within a second",
            ),
        }
        Ok(None)
    }

    fn lacks(&mut self, reason: &str, advice: &str) {
        self.reasons.push(reason.trim_end_matches('.').to_owned());
        let advice = format!("{}.", advice.trim_end_matches('.'));
        // The same for several is said once.
        if !self.advice.contains(&advice) {
            self.advice.push(advice);
        }
    }

    /// All that was found, with what the service `has` found besides.
    ///
    /// # Errors
    /// What is missing; `ServiceSettings::open` waits for it.
    pub fn end<T>(self, has: Option<T>) -> anyhow::Result<(Secrets, T)> {
        match (self.database_url, self.token, has) {
            (Some(database_url), Some(token), Some(own)) => {
                let secrets = Secrets {
                    database_url,
                    token,
                };
                Ok((secrets, own))
            }
            _ => Err(Lacking {
                reason: self.reasons.join("; "),
                advice: self.advice.join(" "),
            }
            .into()),
        }
    }
}
