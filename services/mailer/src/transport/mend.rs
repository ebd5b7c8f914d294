//! What to do about a mail server to which there is no connection, by what kept it from coming
//! about: `connect` decides, the readiness body and the log tell it.

/// What is to be mended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mend {
    /// Nobody answers at its address, or answers as a mail server does.
    Place,
    /// It has a certificate that is not trusted, or speaks no TLS.
    Encryption,
    /// It does not take our user and password.
    Login,
    /// It does not like the name that we greet it with.
    Name,
    /// Mails go into a folder, which cannot be written.
    Folder,
}

impl Mend {
    /// As sentences.
    pub(crate) fn advice(self) -> &'static str {
        match self {
            Self::Place => {
                "Bring the mail server back, or correct host and port in USHER_MAIL_URL; it is tried again by itself."
            }
            Self::Encryption => {
                "In USHER_MAIL_URL, trust its certificate (ca=FILE.pem) or do without TLS (smtp:// with tls=off); or let \
                 the mail server have a certificate of a public authority."
            }
            Self::Login => {
                "Correct user and password in USHER_MAIL_URL, percent-encoded (`#` is %23, `/` %2F, `@` %40), and start \
                 the mailer again, or in the file that USHER_MAIL_URL_FILE names, which is read again within seconds; or \
                 correct them at the mail server."
            }
            Self::Folder => {
                "Let the mailer write into the folder that USHER_MAIL_URL names, free space on its disk, or name another \
                 one."
            }
            Self::Name => {
                "Set USHER_MAIL_HELO to a name that the mail server takes, as a rule this machine's full name in DNS."
            }
        }
    }
}
