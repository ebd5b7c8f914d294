//! The table: what stands still, how it is provoked, and what is to be said of it.

use super::{
    ground::{Disk, Under},
    how::How,
};

/// What readiness is to say.
pub(super) enum Says {
    /// 503, for a reason in which this stands.
    NotReady(&'static str),
    /// 200, and of this dependency a reason in which that stands.
    Degraded(&'static str, &'static str),
}

/// A row.
pub(super) struct Way {
    pub(super) what: &'static str,
    pub(super) under: Under,
    pub(super) how: How,
    /// Whose readiness says it.
    pub(super) of: &'static str,
    pub(super) says: Says,
    /// Of `doctor`: the part, and what stands in its finding and in the advice.
    pub(super) doctor: [&'static str; 3],
}

/// Rows that are skipped where there is no Postgres or nobody may mount a disk.
pub(super) const NEED_ROOT_OR_POSTGRES: usize = 5;

const NOWHERE: Under = Under {
    postgres: None,
    disk: None,
    login: None,
};

const fn on_postgres(name: &'static str) -> Under {
    Under {
        postgres: Some(name),
        ..NOWHERE
    }
}

const fn on_disk(disk: Disk) -> Under {
    Under {
        disk: Some(disk),
        ..NOWHERE
    }
}

/// What takes longest to be known stands together: those of a few lines are looked at side by side.
pub(super) static ALL: [Way; 19] = [
    Way {
        what: "a database that another program holds",
        under: NOWHERE,
        how: How::LockDatabase,
        of: "accounts",
        says: Says::NotReady("the database is locked"),
        doctor: [
            "accounts",
            "the database is locked",
            "Find the program that holds it",
        ],
    },
    Way {
        what: "a database that takes no writes, after a failover",
        under: on_postgres("standstill_read_only"),
        how: How::MakeDatabaseReadOnly,
        of: "accounts",
        says: Says::NotReady("the database is read-only"),
        doctor: [
            "accounts",
            "the database is read-only",
            "USHER_DATABASE_URL",
        ],
    },
    Way {
        what: "a database whose disk is full",
        under: on_disk(Disk::Database),
        how: How::FillDatabasesDisk,
        of: "accounts",
        says: Says::NotReady("the database is full"),
        doctor: ["accounts", "the database is full", "Free space"],
    },
    Way {
        what: "a database whose tables are not current",
        under: on_postgres("standstill_tables"),
        how: How::ForgetMigrations,
        of: "accounts",
        says: Says::NotReady("the database's tables are not current"),
        doctor: ["accounts", "tables are not current", "`usher migrate`"],
    },
    Way {
        what: "a broker that is away",
        under: NOWHERE,
        how: How::StopBroker,
        of: "accounts",
        says: Says::Degraded("broker", "is not connected"),
        doctor: ["nats-server", "does not answer", "USHER_NATS_URL"],
    },
    Way {
        what: "a broker without JetStream",
        under: NOWHERE,
        how: How::RestartBroker("jetstream: false\n"),
        of: "accounts",
        says: Says::Degraded("broker", "has no JetStream"),
        doctor: ["nats-server", "has no JetStream", "nats-server -js"],
    },
    Way {
        what: "a broker that refuses the login",
        under: Under {
            login: Some(("authorization { token: old }\n", "old@")),
            ..NOWHERE
        },
        how: How::RestartBroker("authorization { token: new }\n"),
        of: "verification",
        says: Says::Degraded("broker", "refuses the token in USHER_NATS_URL"),
        doctor: [
            "nats-server",
            "refuses the token in USHER_NATS_URL",
            "Compare it",
        ],
    },
    Way {
        what: "a stream that was deleted",
        under: NOWHERE,
        how: How::DeleteStream,
        of: "verification",
        says: Says::Degraded("broker", "has no stream ACCOUNTS"),
        doctor: [
            "nats-server",
            "stream ACCOUNTS: is missing",
            "`usher nats provision`",
        ],
    },
    Way {
        what: "a stream whose subjects another one takes",
        under: NOWHERE,
        how: How::TakeSubjects,
        of: "accounts",
        says: Says::Degraded("broker", "because stream STRANGE takes its subjects"),
        doctor: [
            "nats-server",
            "stream STRANGE takes its subjects",
            "nats stream rm STRANGE",
        ],
    },
    Way {
        what: "a stream that is full",
        under: NOWHERE,
        how: How::FillStream,
        of: "accounts",
        says: Says::Degraded("broker", "refuses events: "),
        doctor: [
            "accounts",
            "refuses events: ",
            "who has not read a full stream",
        ],
    },
    Way {
        what: "a mail server that is away",
        under: NOWHERE,
        how: How::StopMailServer,
        of: "mailer",
        says: Says::Degraded("mail server", "cannot be used: "),
        doctor: ["mailer", "the mail server cannot be used", "USHER_MAIL_URL"],
    },
    Way {
        what: "a mail server that relays for nobody",
        under: NOWHERE,
        how: How::RefuseAllMails,
        of: "mailer",
        says: Says::Degraded("mail policy", "relay"),
        doctor: ["mailer", "relay", "mails wait meanwhile"],
    },
    Way {
        what: "a database that falls silent",
        under: on_postgres("standstill_silent"),
        how: How::SilenceDatabase,
        of: "accounts",
        says: Says::NotReady("the database does not answer"),
        doctor: [
            "accounts",
            "the database does not answer",
            "Bring the database back",
        ],
    },
    Way {
        what: "a broker that falls silent",
        under: NOWHERE,
        how: How::SilenceBroker,
        of: "verification",
        says: Says::Degraded("broker", "is not connected"),
        doctor: ["verification", "is not connected", "Bring nats-server back"],
    },
    Way {
        what: "a broker whose disk is full",
        under: on_disk(Disk::Broker),
        how: How::FillBrokersDisk,
        of: "accounts",
        says: Says::Degraded("broker", "acknowledges no events"),
        doctor: ["accounts", "acknowledges no events", "free space"],
    },
    Way {
        what: "an outbox that ages",
        under: NOWHERE,
        how: How::AgeOutbox,
        of: "accounts",
        says: Says::Degraded("outbox", "holds an event that has waited for"),
        doctor: ["accounts", "the outbox holds an event", "drains by itself"],
    },
    Way {
        what: "a mailer that is away",
        under: NOWHERE,
        how: How::StopMailer,
        of: "verification",
        says: Says::Degraded("mailer", "takes no mails"),
        doctor: ["mailer", "does not answer", "Start it"],
    },
    Way {
        what: "a mailer that falls silent",
        under: NOWHERE,
        how: How::SilenceMailer,
        of: "verification",
        says: Says::Degraded("mailer", "takes no mails"),
        doctor: [
            "verification",
            "the mailer takes no mails",
            "USHER_MAILER_URL",
        ],
    },
    Way {
        what: "events that a database does not take, for a reason that is none of theirs",
        under: NOWHERE,
        how: How::LoseTable,
        of: "verification",
        says: Says::Degraded("consumer", "has held events for"),
        doctor: [
            "verification",
            "the consumer has held events",
            "log says what",
        ],
    },
];
