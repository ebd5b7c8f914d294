//! `usher account …`: what a person who signs up, and an operator, do with accounts; all by gRPC.

mod confirm;
mod create;
mod list;
mod resend;
pub(crate) mod show;
pub(crate) mod timeline;
pub(crate) mod view;
mod watch;

use clap::Subcommand;

use crate::{exit::Failure, session::Session};

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Create(create::Arguments),
    Show(show::Arguments),
    List(list::Arguments),
    Confirm(confirm::Arguments),
    Resend(resend::Arguments),
    Watch(watch::Arguments),
}

/// Runs one.
pub(crate) async fn run(command: Command, session: &Session) -> Result<(), Failure> {
    match command {
        Command::Create(arguments) => create::run(arguments, session).await,
        Command::Show(arguments) => show::run(arguments, session).await,
        Command::List(arguments) => list::run(arguments, session).await,
        Command::Confirm(arguments) => confirm::run(arguments, session).await,
        Command::Resend(arguments) => resend::run(arguments, session).await,
        Command::Watch(arguments) => watch::run(arguments, session).await,
    }
}
