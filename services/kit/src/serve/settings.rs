//! What every service is told: where to listen, where its database is, what to log. A service's
//! `Config` flattens this and says its own defaults; `open` makes of it what every service begins
//! with.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::Context as _;
use sea_orm_migration::MigratorTrait;

use super::{AdminToken, ListenerSettings, Server};
use crate::{
    clock::Clock,
    db::{DatabaseUrl, Db},
    telemetry,
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

    /// File with the operators' token; made on first start if missing
    #[arg(
        long,
        env = "USHER_ADMIN_TOKEN_FILE",
        default_value = "data/admin-token"
    )]
    pub admin_token_file: PathBuf,

    /// Own database: sqlite:PATH or postgres://USER@HOST/DATABASE
    #[arg(long, env = "USHER_DATABASE_URL", hide_env_values = true)]
    pub database_url: DatabaseUrl,

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
    /// Opens the database, binds the listeners and reads the token. An SQLite database is migrated
    /// to `M`; a Postgres one is `usher migrate`'s business, and is not waited for.
    ///
    /// # Errors
    /// What cannot be opened, bound or read, as a sentence.
    pub async fn open<M: MigratorTrait>(&self, clock: Clock) -> anyhow::Result<Parts> {
        let db = Db::connect(&self.database_url, clock).await?;
        if self.database_url.sqlite_path().is_some() {
            // With SQLite the file is ours alone and nobody else would do it. On Postgres replicas
            // of two versions may run side by side: when its tables change is the operator's to
            // say.
            db.migrate::<M>()
                .await
                .context("The database cannot be migrated.")?;
        }
        let server = Server::bind(self.listen, self.admin_listen, &self.limits).await?;
        let token = AdminToken::read_or_make(&self.admin_token_file)?;
        Ok(Parts { db, server, token })
    }
}
