//! What can be set about the mail catcher: by flags. `app` runs it as they say.

use std::{net::SocketAddr, path::PathBuf};

use kit::{config::at_least_one, telemetry::TelemetrySettings};

/// The settings. Doc comments are the help.
#[derive(clap::Args, Debug, Clone)]
pub struct Config {
    /// Folder for the mails, made if it is missing: `mails` in it is the mailbox's alone [default:
    /// mailbox in the folder of --data]
    #[arg(long, value_name = "DIR")]
    pub folder: Option<PathBuf>,
    /// Where SMTP is spoken
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:1025")]
    pub(crate) smtp: SocketAddr,
    /// Where HTTP is spoken: the page, the API, /livez and /readyz; whoever reaches it reads all
    /// mails
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8025")]
    pub(crate) http: SocketAddr,
    /// File with `user:password` lines, read anew at each login: mails are taken after AUTH only
    #[arg(long, value_name = "FILE")]
    pub(crate) login_file: Option<PathBuf>,
    /// How many mails are kept; the oldest go first
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = at_least_one)]
    pub(crate) keep: usize,
    /// The log.
    #[command(flatten)]
    pub telemetry: TelemetrySettings,
}
