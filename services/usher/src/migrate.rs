//! `usher migrate`: brings databases up to date, or tells which steps they lack. The one command
//! that opens a database.

use std::path::Path;

use clap::{Args, Subcommand};
use kit::{
    clock::Clock,
    db::{DatabaseUrl, Db, MigrateError},
    files::FileRefused,
};
use serde::Serialize;

use crate::{
    exit::{Exit, Failure, sentence},
    output::{Format, table},
    service::Service,
};

/// Bring databases up to date
///
/// Without --service: the three SQLite files of the data folder, whose `usher up` must not be
/// running. With it: the database that USHER_DATABASE_URL or --database-url names. Each database is
/// migrated in one transaction; several that come at once wait for each other.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usher migrate
  usher migrate status
  usher migrate --service accounts --database-url postgres://usher_accounts@db/accounts")]
pub(crate) struct MigrateArguments {
    #[command(subcommand)]
    command: Option<MigrateCommand>,
    /// Only this service's database
    #[arg(long, value_enum, requires = "database_url", global = true)]
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
}

#[derive(Debug, Subcommand)]
enum MigrateCommand {
    /// Tell which migrations are missing; exits with 1 if any are
    Status,
}

#[derive(Debug, Serialize)]
struct DatabaseState {
    service: &'static str,
    pending: Vec<String>,
}

pub(crate) async fn run(
    arguments: MigrateArguments,
    data: &Path,
    format: Format,
) -> Result<(), Failure> {
    let databases = match (arguments.service, arguments.database_url) {
        (Some(service), Some(url)) => vec![(service, url)],
        (None, Some(_)) => {
            let message = "A database is named, but not whose it is: add --service.";
            return Err(Failure::new(Exit::Usage, message).hint("Or unset USHER_DATABASE_URL."));
        }
        _ => {
            let mut files = Vec::new();
            for service in Service::ALL {
                files.push((service, local(data, service)?));
            }
            files
        }
    };
    let mut states = Vec::new();
    for (service, url) in databases {
        let pending = match arguments.command {
            None => {
                apply(service, &url).await?;
                Vec::new()
            }
            // To open a file that is missing would make it.
            Some(MigrateCommand::Status) if is_missing(&url) => {
                vec!["all, there is no database yet".to_owned()]
            }
            Some(MigrateCommand::Status) => pending(service, &url).await?,
        };
        states.push(DatabaseState {
            service: service.name(),
            pending,
        });
    }
    format.print(&states, |states| spoken(states));
    if states.iter().any(|state| !state.pending.is_empty()) {
        let message = "Tables are not current: a service is not ready as long as its own are not, and takes no sign-ups.";
        return Err(Failure::new(Exit::Failed, message)
            .hint("`usher migrate`, with the same flags, brings them up to date."));
    }
    Ok(())
}

fn spoken(states: &[DatabaseState]) -> String {
    let mut rows = Vec::new();
    for DatabaseState { service, pending } in states {
        let state = match pending.is_empty() {
            true => "up to date".to_owned(),
            false => format!("missing: {}", pending.join(", ")),
        };
        rows.push([(*service).to_owned(), state]);
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
pub(crate) async fn apply(service: Service, url: &DatabaseUrl) -> Result<(), Failure> {
    let db = connect(url).await?;
    let applied = match service {
        Service::Accounts => db.migrate::<accounts::migrations::Migrator>().await,
        Service::Verification => db.migrate::<verification::migrations::Migrator>().await,
        Service::Mailer => db.migrate::<mailer::migrations::Migrator>().await,
    };
    applied.map_err(|error| failed(service, &db, &error))
}

async fn pending(service: Service, url: &DatabaseUrl) -> Result<Vec<String>, Failure> {
    // Without the lock that the service which runs on the file holds.
    let observed = Db::observe(url).await;
    let db = observed.map_err(unopened)?;
    let pending = match service {
        Service::Accounts => db.lacks::<accounts::migrations::Migrator>().await,
        Service::Verification => db.lacks::<verification::migrations::Migrator>().await,
        Service::Mailer => db.lacks::<mailer::migrations::Migrator>().await,
    };
    pending.map_err(|error| failed(service, &db, &error))
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
