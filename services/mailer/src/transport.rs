//! How a mail leaves: by SMTP (`smtp`) or into a folder (`folder`), as `USHER_MAIL_URL` says.
//! `commands::deliver` hands a mail over and gets back how it ended; what that means for the ledger
//! is decided there.

#[cfg(test)]
mod any_octets;
mod attempt;
mod connect;
mod conversation;
mod deadlines;
mod folder;
mod login;
mod offers;
mod smtp;
mod tls;
mod url;
mod wire;

use lettre::Address;
use uuid::Uuid;

use crate::domain::{Concern, Ground};

pub(crate) use self::{
    attempt::{Attempt, Lease, Phase},
    deadlines::Deadlines,
    folder::Folder,
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
    /// The class.
    pub(crate) ending: Ending,
    /// The mail server's three-digit code, if it said one.
    pub(crate) code: Option<u16>,
    /// What it said, or what happened instead; not redacted.
    pub(crate) reply: String,
}

/// Classes of endings.
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
    /// greeting.
    Connection,
    /// The mail server answered the mail, with a refusal for now.
    Answer,
    /// It refused the mail for good, but for something that is not the mailbox.
    Policy(Concern),
    /// A phase passed its deadline, or the connection was given up for its silence.
    Hang,
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
            Self::Connection => "connection",
            Self::Answer => "refused",
            Self::Policy(concern) => concern.word(),
            Self::Hang => "timeout",
            Self::Broken => "broken",
            Self::Stopped => "stopped",
        }
    }
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
