//! The mailer: renders mails and hands them to the mail server, once per key.
//!
//! A mail comes in over a client's stream (`grpc`), becomes a command that asks the `ledger` whether it may be sent
//! and `admission` for a connection (`commands::deliver`), is rendered and framed (`mail`), leaves by SMTP or into a
//! folder (`transport`), and is settled in the ledger's tables (`store`) before the answer goes back.
//!
//! Modules in reading order:

pub mod grpc;

pub mod commands;

pub mod domain;

pub mod ledger;

pub mod admission;

pub mod mail;

pub mod transport;

pub mod store;

pub mod migrations;

pub mod purge;

pub mod metrics;

pub mod config;

pub mod app;
