//! `usher mail …`: what became of mails, by the mailer's ledger of attempts, and how they look.

mod list;
mod preview;
mod show;
pub(crate) mod view;

use clap::Subcommand;

use crate::{exit::Failure, session::Session};

#[derive(Debug, Subcommand)]
pub(crate) enum MailCommand {
    List(list::ListMailsArguments),
    Show(show::ShowMailArguments),
    Preview(preview::PreviewArguments),
}

pub(crate) async fn run(command: MailCommand, session: &Session) -> Result<(), Failure> {
    match command {
        MailCommand::List(arguments) => list::run(arguments, session).await,
        MailCommand::Show(arguments) => show::run(arguments, session).await,
        MailCommand::Preview(arguments) => preview::run(arguments, session).await,
    }
}
