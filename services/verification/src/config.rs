//! What can be set about verification: by environment, file or flag. `app` builds the service from
//! it.

use std::{path::PathBuf, time::Duration};

use kit::{
    bus::BrokerSettings,
    config::{at_least_one, duration, lease, service_url},
    serve,
};

use crate::domain::CodeLength;

/// The settings of verification. Doc comments are the help and the reference in `docs/settings.md`.
#[derive(clap::Args, Debug, Clone)]
#[command(
    mut_arg("listen", |arg| arg.default_value("127.0.0.1:50052").required(false)),
    mut_arg("admin_listen", |arg| arg.default_value("127.0.0.1:50152").required(false)),
    mut_arg("database_url", |arg| {
        arg.default_value("sqlite:data/verification.sqlite").required(false)
    })
)]
pub struct Config {
    /// What all services have
    #[command(flatten)]
    pub service: serve::ServiceSettings,

    /// The broker, and who this service is there
    #[command(flatten)]
    pub broker: BrokerSettings,

    /// Mailers, http://HOST:PORT, or dns:///HOST:PORT for every address behind the name, separated by
    /// commas; one delivery stream is kept to each
    #[arg(
        long,
        env = "USHER_MAILER_URL",
        hide_env_values = true,
        value_delimiter = ',',
        value_parser = service_url,
        default_value = "http://127.0.0.1:50053"
    )]
    pub mailer_url: Vec<String>,

    /// File with the keys that codes are derived from, `id:hex` a line, the first in use, the same
    /// for all replicas; with SQLite made on first start if missing; read again every 5 s; `usher
    /// keys` changes it
    #[arg(long, env = "USHER_CODE_KEYS_FILE", default_value = "data/code-keys")]
    pub code_keys_file: PathBuf,

    /// Digits of a code, 6 to 10; guesses are limited to 25 a day, which 8 digits make 2.5e-7
    #[arg(long, env = "USHER_CODE_DIGITS", default_value = "8")]
    pub code_digits: CodeLength,

    /// How long a code confirms
    #[arg(long, env = "USHER_CODE_LIFETIME", default_value = "24h", value_parser = duration)]
    pub code_lifetime: Duration,

    /// How long a claim on a mail holds before another replica may send it; renewed three times in
    /// that time
    #[arg(long, env = "USHER_DELIVERY_LEASE", default_value = "10s", value_parser = lease)]
    pub delivery_lease: Duration,

    /// How often the database is looked at for mails that nobody handed over
    #[arg(long, env = "USHER_DELIVERY_TICK", default_value = "1s", value_parser = duration)]
    pub delivery_tick: Duration,

    /// Most mails in memory; further ones wait in the database
    #[arg(long, env = "USHER_DELIVERY_QUEUE", default_value_t = 2048, value_parser = at_least_one)]
    pub delivery_queue: usize,

    /// Most calls of IssueCode that wait for their commit, and as many that wait for their mail;
    /// further ones are refused with RESOURCE_EXHAUSTED
    #[arg(long, env = "USHER_ISSUE_QUEUE", default_value_t = 1024, value_parser = at_least_one)]
    pub issue_queue: usize,

    /// How long the relay's claim on an event holds before another relay may publish it
    #[arg(long, env = "USHER_OUTBOX_LEASE", default_value = "10s", value_parser = lease)]
    pub outbox_lease: Duration,

    /// How long the broker waits for an ack before it hands an event out again
    #[arg(long, env = "USHER_ACK_WAIT", default_value = "3s", value_parser = duration)]
    pub ack_wait: Duration,
}
