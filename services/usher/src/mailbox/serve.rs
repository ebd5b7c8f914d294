//! `usher mailbox serve`: the mail catcher in this process, until a signal comes.

use std::path::Path;

use clap::Args;
use kit::serve;
use mailbox::{app, config::Config};

use crate::exit::Failure;

/// Catch mails: SMTP in, a page and an API over HTTP
///
/// Every mail is kept as a file and brought to the disk before it is answered by 250; none is sent
/// on. A full disk is told to the sender, who tries again. SIGTERM lets it finish what was being
/// sent, within five seconds.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usher mailbox serve
  usher mailbox serve --folder /var/lib/mailbox --smtp 0.0.0.0:1025 --http 0.0.0.0:8025
  usher mailbox serve --login-file login --keep 500      # a line of it: usher:secret

Over HTTP:
  /                              the page
  GET /api/v1/mails              oldest first; ?to=ADDRESS, ?text=WORDS, ?after=MAIL, ?limit=N
  GET /api/v1/mails/MAIL         with headers, text and html; …/raw is the message itself
  DELETE /api/v1/mails/MAIL      one of them; DELETE /api/v1/mails?to=…&text=… those")]
pub(crate) struct ServeMailboxArguments {
    #[command(flatten)]
    config: Config,
}

pub(super) async fn run(
    arguments: ServeMailboxArguments,
    data: &Path,
    warnings: Vec<String>,
) -> Result<(), Failure> {
    // From now on: a signal must not end the process while a folder is being read.
    let terminated = serve::terminated()?;
    let mut config = arguments.config;
    config.telemetry.warnings = warnings;
    Ok(app::run(config, data.join("mailbox"), terminated).await?)
}
