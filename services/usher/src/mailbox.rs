//! `usher mailbox …`: the mail catcher, and what its mails say; all but `serve` by its HTTP API.

pub(crate) mod client;
mod delete;
mod list;
mod search;
mod serve;
mod show;
mod view;

use std::path::Path;

use clap::{Args, Subcommand};

use crate::{exit::Failure, output::Format};

/// Catch mails instead of sending them, and read them
#[derive(Debug, Args)]
#[command(
    disable_help_subcommand = true,
    after_help = "Examples:
  usher mailbox serve                                  # SMTP on 1025; the page: http://127.0.0.1:8025
  USHER_MAIL_URL=smtp://127.0.0.1:1025 usher up        # whose mails it then catches
  usher mailbox list                                   # what came, newest first
  usher mailbox search --to ada@example.com code       # hers that say `code`
  usher mailbox show MAIL                              # one of them

`usher mailbox COMMAND --help` shows more of each."
)]
pub(crate) struct MailboxArguments {
    #[command(subcommand)]
    command: MailboxCommand,
}

#[derive(Debug, Subcommand)]
enum MailboxCommand {
    Serve(Box<serve::ServeMailboxArguments>),
    List(list::ListCaughtArguments),
    Show(show::ShowCaughtArguments),
    Search(search::SearchArguments),
    Delete(delete::DeleteArguments),
}

pub(crate) async fn run(
    arguments: MailboxArguments,
    data: &Path,
    format: Format,
    warnings: Vec<String>,
) -> Result<(), Failure> {
    match arguments.command {
        MailboxCommand::Serve(arguments) => serve::run(*arguments, data, warnings).await,
        MailboxCommand::List(arguments) => list::run(arguments, format).await,
        MailboxCommand::Show(arguments) => show::run(arguments, format).await,
        MailboxCommand::Search(arguments) => search::run(arguments, format).await,
        MailboxCommand::Delete(arguments) => delete::run(arguments, format).await,
    }
}
