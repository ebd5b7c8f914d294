//! What can be set about accounts: by environment, file or flag. `app` builds the service from it.

use std::{path::PathBuf, time::Duration};

use kit::{
    bus::BrokerSettings,
    config::{at_least_one, duration, lease, service_url},
    serve,
};

/// The settings of accounts. Doc comments are the help and the reference in `docs/settings.md`.
#[derive(clap::Args, Debug, Clone)]
#[command(
    mut_arg("listen", |arg| arg.default_value("127.0.0.1:50051").required(false)),
    mut_arg("admin_listen", |arg| arg.default_value("127.0.0.1:50151").required(false)),
    mut_arg("database_url", |arg| {
        arg.default_value("sqlite:data/accounts.sqlite").required(false)
    })
)]
pub struct Config {
    /// What all services have
    #[command(flatten)]
    pub service: serve::ServiceSettings,

    /// The broker, and who this service is there
    #[command(flatten)]
    pub broker: BrokerSettings,

    /// How the news of a new account leaves the service
    #[arg(
        long,
        env = "USHER_DISPATCHER",
        value_enum,
        default_value = "jetstream"
    )]
    pub dispatcher: Dispatcher,

    /// Verification, http://HOST:PORT, or dns:///HOST:PORT for every address behind the name; needed by
    /// the dispatchers `inline` and `background`, which call it with the operators' token
    #[arg(long, env = "USHER_VERIFICATION_URL", hide_env_values = true, value_parser = service_url)]
    pub verification_url: Option<String>,

    /// With the dispatcher `background`: events in memory that verification has not taken, those of
    /// sign-ups under way included; further sign-ups are refused with RESOURCE_EXHAUSTED
    #[arg(long, env = "USHER_BACKGROUND_QUEUE", default_value_t = 4096, value_parser = at_least_one)]
    pub background_queue: usize,

    /// With the dispatcher `background`: calls for one event before it is dropped
    #[arg(long, env = "USHER_BACKGROUND_ATTEMPTS", default_value_t = 128, value_parser = at_least_one)]
    pub background_attempts: usize,

    /// With the dispatcher `background`: how long an event is tried before it is dropped
    #[arg(long, env = "USHER_BACKGROUND_AGE", default_value = "10m", value_parser = duration)]
    pub background_age: Duration,

    /// File with the key under which idempotency keys and requests are hashed, the same for all
    /// replicas; with SQLite made on first start if missing, by default as `fingerprint-key` beside
    /// the database
    #[arg(long, env = "USHER_FINGERPRINT_KEY_FILE")]
    pub fingerprint_key_file: Option<PathBuf>,

    /// Sign-ups that may wait for their commit, and with the dispatcher `inline` for their mail;
    /// further ones are refused with RESOURCE_EXHAUSTED
    #[arg(long, env = "USHER_SIGN_UP_QUEUE", default_value_t = 4096, value_parser = at_least_one)]
    pub sign_up_queue: usize,

    /// How long a caller of CreateAccounts may take no result of those that wait for it, until its
    /// stream and then its connection are ended
    #[arg(long, env = "USHER_BATCH_UNTAKEN", default_value = "10s", value_parser = duration)]
    pub batch_untaken: Duration,

    /// How long a caller of CreateAccounts may send nothing while it has all results, until its
    /// stream is ended
    #[arg(long, env = "USHER_BATCH_SILENT", default_value = "1m", value_parser = duration)]
    pub batch_silent: Duration,

    /// Most sign-ups of one transaction, at most 1000
    #[arg(long, env = "USHER_SIGN_UP_BATCH", default_value_t = 256, value_parser = batch_size)]
    pub sign_up_batch: usize,

    /// How long the relay's claim on an event holds before another relay may publish it
    #[arg(long, env = "USHER_OUTBOX_LEASE", default_value = "10s", value_parser = lease)]
    pub outbox_lease: Duration,

    /// How long the broker waits for an ack before it hands an event out again
    #[arg(long, env = "USHER_ACK_WAIT", default_value = "3s", value_parser = duration)]
    pub ack_wait: Duration,
}

/// The kinds of `dispatch::EventDispatcher`.
#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dispatcher {
    /// Asks verification and waits for the mail: a crash loses who waits
    Inline,
    /// Asks verification from a queue in memory: a crash loses what is in it
    Background,
    /// By outbox and JetStream: survives any crash
    Jetstream,
}

fn batch_size(text: &str) -> Result<usize, String> {
    let number = text
        .parse()
        .ok()
        // A dozen columns a row, and SQLite takes 32,766 parameters a statement.
        .filter(|number| (1..=1000).contains(number));
    number.ok_or_else(|| "expected a whole number from 1 to 1000".to_owned())
}
