//! `usher account …`: what a person who signs up, and an operator, do with accounts; all by gRPC.

mod confirm;
mod create;
mod follow;
mod import;
mod list;
mod resend;
pub(crate) mod show;
pub(crate) mod timeline;
pub(crate) mod view;
mod watch;
mod whom;

use clap::Subcommand;

use crate::{exit::Failure, session::Session};

#[derive(Debug, Subcommand)]
pub(crate) enum AccountCommand {
    Create(create::CreateArguments),
    Import(import::ImportArguments),
    Show(show::ShowAccountArguments),
    List(list::ListAccountsArguments),
    Confirm(confirm::ConfirmArguments),
    Resend(resend::ResendArguments),
    Watch(watch::WatchArguments),
}

pub(crate) async fn run(command: AccountCommand, session: &Session) -> Result<(), Failure> {
    match command {
        AccountCommand::Create(arguments) => create::run(arguments, session).await,
        AccountCommand::Import(arguments) => import::run(arguments, session).await,
        AccountCommand::Show(arguments) => show::run(arguments, session).await,
        AccountCommand::List(arguments) => list::run(arguments, session).await,
        AccountCommand::Confirm(arguments) => confirm::run(arguments, session).await,
        AccountCommand::Resend(arguments) => resend::run(arguments, session).await,
        AccountCommand::Watch(arguments) => watch::run(arguments, session).await,
    }
}
