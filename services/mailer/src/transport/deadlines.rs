//! The patience of `connect` and `conversation`, exchange by exchange, as operators set it.

use std::time::Duration;

use kit::config::duration;

/// How long each part of a conversation may take (RFC 5321 §4.5.3.2 for the last three). They
/// follow the real clock, not the injected one.
#[derive(clap::Args, Debug, Clone)]
pub(crate) struct Deadlines {
    /// Deadline to connect to the mail server
    #[arg(long, env = "USHER_MAIL_CONNECT_DEADLINE", default_value = "10s", value_parser = duration)]
    pub(crate) connect_deadline: Duration,
    /// Deadline of the TLS handshake
    #[arg(long, env = "USHER_MAIL_TLS_DEADLINE", default_value = "10s", value_parser = duration)]
    pub(crate) tls_deadline: Duration,
    /// Deadlines of the greeting, EHLO and AUTH
    #[arg(long, env = "USHER_MAIL_GREETING_DEADLINE", default_value = "30s", value_parser = duration)]
    pub(crate) greeting_deadline: Duration,
    /// Deadlines of MAIL, RCPT and DATA
    #[arg(long, env = "USHER_MAIL_COMMAND_DEADLINE", default_value = "5m", value_parser = duration)]
    pub(crate) command_deadline: Duration,
    /// Deadline to transfer a message
    #[arg(long, env = "USHER_MAIL_DATA_DEADLINE", default_value = "2m", value_parser = duration)]
    pub(crate) data_deadline: Duration,
    /// Deadline of the answer to the final dot
    #[arg(long, env = "USHER_MAIL_REPLY_DEADLINE", default_value = "10m", value_parser = duration)]
    pub(crate) reply_deadline: Duration,
}
