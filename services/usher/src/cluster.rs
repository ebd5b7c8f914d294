//! `usher cluster`: what runs in pods of a Kubernetes cluster beside the services: the secrets are
//! made once.

mod kubernetes;
mod secrets;

use clap::Subcommand;

use crate::{exit::Failure, output::Format};

#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    Secrets(secrets::SecretsArguments),
}

pub(crate) async fn run(command: ClusterCommand, format: Format) -> Result<(), Failure> {
    match command {
        ClusterCommand::Secrets(arguments) => secrets::run(arguments, format).await,
    }
}
