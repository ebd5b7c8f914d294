//! `usher mailbox list`: what came, newest first.

use clap::Args;

use super::view::{self, Listing};
use crate::{exit::Failure, output::Format};

/// List the mails that were caught, newest first
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usher mailbox list
  usher mailbox list --to ada@example.com --limit 1 --quiet    # the id of her newest
  usher mailbox list --to @example.com --output json | jq -r '.[].subject'")]
pub(super) struct ListCaughtArguments {
    #[command(flatten)]
    listing: Listing,
}

pub(super) async fn run(arguments: ListCaughtArguments, format: Format) -> Result<(), Failure> {
    view::print_newest(arguments.listing, "", format).await
}
