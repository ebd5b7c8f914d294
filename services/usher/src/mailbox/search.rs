//! `usher mailbox search`: the mails that say something.

use clap::Args;

use super::view::{self, Listing};
use crate::{exit::Failure, output::Format};

/// Find mails by what they say, newest first
///
/// Looked for in addresses, subject, Message-ID and bodies, whether in capitals or not.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usher mailbox search verification
  usher mailbox search 'your code' --to ada@example.com --quiet | head -1")]
pub(super) struct SearchArguments {
    /// What they say
    #[arg(value_name = "WORDS", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    words: String,
    #[command(flatten)]
    listing: Listing,
}

pub(super) async fn run(arguments: SearchArguments, format: Format) -> Result<(), Failure> {
    let SearchArguments { words, listing } = arguments;
    view::print_newest(listing, &words, format).await
}
