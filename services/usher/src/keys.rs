//! `usher keys …`: the key ring from which verification derives codes, changed in three steps, each
//! of which is safe while replicas have read different files: `generate` appends a key that is known
//! and not used, `activate` puts it first, `retire` marks the old one as gone.

mod activate;
mod generate;
mod list;
mod replicas;
mod retire;
mod ring_file;

use std::path::Path;

use clap::Subcommand;

use crate::{exit::Failure, session::Session};

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    Generate(generate::GenerateArguments),
    Activate(activate::ActivateArguments),
    Retire(retire::RetireArguments),
    List(list::ListKeysArguments),
}

pub(crate) async fn run(
    command: KeysCommand,
    data: &Path,
    session: &Session,
) -> Result<(), Failure> {
    match command {
        KeysCommand::Generate(arguments) => generate::run(arguments, data, session),
        KeysCommand::Activate(arguments) => activate::run(arguments, data, session).await,
        KeysCommand::Retire(arguments) => retire::run(arguments, data, session).await,
        KeysCommand::List(arguments) => list::run(arguments, data, session).await,
    }
}
