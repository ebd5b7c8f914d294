//! What every service is told: where to listen, where its database is, what to log. A service's
//! `Config` flattens this and says its own defaults; `open` makes of it what every service begins
//! with, once its `secrets` are there.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::Context as _;
use sea_orm_migration::MigratorTrait;

use super::{AdminToken, ListenerSettings, Looking, Secrets, Server, secrets::Lacking};
use crate::{
    clock::Clock,
    config::Switch,
    db::{DatabaseUrl, Db},
    telemetry::{self, grpc::CallerTraces},
};

/// The settings that all services have. Doc comments are the help and the reference in
/// `docs/settings.md`.
#[derive(clap::Args, Debug, Clone)]
#[group(skip)] // else clap takes it and any other flattened `ServiceSettings` for the same group
pub struct ServiceSettings {
    /// Address of the gRPC listener
    #[arg(long, env = "USHER_LISTEN")]
    pub listen: SocketAddr,

    /// Address of the operators' listener: gRPC admin with a token, probes, metrics
    #[arg(long, env = "USHER_ADMIN_LISTEN")]
    pub admin_listen: SocketAddr,

    /// File with the operators' token; with SQLite made on first start if missing
    #[arg(
        long,
        env = "USHER_ADMIN_TOKEN_FILE",
        default_value = "data/admin-token"
    )]
    pub admin_token_file: PathBuf,

    /// Own database: sqlite:PATH or postgres://USER@HOST/DATABASE
    #[arg(long, env = "USHER_DATABASE_URL", hide_env_values = true)]
    pub database_url: DatabaseUrl,

    /// File with the value of USHER_DATABASE_URL, instead of that; read again every few seconds, new
    /// connections take the new one
    #[arg(long, env = "USHER_DATABASE_URL_FILE", value_name = "FILE")]
    pub database_url_file: Option<PathBuf>,

    /// What becomes of the trace that a caller on the gRPC listener names: link begins one of our
    /// own that points at it; continue goes on with it, recorded or not as the caller says, for a
    /// listener whose callers are all your own
    #[arg(
        long,
        env = "USHER_CALLER_TRACES",
        value_enum,
        default_value_t = CallerTraces::Link
    )]
    pub caller_traces: CallerTraces,

    /// Whether both listeners tell their services to tools such as grpcurl
    #[arg(long, env = "USHER_REFLECTION", value_enum, default_value_t = Switch::On)]
    pub reflection: Switch,

    /// How much strangers may take
    #[command(flatten)]
    pub limits: ListenerSettings,

    /// What is logged, and how
    #[command(flatten)]
    pub telemetry: telemetry::TelemetrySettings,
}

/// A service's database, listeners and operators' token, all open.
#[derive(Debug)]
pub struct Parts {
    /// Its own database.
    pub db: Db,
    /// Bound, but not yet answering.
    pub server: Server,
    /// Proves that a caller is an operator.
    pub token: AdminToken,
}

impl ServiceSettings {
    /// Looks for the secrets that all services have; a service goes on with its own.
    ///
    /// # Errors
    /// What ends the start: with SQLite, whatever is wrong.
    pub fn look_for_secrets(&self) -> anyhow::Result<Looking> {
        let database_url = match &self.database_url_file {
            Some(file) => DatabaseUrl::read(file),
            None => Ok(self.database_url.clone()),
        };
        Looking::begin(database_url, &self.admin_token_file)
    }

    /// Opens what every service begins with, once `look` finds all secrets: where they are brought
    /// by operators, that is waited for, and `means` says what people who sign up notice until then.
    /// An SQLite database is migrated to `M`; a Postgres one is `usher migrate`'s business, and is
    /// not waited for.
    ///
    /// # Errors
    /// What cannot be read, opened or bound, as a sentence.
    pub async fn open<M: MigratorTrait, T: Send + 'static>(
        &self,
        means: &'static str,
        clock: Clock,
        look: impl Fn() -> anyhow::Result<(Secrets, T)> + Send + Sync + 'static,
    ) -> anyhow::Result<(Parts, T)> {
        let (server, (secrets, own)) = match look() {
            Ok(found) => (None, found),
            Err(error) => {
                let lacking = error.downcast::<Lacking>()?;
                let server = self.bind().await?;
                let found = server.until_found(lacking, means, &clock, look).await?;
                (Some(server), found)
            }
        };
        let db = open_database::<M>(&secrets.database_url, clock).await?;
        // Otherwise the last: whoever can connect finds a service that has its database.
        let server = match server {
            Some(server) => server,
            None => self.bind().await?,
        };
        let token = secrets.token;
        Ok((Parts { db, server, token }, own))
    }

    async fn bind(&self) -> anyhow::Result<Server> {
        let server = Server::bind(self.listen, self.admin_listen, &self.limits).await?;
        Ok(server
            .caller_traces(self.caller_traces)
            .reflection(self.reflection))
    }
}

async fn open_database<M: MigratorTrait>(url: &DatabaseUrl, clock: Clock) -> anyhow::Result<Db> {
    let db = Db::connect(url, clock).await?;
    if url.sqlite_path().is_some() {
        // With SQLite the file is ours alone and nobody else would do it. On Postgres replicas of
        // two versions may run side by side: when its tables change is the operator's to say.
        let migrated = db.migrate::<M>().await;
        migrated.context("The tables of the database cannot be brought up to date.")?;
    }
    Ok(db)
}
