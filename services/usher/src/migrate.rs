//! `usher migrate`: brings databases up to date, or tells which steps they lack. The one command
//! that opens a database.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use kit::{
    clock::Clock,
    db::{DatabaseUrl, Db, MigrateError, Tables},
    files::FileRefused,
};
use serde::Serialize;

use crate::{
    exit::{Exit, Failure, sentence},
    output::{Format, table},
    service::Service,
    wait::WaitFlag,
};

/// The reason of a failure that tells of missing migrations.
const NOT_CURRENT: &str = "TABLES_NOT_CURRENT";

/// Bring databases up to date
///
/// Without --service: the three SQLite files of the data folder, whose `usher up` must not be
/// running. With it: the database that USHER_DATABASE_URL or --database-url names, or the file that
/// USHER_DATABASE_URL_FILE or --database-url-file names. Each database is migrated in one
/// transaction; several that come at once wait for each other.
///
/// Tables that a newer usher has migrated are left as they are: on Postgres this one works with them,
/// so that an upgrade can be taken back; an SQLite file is refused.
///
/// With --wait: also for a server that does not answer, a role or a database that is not made, a
/// password that is not taken, a file that is not there; and `status` until nothing is missing.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usher migrate
  usher migrate status
  usher migrate --service accounts --database-url postgres://usher_accounts@db/accounts
  usher migrate --service accounts --database-url-file /etc/usher/database-url --wait 5m
  usher migrate status --service accounts --wait 10m      # until somebody has migrated it")]
pub(crate) struct MigrateArguments {
    #[command(subcommand)]
    command: Option<MigrateCommand>,
    /// Only this service's database
    #[arg(long, value_enum, global = true)]
    service: Option<Service>,
    /// sqlite:PATH or postgres://…; used with --service
    #[arg(
        long,
        env = "USHER_DATABASE_URL",
        hide_env_values = true,
        value_name = "URL",
        global = true
    )]
    database_url: Option<DatabaseUrl>,
    /// File with that URL, instead of it
    #[arg(
        long,
        env = "USHER_DATABASE_URL_FILE",
        value_name = "FILE",
        global = true
    )]
    database_url_file: Option<PathBuf>,
    #[command(flatten)]
    wait: WaitFlag,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
enum MigrateCommand {
    /// Tell which migrations are missing; exits with 1 if any are
    Status,
}

#[derive(Debug, Serialize)]
struct DatabaseState {
    service: &'static str,
    pending: Vec<String>,
    /// A step that a newer usher has applied, with which this one works, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    newer: Option<String>,
}

/// Where a database's URL stands.
#[derive(Debug)]
enum Named {
    Url(DatabaseUrl),
    File(PathBuf),
}

pub(crate) async fn run(
    arguments: MigrateArguments,
    data: &Path,
    format: Format,
) -> Result<(), Failure> {
    let MigrateArguments {
        command,
        service,
        database_url,
        database_url_file,
        wait,
    } = arguments;
    let named = match (database_url, database_url_file) {
        (Some(_), Some(_)) => {
            let message = "USHER_DATABASE_URL (or --database-url) and USHER_DATABASE_URL_FILE (or --database-url-file) are \
                           both set: keep one of them.";
            return Err(Failure::new(Exit::Usage, message));
        }
        (Some(url), None) => Some(Named::Url(url)),
        (None, file) => file.map(Named::File),
    };
    let databases = databases(service, named, data)?;
    let states = wait.until(format, may_pass, async || {
        let states = each(command, &databases).await?;
        // Somebody else is to do it; whoever only looks shows what there is.
        match wait.is_set() {
            true => all_current(states),
            false => Ok(states),
        }
    });
    let states = states.await?;
    format.print(&states, |states| spoken(states));
    all_current(states).map(drop)
}

/// The databases that are meant.
fn databases(
    service: Option<Service>,
    named: Option<Named>,
    data: &Path,
) -> Result<Vec<(Service, Named)>, Failure> {
    match (service, named) {
        (Some(service), Some(named)) => Ok(vec![(service, named)]),
        (None, Some(_)) => {
            let message = "A database is named, but not whose it is: add --service.";
            Err(Failure::new(Exit::Usage, message)
                .hint("Or unset USHER_DATABASE_URL and USHER_DATABASE_URL_FILE."))
        }
        (Some(_), None) => {
            let message = "A service is named, but not where its database is: add --database-url or --database-url-file.";
            Err(Failure::new(Exit::Usage, message)
                .hint("Without --service: the SQLite files of the data folder."))
        }
        (None, None) => Service::ALL
            .into_iter()
            .map(|service| Ok((service, Named::Url(local(data, service)?))))
            .collect(),
    }
}

