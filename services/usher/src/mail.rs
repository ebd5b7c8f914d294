//! `usher mail …`: what became of mails, by the mailer's ledger of attempts, and how they look.

mod list;
mod preview;
mod show;
pub(crate) mod view;

use clap::Subcommand;

use crate::{exit::Failure, session::Session};

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    List(list::Arguments),
    Show(show::Arguments),
    Preview(preview::Arguments),
}

/// Runs one.
pub(crate) async fn run(command: Command, session: &Session) -> Result<(), Failure> {
    match command {
        Command::List(arguments) => list::run(arguments, session).await,
        Command::Show(arguments) => show::run(arguments, session).await,
        Command::Preview(arguments) => preview::run(arguments, session).await,
    }
}
