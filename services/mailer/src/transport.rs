//! How a mail leaves: by SMTP (`smtp`) or into a folder (`folder`), as `USHER_MAIL_URL` says now
//! (`current`).
//! `commands::deliver` hands a mail over and gets back how it ended; what that means for the ledger
//! is decided there.

#[cfg(test)]
mod any_octets;
mod attempt;
mod connect;
mod conversation;
mod current;
mod folder;
mod login;
mod mend;
mod offers;
mod smtp;
mod tls;
mod url;
mod wire;

use std::time::Duration;

use kit::config::duration;
use lettre::Address;
use uuid::Uuid;

use crate::domain::{Concern, Ground};

pub(crate) use self::{
    attempt::{Answers, Attempt, Lease, Phase},
    current::{CurrentTransport, Outfit},
    folder::Folder,
    mend::Mend,
    smtp::Smtp,
    url::MailUrl,
};

/// A finished mail with its envelope. It holds address and code: without `Debug` nothing can print
/// it.
pub(crate) struct ComposedMail {
    /// The mail's key.
    pub(crate) code_id: Uuid,
    /// Which attempt this is, by the ledger.
    pub(crate) attempt: i32,
    /// Envelope sender.
    pub(crate) from: Address,
    /// Envelope recipient.
    pub(crate) to: Address,
    /// Headers and body, CRLF line ends, not dot-stuffed.
    pub(crate) bytes: Vec<u8>,
}

/// How an attempt ended. Its reply may hold the address: without `Debug` nothing can print it.
pub(crate) struct Sent {
    pub(crate) ending: Ending,
    /// The mail server's three-digit code, if it said one.
    pub(crate) code: Option<u16>,
    /// What it said, or what happened instead; not redacted.
    pub(crate) reply: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The mail server took responsibility.
    Accepted,
    /// It refused this recipient for good, read from that.
    RecipientRefused(Ground),
    /// Not this time.
    NotNow(Cause),
    /// The final dot was sent and its answer was lost.
    Unknown(Cause),
}

/// What kept a mail from being answered as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// No connection that could be used: refused, no TLS, wrong certificate, wrong password, bad
    /// greeting; and what to do about that.
    Connection(Mend),
    /// The mail server answered the mail, with a refusal for now.
    Answer,
    /// It refused the mail for good, but for something that is not the mailbox.
    Policy(Concern),
    /// A phase passed its deadline, or the connection was given up for its silence.
    Hang,
    /// The connection was given up for a silence that means nothing yet: others waited.
    GaveWay,
    /// The connection broke, or the answer was no SMTP.
    Broken,
    /// We stopped it: the lease had passed, or the service shuts down.
    Stopped,
}

impl Sent {
    pub(crate) fn new(ending: Ending, code: Option<u16>, reply: impl Into<String>) -> Self {
        Self {
            ending,
            code,
            reply: reply.into(),
        }
    }
}

impl Cause {
    /// One word for spans.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Connection(_) => "connection",
            Self::Answer => "refused",
            Self::Policy(concern) => concern.word(),
            Self::Hang => "timeout",
            Self::GaveWay => "gave_way",
            Self::Broken => "broken",
            Self::Stopped => "stopped",
        }
    }
}

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

/// The closed set of transports.
#[derive(Debug)]
pub(crate) enum Transport {
    /// A mail server.
    Smtp(Box<Smtp>),
    /// A folder of `.eml` files.
    Folder(Folder),
}

impl Transport {
    /// Sends one mail. The caller may drop the future to give the connection up; `attempt` knows
    /// how far it came.
    pub(crate) async fn send(&self, mail: &ComposedMail, attempt: &Attempt) -> Sent {
        match self {
            Self::Smtp(smtp) => smtp.send(mail, attempt).await,
            Self::Folder(folder) => folder.write(mail, attempt).await,
        }
    }

    /// Says goodbye on the connections that are kept.
    pub(crate) async fn close(&self) {
        if let Self::Smtp(smtp) = self {
            smtp.close().await;
        }
    }
}
