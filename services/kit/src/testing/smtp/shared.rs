//! What the mail server, its sessions and the test share: how it was set up, and what has happened.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use super::script::Script;

/// How the server speaks TLS.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Tls {
    /// Not at all.
    #[default]
    Off,
    /// After STARTTLS, which it offers and does not demand.
    StartTls,
    /// From the first byte.
    Implicit,
}

/// Whether the server takes commands in groups (RFC 2920).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Pipelining {
    /// It says so.
    #[default]
    Offered,
    /// It does not offer it.
    Missing,
}

/// Who signed the server's certificate, and for whom.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Certificate {
    /// An authority made for it.
    #[default]
    Signed,
    /// Itself, as `openssl req -x509` makes it: an authority and a server in one.
    SelfSigned,
    /// An authority made for it, until a day that is past.
    Expired,
    /// An authority made for it, for a host that it is not.
    ForAnotherName,
}

/// What kind of mail server to start.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// How it speaks TLS, for `localhost` and 127.0.0.1.
    pub tls: Tls,
    /// User and password without which it takes no mail.
    pub login: Option<(String, String)>,
    /// Whether it takes commands in groups.
    pub pipelining: Pipelining,
    /// Who signed its certificate.
    pub certificate: Certificate,
}

/// A mail that the server accepted.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    /// The envelope's sender.
    pub from: String,
    /// The envelope's recipients.
    pub to: Vec<String>,
    /// Header and body as they came, without the final dot and the stuffed ones.
    pub bytes: Vec<u8>,
    /// Whether it came over TLS.
    pub encrypted: bool,
    /// What its client called itself in EHLO.
    pub hello: String,
}

impl fmt::Debug for Mail {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = String::from_utf8_lossy(&self.bytes);
        formatter
            .debug_struct("Mail")
            .field("from", &self.from)
            .field("to", &self.to)
            .field("text", &text)
            .finish()
    }
}

/// What sessions and the test share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) script: Mutex<Script>,
    pub(super) state: Mutex<Happened>,
    pub(super) changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
pub(super) struct Happened {
    pub(super) mails: Vec<Mail>,
    pub(super) final_dots: usize,
    pub(super) opened: usize,
    pub(super) open: usize,
    pub(super) peak: usize,
}

impl Shared {
    pub(super) fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, Happened> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn count_final_dot(&self) {
        self.state().final_dots += 1;
        self.changed.send_replace(());
    }

    pub(super) fn accept(&self, mail: Mail) {
        self.state().mails.push(mail);
        self.changed.send_replace(());
    }
}
