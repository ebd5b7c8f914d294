//! The rows of people who signed up before, as statements for each service's SQLite file. Each is a
//! copy of the row that a first person left there by signing up, under other ids and addresses, so
//! that it has the shape of a real one.

use std::path::{Path, PathBuf};

/// People of one statement.
const AT_ONCE: u64 = 20_000;

/// Whoever signed up before.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settled {
    /// How many.
    pub(super) people: u64,
    /// When the last of them did, in microseconds; the others a millisecond apart before.
    pub(super) until: i64,
}

/// Of one service: its file, and what is run there.
pub(super) struct Filling {
    pub(super) file: PathBuf,
    pub(super) statements: Vec<String>,
}

impl Settled {
    pub(super) fn fillings(&self, data: &Path) -> [Filling; 3] {
        [
            ("accounts", &[ACCOUNTS, PUBLISHED][..]),
            ("verification", &[VERIFICATIONS, CODES]),
            ("mailer", &[MAILS, ATTEMPTS]),
        ]
        .map(|(service, tables)| Filling {
            file: data.join(format!("{service}.sqlite")),
            statements: self.statements(tables),
        })
    }

    fn statements(&self, tables: &[&str]) -> Vec<String> {
        let mut statements = Vec::new();
        for table in tables {
            for first in (0..self.people).step_by(usize::try_from(AT_ONCE).unwrap_or(usize::MAX)) {
                let end = (first + AT_ONCE).min(self.people);
                statements.push(self.statement(table, first, end));
            }
        }
        // Else the first sign-ups that follow would pay for it.
        statements.push("PRAGMA wal_checkpoint(TRUNCATE)".to_owned());
        statements
    }

    fn statement(&self, table: &str, first: u64, end: u64) -> String {
        let at = format!("({} - ({} - i) * 1000)", self.until, self.people);
        // UUIDs of version 7, in the order of time, as the services make them; the last digits tell
        // which person's they are.
        let id = |kind: char| {
            format!(
                "unhex(printf('%012x7%03x{kind}%015x', {at} / 1000, i % 4096, i * 2654435761 % 1125899906842624))"
            )
        };
        // An odd factor: each number is there once, and no two neighbours are near each other.
        let address = "printf('s%06u.settled@example.com', i * 2654435761 % 4294967296)";
        let insert = table
            .replace("$account", &id('8'))
            .replace("$code", &id('9'))
            .replace("$other", &id('a'))
            .replace("$address", address)
            .replace("$at", &at);
        format!(
            "WITH RECURSIVE n(i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {end}) {insert}"
        )
    }
}

const ACCOUNTS: &str = "\
INSERT INTO accounts (id, email, email_key, display_name, locale, status, created_at, verified_at)
SELECT $account, $address, $address, display_name, locale, status, $at, verified_at
FROM n, (SELECT * FROM accounts ORDER BY created_at DESC LIMIT 1)";

/// Events stay for a week.
const PUBLISHED: &str = "\
INSERT INTO outbox (id, aggregate_id, subject, headers, payload, created_at, attempts, next_at,
                    claim_no, claimed_until, published_at, stream_sequence)
SELECT $other, $account, subject, headers, payload, $at, attempts, $at,
       claim_no, $at, $at, i
FROM n, (SELECT * FROM outbox WHERE published_at IS NOT NULL ORDER BY id DESC LIMIT 1)";

const VERIFICATIONS: &str = "\
INSERT INTO verifications (account_id, email, address_key, display_name, locale,
                           account_created_at, created_at, verified_at)
SELECT $account, $address, $address, display_name, locale, $at, $at, verified_at
FROM n, (SELECT * FROM verifications ORDER BY account_id DESC LIMIT 1)";

const CODES: &str = "\
INSERT INTO codes (id, account_id, number, version, key_id, length, salt, state, mail_state,
                   created_at, expires_at, expired_at, guesses, mail_attempts, mail_reached,
                   accepted_at, next_attempt_at, scheduled_at, claim_no, claimed_until,
                   traceparent, tracestate)
SELECT $code, $account, number, version, key_id, length, randomblob(16), state, mail_state,
       $at, $at + 86400000000, expired_at, guesses, mail_attempts, mail_reached,
       $at, $at, $at, claim_no, claimed_until, traceparent, tracestate
FROM n, (SELECT * FROM codes WHERE mail_state = 'accepted' ORDER BY id DESC LIMIT 1)";

const MAILS: &str = "\
INSERT INTO mails (code_id, account_id, template, locale, address_mac, address_key_id, state,
                   claim_no, claimed_until, unknown_attempts, reason, ended_at, keep_until)
SELECT $code, $account, template, locale, randomblob(32), address_key_id, state,
       claim_no, $at, unknown_attempts, reason, $at, $at + 691200000000
FROM n, (SELECT * FROM mails WHERE state = 'accepted' ORDER BY code_id DESC LIMIT 1)";

const ATTEMPTS: &str = "\
INSERT INTO attempts (id, code_id, account_id, attempt, outcome, reply, ended_at, trace_id)
SELECT $other, $code, $account, attempt, outcome, reply, $at, trace_id
FROM n, (SELECT * FROM attempts WHERE outcome = 'accepted' ORDER BY id DESC LIMIT 1)";
