//! What can be set about the mailer: by environment, file or flag. `app` builds the service from
//! it.

use std::{path::PathBuf, time::Duration};

use kit::{
    config::{at_least_one, duration, lease, refused_url},
    serve,
};
use url::Url;

use crate::{
    admission::Patience,
    domain::{HelloName, Sender},
    transport::{Deadlines, MailUrl},
};

/// The settings of the mailer. Doc comments are the help and the reference in `docs/settings.md`.
#[derive(clap::Args, Debug, Clone)]
#[command(
    mut_arg("listen", |arg| arg.default_value("127.0.0.1:50053").required(false)),
    mut_arg("admin_listen", |arg| arg.default_value("127.0.0.1:50153").required(false)),
    mut_arg("database_url", |arg| {
        arg.default_value("sqlite:data/mailer.sqlite").required(false)
    }),
    // One for each verification, and a second one while the first grows old.
    mut_arg("streams", |arg| arg.default_value("64"))
)]
pub struct Config {
    /// What all services have
    #[command(flatten)]
    pub service: serve::ServiceSettings,

    /// File of the keys under which addresses are recognised, `id:hex` a line, the first in use, the
    /// same for all replicas; with SQLite made on first start if missing
    #[arg(
        long,
        env = "USHER_ADDRESS_KEY_FILE",
        default_value = "data/address-keys"
    )]
    pub address_key_file: PathBuf,
    /// Where mails go:
    /// `smtp://[USER:PASSWORD@]HOST[:PORT][?tls=required|opportunistic|off][&ca=FILE.pem]`,
    /// `smtps://…` or `file:FOLDER`; `ca=` names certificates to trust besides the public
    /// authorities, an authority's or the server's own
    #[arg(
        long,
        env = "USHER_MAIL_URL",
        default_value = "file:data/mails",
        hide_env_values = true
    )]
    pub(crate) mail_url: MailUrl,
    /// File with the value of USHER_MAIL_URL, instead of that; read again every few seconds, new
    /// connections take the new one
    #[arg(long, env = "USHER_MAIL_URL_FILE", value_name = "FILE")]
    pub(crate) mail_url_file: Option<PathBuf>,
    /// Whom mails come from: `Name <address>`
    #[arg(
        long,
        env = "USHER_MAIL_FROM",
        default_value = "Usher <usher@localhost>"
    )]
    pub(crate) mail_from: Sender,
    /// What the mail server is greeted with: a full name or an address literal; by default the
    /// machine's full name, else its address
    #[arg(long, env = "USHER_MAIL_HELO")]
    pub(crate) mail_helo: Option<HelloName>,
    /// Connections to the mail server at most, and as many again for mails that it keeps waiting;
    /// second and later attempts use at most half as many
    #[arg(long, env = "USHER_MAIL_CONNECTIONS", default_value = "16", value_parser = clap::value_parser!(u16).range(2..))]
    pub mail_connections: u16,
    /// Mails held at once, over all delivery streams; clients wait with further ones
    #[arg(long, env = "USHER_MAIL_QUEUE", default_value_t = 4096, value_parser = at_least_one)]
    pub(crate) mail_queue: usize,
    /// Where people find Usher: the mail links to it; no link without it
    #[arg(long, env = "USHER_PUBLIC_URL", hide_env_values = true, value_parser = public_url)]
    pub public_url: Option<String>,
    /// How long each part of a conversation may take
    #[command(flatten)]
    pub(crate) deadlines: Deadlines,
    /// How long others are kept waiting
    #[command(flatten)]
    pub(crate) patience: Patience,
    /// How long attempts may last
    #[command(flatten)]
    pub(crate) times: Times,
}

/// How long attempts may last. These follow the real clock, not the injected one.
#[derive(clap::Args, Debug, Clone)]
pub(crate) struct Times {
    /// How long an attempt is its sender's own; renewed while it lasts
    #[arg(long, env = "USHER_MAIL_LEASE", default_value = "10s", value_parser = lease)]
    pub(crate) lease: Duration,
    /// How long attempts may go on after a stop
    #[arg(long, env = "USHER_MAIL_STOP_GRACE", default_value = "4s", value_parser = duration)]
    pub(crate) stop_grace: Duration,
}

/// `https://usher.example`, without the slash at its end.
fn public_url(text: &str) -> Result<String, String> {
    const EXPECTED: &str = "http://HOST or https://HOST, with a path if need be";
    let url = Url::parse(text).map_err(|_| refused_url(text, EXPECTED))?;
    let plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    match matches!(url.scheme(), "http" | "https") && url.has_host() && plain {
        true => Ok(url.as_str().trim_end_matches('/').to_owned()),
        false => Err(refused_url(text, EXPECTED)),
    }
}
