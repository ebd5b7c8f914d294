//! `usher mailbox list`: what came, newest first.

use clap::Args;

use super::{client::MailboxTarget, view};
use crate::{
    exit::Failure,
    output::{self, Format},
};

/// List the mails that were caught, newest first
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usher mailbox list
  usher mailbox list --to ada@example.com --limit 1 --quiet    # the id of her newest
  usher mailbox list --to @example.com --output json | jq -r '.[].subject'")]
pub(super) struct ListCaughtArguments {
    /// Only those to this address, or, as @example.com, to this domain
    #[arg(
        long,
        value_name = "ADDRESS",
        default_value = "",
        hide_default_value = true
    )]
    to: String,
    /// How many at most
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = output::limit)]
    limit: usize,
    #[command(flatten)]
    mailbox: MailboxTarget,
}

pub(super) async fn run(arguments: ListCaughtArguments, format: Format) -> Result<(), Failure> {
    let ListCaughtArguments { to, limit, mailbox } = arguments;
    view::print_newest(&mailbox.client(), &to, "", limit, format).await
}
