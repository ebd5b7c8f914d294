//! `usher cluster`: what runs in pods of a Kubernetes cluster beside the services: the secrets are
//! made once, and a person signs up to see that everything works.

mod kubernetes;
mod secrets;
mod smoke;

use std::path::Path;

use clap::Subcommand;

use crate::{exit::Failure, output::Format};

#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    Secrets(secrets::SecretsArguments),
    Smoke(Box<smoke::SmokeArguments>),
}

pub(crate) async fn run(
    command: ClusterCommand,
    data: &Path,
    format: Format,
) -> Result<(), Failure> {
    match command {
        ClusterCommand::Secrets(arguments) => secrets::run(arguments, format).await,
        ClusterCommand::Smoke(arguments) => smoke::run(*arguments, data, format).await,
    }
}
