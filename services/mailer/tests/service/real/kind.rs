//! The mail servers: what each needs to run, and how its log speaks. `server` starts them.

/// Which one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Postfix,
    Exim,
    OpenSmtpd,
}

/// What makes it run, and how its log speaks.
pub(super) struct Recipe {
    pub(super) package: &'static str,
    /// Below `/etc`; PORT is put in.
    pub(super) files: &'static [(&'static str, &'static str)],
    pub(super) command: &'static str,
    pub(super) log: &'static str,
    pub(super) connected: &'static str,
    pub(super) taken: &'static str,
    pub(super) quit: &'static str,
}

impl Kind {
    pub(super) fn recipe(self) -> Recipe {
        match self {
            Self::Postfix => Recipe {
                package: "postfix",
                files: &[
                    ("postfix/main.cf", include_str!("postfix/main.cf")),
                    ("postfix/master.cf", include_str!("postfix/master.cf")),
                ],
                command: "mkdir -p /var/spool/postfix /var/lib/postfix; chown postfix /var/lib/postfix; \
                          postfix check; exec /usr/lib/postfix/sbin/master -c /etc/postfix -d",
                log: "log",
                connected: "]: connect from ",
                taken: ": message-id=<",
                quit: " quit=1 ",
            },
            Self::Exim => Recipe {
                package: "exim4-daemon-light",
                files: &[("exim4/exim4.conf", include_str!("exim/exim4.conf"))],
                command: "mkdir -p /var/spool/exim4; chown Debian-exim: /var/spool/exim4 /srv/key.pem; \
                          exec exim4 -bdf -q1h",
                log: "spool/exim4/mainlog",
                connected: " (TCP/IP connection count ",
                taken: " <= usher@",
                quit: " closed by QUIT",
            },
            Self::OpenSmtpd => Recipe {
                package: "opensmtpd",
                files: &[("smtpd.conf", include_str!("opensmtpd/smtpd.conf"))],
                command: "mkdir -p -m 711 /var/spool/smtpd; mkdir -p /var/lib/opensmtpd/empty; \
                          exec smtpd -d -f /etc/smtpd.conf",
                log: "log",
                connected: " smtp connected ",
                taken: " smtp message msgid=",
                quit: " reason=quit",
            },
        }
    }
}

/// What all of them find in `/etc`: their users, and that names are not looked up outside.
pub(super) const ETC: [(&str, &str); 5] = [
    ("passwd", include_str!("passwd")),
    ("group", include_str!("group")),
    ("shadow", ""),
    (
        "nsswitch.conf",
        "passwd: files\ngroup: files\nhosts: files\n",
    ),
    ("resolv.conf", "lookup file\n"),
];
