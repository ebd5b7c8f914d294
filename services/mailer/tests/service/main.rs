//! The mailer from outside: its real gRPC service, a mail server that misbehaves on demand, its database, its files.
#![expect(
    clippy::unwrap_used,
    reason = "what a test's helper cannot do fails the test"
)]

mod circuit;
mod configuration;
mod delivery;
mod faults;
mod folder;
mod harness;
mod lanes;
mod ledger;
mod mails;
mod operators;
mod process;
mod tls;
