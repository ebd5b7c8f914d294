//! The mailer: renders mails and hands them to the mail server, once per key.
//!
//! The path of a mail, in reading order: it comes in over a client's stream (`grpc`), `domain`
//! parses it, `commands` ask `admission` for its turn and the ledger whether it may be sent,
//! `mail` renders and frames it, `transport` sends it by SMTP or into a folder, and what became of
//! it is committed to the ledger's tables (`store`) before the answer goes back. `migrations` makes
//! the tables, `config` and `app` put it all together.

// In reading order: the empty lines keep rustfmt from sorting them.

mod grpc;

mod domain;

mod commands;

mod admission;

mod mail;

mod transport;

mod store;

mod metrics;

pub mod migrations;

pub mod config;

pub mod app;