/// Migrates each database, or looks what it lacks.
async fn each(
    command: Option<MigrateCommand>,
    databases: &[(Service, Named)],
) -> Result<Vec<DatabaseState>, Failure> {
    let mut states = Vec::new();
    for (service, named) in databases {
        let url = match named {
            Named::Url(url) => url.clone(),
            Named::File(file) => DatabaseUrl::read(file)?,
        };
        let tables = match command {
            None => apply(*service, &url).await?,
            // To open a file that is missing would make it.
            Some(MigrateCommand::Status) if is_missing(&url) => Tables {
                lacks: vec!["all, there is no database yet".to_owned()],
                ..Tables::default()
            },
            Some(MigrateCommand::Status) => look(*service, &url).await?,
        };
        states.push(DatabaseState {
            service: service.name(),
            pending: tables.lacks,
            newer: tables.newer,
        });
    }
    Ok(states)
}

fn all_current(states: Vec<DatabaseState>) -> Result<Vec<DatabaseState>, Failure> {
    if states.iter().all(|state| state.pending.is_empty()) {
        return Ok(states);
    }
    let message = "Tables are not current: a service is not ready as long as its own are not, and takes no sign-ups.";
    let mut failure = Failure::new(Exit::Failed, message)
        .hint("`usher migrate`, with the same flags, brings them up to date.");
    failure.reason = Some(NOT_CURRENT.to_owned());
    Err(failure)
}

/// What somebody may mend while it is waited for.
fn may_pass(failure: &Failure) -> bool {
    let is_not_current = failure.reason.as_deref() == Some(NOT_CURRENT);
    matches!(failure.exit, Exit::Unavailable | Exit::Refused) || is_not_current
}

fn spoken(states: &[DatabaseState]) -> String {
    let mut rows = Vec::new();
    for state in states {
        let said = match &state.newer {
            Some(newer) => format!("up to date, and newer than this usher ({newer})"),
            None if state.pending.is_empty() => "up to date".to_owned(),
            None => format!("missing: {}", state.pending.join(", ")),
        };
        rows.push([state.service.to_owned(), said]);
    }
    table(["DATABASE", "STATE"], rows)
}

/// A service's file in a data folder.
pub(crate) fn local_url(data: &Path, service: Service) -> String {
    let file = data.join(format!("{}.sqlite", service.name()));
    format!("sqlite:{}", file.display())
}

/// The same, to be opened.
pub(crate) fn local(data: &Path, service: Service) -> Result<DatabaseUrl, Failure> {
    local_url(data, service)
        .parse()
        .map_err(|problem| Failure::new(Exit::Usage, problem))
}

/// Applies what is missing.
pub(crate) async fn apply(service: Service, url: &DatabaseUrl) -> Result<Tables, Failure> {
    let db = connect(url).await?;
    let applied = match service {
        Service::Accounts => db.migrate::<accounts::migrations::Migrator>().await,
        Service::Verification => db.migrate::<verification::migrations::Migrator>().await,
        Service::Mailer => db.migrate::<mailer::migrations::Migrator>().await,
    };
    applied.map_err(|error| failed(service, &db, &error))
}

async fn look(service: Service, url: &DatabaseUrl) -> Result<Tables, Failure> {
    // Without the lock that the service which runs on the file holds.
    let observed = Db::observe(url).await;
    let db = observed.map_err(unopened)?;
    let tables = match service {
        Service::Accounts => db.tables::<accounts::migrations::Migrator>().await,
        Service::Verification => db.tables::<verification::migrations::Migrator>().await,
        Service::Mailer => db.tables::<mailer::migrations::Migrator>().await,
    };
    tables.map_err(|error| failed(service, &db, &error))
}

fn is_missing(url: &DatabaseUrl) -> bool {
    url.sqlite_path()
        .is_some_and(|path| !Path::new(path).exists())
}

async fn connect(url: &DatabaseUrl) -> Result<Db, Failure> {
    let connected = Db::connect(url, Clock::default()).await;
    connected.map_err(unopened)
}

fn unopened(error: anyhow::Error) -> Failure {
    match error.downcast::<FileRefused>() {
        Ok(refused) => refused.into(),
        Err(error) => Failure::new(Exit::Unavailable, sentence(&error)),
    }
}

fn failed(service: Service, db: &Db, error: &MigrateError) -> Failure {
    // A database that is away may be back later.
    let exit = match error.is_away() {
        true => Exit::Unavailable,
        false => Exit::Failed,
    };
    let name = service.name();
    let what = format!("The database of {name} cannot be brought up to date: {error}.");
    match error.advice(db) {
        Some(advice) => Failure::new(exit, what).hint(advice),
        None => Failure::new(exit, what),
    }
}
