//! `USHER_MAIL_URL`, or what stands in the file that `USHER_MAIL_URL_FILE` names, taken apart; `smtp`
//! and `folder` are made from it.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
};

use kit::{
    Private,
    config::{decoded, refused_url},
    files::{self, FileRefused},
};
use url::Url;

/// Where mails go. The password is never shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MailUrl {
    /// `smtp://` and `smtps://`
    Smtp(SmtpServer),
    /// `file:`
    Folder(PathBuf),
}

/// A mail server and how to speak to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SmtpServer {
    /// Host name, which its certificate must bear, or address.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tls: Tls,
    pub(crate) credentials: Option<Private<Credentials>>,
    /// PEM file of certificates to trust besides the public authorities: an authority's, or the
    /// server's own.
    pub(crate) authority: Option<PathBuf>,
}

/// A login. Both are in the clear: only `connect` looks.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(super) user: String,
    pub(super) password: String,
}

/// Encryption of an SMTP connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tls {
    /// From the first byte on: `smtps://`.
    Implicit,
    /// STARTTLS, or no mail.
    Required,
    /// STARTTLS where it is offered. A certificate that does not fit still means no mail.
    Opportunistic,
    /// Never.
    Off,
}

const EXPECTED: &str = "smtp://[USER:PASSWORD@]HOST[:PORT][?tls=required|opportunistic|off][&ca=FILE.pem], \
                        smtps://[USER:PASSWORD@]HOST[:PORT][?ca=FILE.pem] or file:FOLDER, user and password percent-encoded";

impl MailUrl {
    /// The URL in a file that an operator has named.
    ///
    /// # Errors
    /// When the file cannot be read, or holds no such URL.
    pub(crate) fn read(file: &Path) -> Result<Self, FileRefused> {
        files::brought_value(file, "The mail URL")
    }
}

impl FromStr for MailUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        read(text).ok_or_else(|| refused_url(text, EXPECTED))
    }
}

fn read(text: &str) -> Option<MailUrl> {
    if let Some(folder) = text.strip_prefix("file:") {
        let folder = folder.strip_prefix("//").unwrap_or(folder);
        return (!folder.is_empty()).then(|| MailUrl::Folder(folder.into()));
    }
    let url = Url::parse(text).ok()?;
    // A password that is not percent-encoded ends where one of these begins, and the rest would be
    // ignored.
    if url.fragment().is_some() || !matches!(url.path(), "" | "/") {
        return None;
    }
    let credentials = credentials(&url)?;
    let (mut tls, port) = match (url.scheme(), &credentials) {
        ("smtps", _) => (Tls::Implicit, 465),
        // A password without encryption is only sent where the URL says so.
        ("smtp", Some(_)) => (Tls::Required, 587),
        ("smtp", None) => (Tls::Opportunistic, 25),
        _ => return None,
    };
    let mut authority = None;
    for (key, value) in url.query_pairs() {
        match (key.as_ref(), value.as_ref()) {
            ("ca", file) if !file.is_empty() => authority = Some(file.into()),
            ("tls", "required") if tls != Tls::Implicit => tls = Tls::Required,
            ("tls", "opportunistic") if tls != Tls::Implicit => tls = Tls::Opportunistic,
            ("tls", "off") if tls != Tls::Implicit => tls = Tls::Off,
            // Not passed over: the slip may be in the word that was to demand TLS.
            _ => return None,
        }
    }
    let host = url.host_str().filter(|host| !host.is_empty())?;
    // An IPv6 address stands in brackets in a URL, and nowhere else.
    let host = host.trim_matches(['[', ']']).to_owned();
    Some(MailUrl::Smtp(SmtpServer {
        host,
        port: url.port().unwrap_or(port),
        tls,
        credentials,
        authority,
    }))
}

/// `Some(None)` without a user; `None` if what there is cannot be decoded.
fn credentials(url: &Url) -> Option<Option<Private<Credentials>>> {
    if url.username().is_empty() {
        return Some(None);
    }
    let (user, password) = (
        decoded(url.username())?,
        decoded(url.password().unwrap_or_default())?,
    );
    Some(Some(Private::new(Credentials { user, password })))
}
