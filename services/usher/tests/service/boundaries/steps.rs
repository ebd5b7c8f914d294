//! The steps of the journey in their order, and between each two of them a boundary: on a wire where
//! there is one, else a fail point in the code.

use kit::testing::Way::{self, Back, There};

use Part::{Accounts, Mailer, Verification};
use Wire::{AccountsToNats, MailerToSmtp, VerificationToMailer, VerificationToNats};

/// A service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Accounts,
    Verification,
    Mailer,
}

/// A connection between two parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire {
    AccountsToNats,
    VerificationToNats,
    VerificationToMailer,
    MailerToSmtp,
}

/// Where a process dies.
#[derive(Debug, Clone, Copy)]
pub(super) enum At {
    /// In the code.
    Point(&'static str),
    /// When these octets are on their way, which reach nobody; `ADDRESS` is the person's.
    Wire(Wire, Way, &'static str),
}

/// Between two steps.
#[derive(Debug, Clone, Copy)]
pub(super) struct Boundary {
    pub(super) what: &'static str,
    pub(super) dies: Part,
    at: [Option<At>; 2],
    /// How many mails there are.
    pub(super) mails: usize,
    /// How many attempts the mailer cannot know the outcome of.
    pub(super) unknown: i64,
}

/// Stands in the octets for the person's address.
pub(super) const ADDRESS: &str = "ADDRESS";

impl Part {
    pub(super) const ALL: [Self; 3] = [Mailer, Verification, Accounts];

    /// As the command calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Accounts => "accounts",
            Verification => "verification",
            Mailer => "mailer",
        }
    }
}

const fn at(dies: Part, what: &'static str, first: At, then: Option<At>) -> Boundary {
    Boundary {
        what,
        dies,
        at: [Some(first), then],
        mails: 1,
        unknown: 0,
    }
}

const fn point(dies: Part, what: &'static str, name: &'static str) -> Boundary {
    at(dies, what, At::Point(name), None)
}

/// Its successor dies, too.
const fn points(dies: Part, what: &'static str, names: [&'static str; 2]) -> Boundary {
    at(dies, what, At::Point(names[0]), Some(At::Point(names[1])))
}

const fn wire(
    dies: Part,
    what: &'static str,
    wire: Wire,
    way: Way,
    octets: &'static str,
) -> Boundary {
    at(dies, what, At::Wire(wire, way, octets), None)
}

/// On the way to the mail server: from its claim to its record the mailer cannot know whether the
/// mail went out.
const fn smtp(what: &'static str, way: Way, octets: &'static str) -> Boundary {
    wire(Mailer, what, MailerToSmtp, way, octets).unknowable()
}

impl Boundary {
    const fn unknowable(self) -> Self {
        Self { unknown: 1, ..self }
    }

    /// In the one window after the final dot.
    const fn twice(self) -> Self {
        Self { mails: 2, ..self }
    }

    /// In the order of the journey.
    pub(super) fn place(&self) -> Option<usize> {
        let mut all = ALL.iter();
        all.position(|one| one.what == self.what && one.dies == self.dies)
    }

    /// Where it dies, and where its successor does.
    pub(super) fn places(&self) -> impl Iterator<Item = At> {
        self.at.into_iter().flatten()
    }
}

const CREATED: &str = "HPUB accounts.v1.account_created";
const CREATED_HEARD: &str = "HMSG accounts.v1.account_created";
const CREATED_STORED: &str = r#""stream":"ACCOUNTS""#;
const VERIFIED: &str = "HPUB verification.v1.account_verified";
const VERIFIED_HEARD: &str = "HMSG verification.v1.account_verified";
const VERIFIED_STORED: &str = r#""stream":"VERIFICATION""#;
const ACK: &str = "PUB $JS.ACK.";
const ACCEPTED: &str = "2.0.0 accepted";

