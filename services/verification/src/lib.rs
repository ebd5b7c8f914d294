//! Verification: turns AccountCreated into a code and its mail, and a confirmed code into
//! AccountVerified.
//!
//! In the order of one account's journey: `consumer` hears of it; `commands` store its verification
//! with a code; `delivery` hands the code's mail to the mailer and keeps
//! its schedule; `grpc` takes the code that a person types; `events` encodes what `kit::outbox`
//! then publishes. `domain` has the rules, `code_keys` the key ring, `store` the tables and their
//! statements, `migrations` make them, `metrics` are the instruments. `app` puts all of it together
//! from `config`.

// In reading order: the empty lines keep rustfmt from sorting them.

mod consumer;

mod commands;

mod delivery;

mod grpc;

mod events;

mod domain;

mod code_keys;

mod store;

mod metrics;

pub mod migrations;

pub mod config;

pub mod app;
