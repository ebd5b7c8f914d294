//! The mailer's settings; `app` composes the service from them.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use kit::{config::duration, db::DatabaseUrl, telemetry};
use url::Url;

use crate::{domain::Sender, transport::MailUrl};

/// Settings of the mailer.
#[derive(clap::Args, Debug, Clone)]
pub struct Config {
    /// Where the gRPC service listens
    #[arg(long, env = "USHER_LISTEN", default_value = "127.0.0.1:50053")]
    pub listen: SocketAddr,
    /// Where operators and probes ask
    #[arg(long, env = "USHER_ADMIN_LISTEN", default_value = "127.0.0.1:50153")]
    pub admin_listen: SocketAddr,
    /// File of the operators' token; made on first start
    #[arg(
        long,
        env = "USHER_ADMIN_TOKEN_FILE",
        default_value = "data/admin-token"
    )]
    pub admin_token_file: PathBuf,
    /// The mailer's own database: sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE
    #[arg(
        long,
        env = "USHER_DATABASE_URL",
        default_value = "sqlite:data/mailer.sqlite",
        hide_env_values = true
    )]
    pub database_url: DatabaseUrl,
    /// File of the keys under which addresses are recognised, `id:hex` a line, newest first; made on first
    /// start
    #[arg(
        long,
        env = "USHER_ADDRESS_KEY_FILE",
        default_value = "data/address-keys"
    )]
    pub address_key_file: PathBuf,
    /// Where mails go: smtp://[USER:PASSWORD@]HOST[:PORT][?tls=required|opportunistic|off], smtps://… or file:FOLDER
    #[arg(
        long,
        env = "USHER_MAIL_URL",
        default_value = "file:data/mails",
        hide_env_values = true
    )]
    pub(crate) mail_url: MailUrl,
    /// Whom mails come from: `Name <address>`
    #[arg(
        long,
        env = "USHER_MAIL_FROM",
        default_value = "Usher <usher@localhost>"
    )]
    pub(crate) mail_from: Sender,
    /// Connections to the mail server at most; half of them for second and later attempts
    #[arg(long, env = "USHER_MAIL_CONNECTIONS", default_value = "16", value_parser = clap::value_parser!(u16).range(2..))]
    pub mail_connections: u16,
    /// Where people find Usher: the mail links to it; no link without it
    #[arg(long, env = "USHER_PUBLIC_URL", value_parser = public_url)]
    pub public_url: Option<String>,
    /// How long attempts and streams may take
    #[command(flatten)]
    pub times: Times,
    /// What is logged, and how
    #[command(flatten)]
    pub telemetry: telemetry::Settings,
}

/// Deadlines, leases and pauses. They follow the real clock, not the injected one.
#[derive(clap::Args, Debug, Clone)]
pub struct Times {
    /// Deadline to connect to the mail server
    #[arg(long, env = "USHER_MAIL_CONNECT_DEADLINE", default_value = "10s", value_parser = duration)]
    pub connect_deadline: Duration,
    /// Deadline of the TLS handshake
    #[arg(long, env = "USHER_MAIL_TLS_DEADLINE", default_value = "10s", value_parser = duration)]
    pub tls_deadline: Duration,
    /// Deadlines of the greeting, EHLO and AUTH
    #[arg(long, env = "USHER_MAIL_GREETING_DEADLINE", default_value = "30s", value_parser = duration)]
    pub greeting_deadline: Duration,
    /// Deadlines of MAIL, RCPT and DATA
    #[arg(long, env = "USHER_MAIL_COMMAND_DEADLINE", default_value = "5m", value_parser = duration)]
    pub command_deadline: Duration,
    /// Deadline to transfer a message
    #[arg(long, env = "USHER_MAIL_DATA_DEADLINE", default_value = "2m", value_parser = duration)]
    pub data_deadline: Duration,
    /// Deadline of the answer to the final dot
    #[arg(long, env = "USHER_MAIL_REPLY_DEADLINE", default_value = "10m", value_parser = duration)]
    pub reply_deadline: Duration,
    /// A first attempt without an answer for that long gives way to others
    #[arg(long, env = "USHER_MAIL_SLOW_AFTER", default_value = "2s", value_parser = duration)]
    pub slow_after: Duration,
    /// First pause after the mail server could not be used; it doubles with each failed try
    #[arg(long, env = "USHER_MAIL_FIRST_PAUSE", default_value = "1s", value_parser = duration)]
    pub first_pause: Duration,
    /// Longest pause after the mail server could not be used
    #[arg(long, env = "USHER_MAIL_LONGEST_PAUSE", default_value = "30s", value_parser = duration)]
    pub longest_pause: Duration,
    /// How long an attempt is its sender's own; renewed while it lasts
    #[arg(long, env = "USHER_MAIL_LEASE", default_value = "10s", value_parser = duration)]
    pub lease: Duration,
    /// A delivery stream is ended at that age
    #[arg(long, env = "USHER_MAIL_STREAM_AGE", default_value = "30m", value_parser = duration)]
    pub stream_age: Duration,
    /// How long attempts may go on after a stop
    #[arg(long, env = "USHER_MAIL_STOP_GRACE", default_value = "4s", value_parser = duration)]
    pub stop_grace: Duration,
}

/// `https://usher.example`, without the slash at its end.
fn public_url(text: &str) -> Result<String, &'static str> {
    const EXPECTED: &str = "expected http://HOST or https://HOST, with a path if need be";
    let url = Url::parse(text).map_err(|_| EXPECTED)?;
    let plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    match matches!(url.scheme(), "http" | "https") && url.has_host() && plain {
        true => Ok(url.as_str().trim_end_matches('/').to_owned()),
        false => Err(EXPECTED),
    }
}
