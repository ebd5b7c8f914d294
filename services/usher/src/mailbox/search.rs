//! `usher mailbox search`: the mails that say something.

use clap::Args;

use super::{client::MailboxTarget, view};
use crate::{
    exit::Failure,
    output::{self, Format},
};

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

pub(super) async fn run(arguments: SearchArguments, format: Format) -> Result<(), Failure> {
    let SearchArguments {
        words,
        to,
        limit,
        mailbox,
    } = arguments;
    view::print_newest(&mailbox.client(), &to, &words, limit, format).await
}