/// All of them.
pub(super) const ALL: [Boundary; 50] = [
    point(
        Accounts,
        "account and event written | committed",
        "accounts/written",
    ),
    point(
        Accounts,
        "committed | event handed to the relay",
        "accounts/committed",
    ),
    point(
        Accounts,
        "event handed to the relay | caller answered",
        "accounts/handed_over",
    ),
    point(
        Accounts,
        "event taken by the relay | published",
        "relay/taken",
    ),
    wire(
        Accounts,
        "publishing | event at the broker",
        AccountsToNats,
        There,
        CREATED,
    ),
    wire(
        Accounts,
        "event at the broker | PubAck heard",
        AccountsToNats,
        Back,
        CREATED_STORED,
    ),
    point(
        Accounts,
        "PubAck heard | event marked",
        "relay/acknowledged",
    ),
    //
    wire(
        Verification,
        "event handed out | pulled",
        VerificationToNats,
        Back,
        CREATED_HEARD,
    ),
    point(Verification, "event pulled | handled", "consumer/pulled"),
    points(
        Verification,
        "event pulled once more, trial counted | handled",
        ["consumer/pulled", "consumer/trial_begun"],
    ),
    point(
        Verification,
        "verification and code written | committed",
        "verification/started",
    ),
    point(
        Verification,
        "committed | mail handed to the delivery",
        "verification/committed",
    ),
    points(
        Verification,
        "mail of a dead process claimed | handed to the delivery",
        ["verification/committed", "verification/claimed"],
    ),
    point(
        Verification,
        "mail handed to the delivery | event acked",
        "consumer/settled",
    ),
    wire(
        Verification,
        "acking | ack at the broker",
        VerificationToNats,
        There,
        ACK,
    ),
    point(
        Verification,
        "mail taken | offered to the mailer",
        "verification/taken",
    ),
    wire(
        Verification,
        "offering the mail | offer heard",
        VerificationToMailer,
        There,
        ADDRESS,
    ),
    wire(
        Mailer,
        "offering the mail | offer heard",
        VerificationToMailer,
        There,
        ADDRESS,
    ),
    //
    point(Mailer, "offer heard | claim written", "mailer/offered"),
    point(Mailer, "claim written | committed", "mailer/claiming"),
    point(
        Mailer,
        "claim committed | mail server called",
        "mailer/claimed",
    )
    .unknowable(),
    smtp("connected | greeting heard", Back, "220 "),
    smtp("saying EHLO | heard", There, "EHLO"),
    smtp("logging in | heard", There, "AUTH "),
    smtp("login accepted | heard", Back, "235 "),
    smtp("saying MAIL | heard", There, "MAIL FROM"),
    smtp("saying RCPT | heard", There, "RCPT TO"),
    smtp("saying DATA | heard", There, "DATA\r\n"),
    smtp("DATA accepted | heard", Back, "354 "),
    smtp("sending the final dot | heard", There, "\r\n.\r\n"),
    smtp("mail accepted | heard", Back, ACCEPTED).twice(),
    point(Mailer, "acceptance heard | outcome written", "mailer/sent")
        .unknowable()
        .twice(),
    point(Mailer, "outcome written | committed", "mailer/recording")
        .unknowable()
        .twice(),
    point(Mailer, "outcome committed | answered", "mailer/recorded"),
    wire(
        Mailer,
        "answering | answer heard",
        VerificationToMailer,
        Back,
        ACCEPTED,
    ),
    wire(
        Verification,
        "answering | answer heard",
        VerificationToMailer,
        Back,
        ACCEPTED,
    ),
    //
    point(
        Verification,
        "answer heard | written",
        "verification/answered",
    ),
    point(
        Verification,
        "answer written | committed",
        "verification/recording",
    ),
    point(
        Verification,
        "answer committed | forgotten in memory",
        "verification/recorded",
    ),
    point(
        Verification,
        "code used, event written | committed",
        "verification/judged",
    ),
    point(
        Verification,
        "committed | person answered",
        "verification/confirmed",
    ),
    point(
        Verification,
        "event taken by the relay | published",
        "relay/taken",
    ),
    wire(
        Verification,
        "publishing | event at the broker",
        VerificationToNats,
        There,
        VERIFIED,
    ),
    wire(
        Verification,
        "event at the broker | PubAck heard",
        VerificationToNats,
        Back,
        VERIFIED_STORED,
    ),
    point(
        Verification,
        "PubAck heard | event marked",
        "relay/acknowledged",
    ),
    //
    wire(
        Accounts,
        "event handed out | pulled",
        AccountsToNats,
        Back,
        VERIFIED_HEARD,
    ),
    point(Accounts, "event pulled | handled", "consumer/pulled"),
    point(
        Accounts,
        "account made VERIFIED | committed",
        "accounts/verified",
    ),
    point(Accounts, "committed | event acked", "consumer/settled"),
    wire(
        Accounts,
        "acking | ack at the broker",
        AccountsToNats,
        There,
        ACK,
    ),
];
