//! `USHER_DATABASE_URL`, or what stands in the file that `USHER_DATABASE_URL_FILE` names: what sqlx
//! would take for something else, and log, is refused here.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
};

use sea_orm::sqlx::postgres::PgConnectOptions;
use url::Url;

use crate::{
    Private,
    config::{decoded, refused_url},
    files::{self, FileRefused},
};

const EXPECTED: &str = "sqlite:PATH (a file) or postgres://USER[:PASSWORD]@HOST[:PORT]/DATABASE[?sslmode=…], user and password percent-encoded";

/// What sqlx reads of a query; the value of anything else it would write into the log.
const PARAMETERS: [&str; 18] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "ssl-mode",
    "ssl-root-cert",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
    "user",
];

/// Where a database is: `sqlite:PATH` or `postgres://…`. Never printed: it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseUrl {
    text: Private<String>,
    /// Where it stands, so that it can be read again.
    file: Option<PathBuf>,
}

impl DatabaseUrl {
    /// The URL in a file that an operator has named.
    ///
    /// # Errors
    /// When the file cannot be read, or holds no such URL.
    pub fn read(file: &Path) -> Result<Self, FileRefused> {
        let url: Self = files::brought_value(file, "The database URL")?;
        Ok(Self {
            file: Some(file.to_owned()),
            ..url
        })
    }

    /// The file that it was read from.
    pub(super) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// The file of an SQLite database.
    pub fn sqlite_path(&self) -> Option<&str> {
        let path = self.text.expose().strip_prefix("sqlite:")?;
        let path = path.strip_prefix("//").unwrap_or(path);
        Some(path.split('?').next().unwrap_or(path))
    }

    pub(super) fn text(&self) -> &str {
        self.text.expose()
    }
}

impl FromStr for DatabaseUrl {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        let is_usable = match url.strip_prefix("sqlite:") {
            Some(path) => is_file(path),
            None => is_postgres(url),
        };
        match is_usable {
            true => Ok(Self {
                text: Private::new(url.to_owned()),
                file: None,
            }),
            false => Err(refused_url(url, EXPECTED)),
        }
    }
}

fn is_file(path: &str) -> bool {
    // Each connection of a pool would have an in-memory database of its own.
    let in_memory = path.contains(":memory:") || path.contains("mode=memory");
    !in_memory && !matches!(path, "" | "//")
}

fn is_postgres(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else {
        return false;
    };
    let is_known = matches!(url.scheme(), "postgres" | "postgresql") && !url.cannot_be_a_base();
    // A password that is not percent-encoded ends where one of these begins, and the rest of it
    // would be a database, a parameter or nothing.
    let database = url.path().strip_prefix('/').unwrap_or(url.path());
    let is_whole = url.fragment().is_none()
        && !database.contains(['/', '@', ':'])
        && url.query_pairs().all(|(key, _)| is_parameter(&key));
    let is_text = [url.username(), url.password().unwrap_or_default(), database]
        .into_iter()
        .all(|part| decoded(part).is_some());
    is_known && is_whole && is_text && text.parse::<PgConnectOptions>().is_ok()
}

fn is_parameter(key: &str) -> bool {
    PARAMETERS.contains(&key) || key.starts_with("options[")
}

#[cfg(test)]
mod tests {
    use super::DatabaseUrl;

    #[test]
    fn what_sqlx_would_take_for_something_else_is_refused() {
        let refused = [
            "mysql://u:p@h/d",
            "postgres:",
            "postgres://u:12#4@h/d",
            "postgres://u:12/4@h/d",
            "postgres://u:12/4@h",
            "postgres://u:12?4@h/d",
            "postgres://u:12?sslmode=4@h/d",
            "postgres://u:1%2@h/d",
            "postgres://u:%ff@h/d",
            "postgres://u:p@h:99999/d",
            "postgres://u:p@h/d?unknown=1",
            "postgres://u:p@h/d?port=none",
            "postgres://u:p@h/d#x",
            "sqlite:",
            "sqlite::memory:",
        ];
        for url in refused {
            assert!(url.parse::<DatabaseUrl>().is_err(), "{url}");
        }
        let taken = [
            "sqlite:data/a b#c.sqlite",
            "sqlite:///var/lib/usher/a.sqlite",
            "postgres://u@h/d",
            "postgresql://u:p%23%2F%3F@[::1]:5433/d?sslmode=verify-full&sslrootcert=/a/b@c.pem",
            "postgres://u:p@ss@h/d",
            "postgres://u@%2Frun%2Fpostgresql/d",
            "postgres:///d?host=/run/postgresql&user=u",
            "postgres://u@h/d?options[search_path]=usher",
        ];
        for url in taken {
            assert!(url.parse::<DatabaseUrl>().is_ok(), "{url}");
        }
    }
}
