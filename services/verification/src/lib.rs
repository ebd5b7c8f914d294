//! Verification: turns AccountCreated into a code and its mail, and a confirmed code into AccountVerified.
//!
//! In the order of one account's journey: `consumer` hears of it; `commands` store its verification with a code;
//! `queue` carries the code's mail in memory to `delivery`, which hands it to the mailer and keeps its schedule;
//! `grpc` takes the code that a person types; `events` encodes what `kit::outbox` then publishes. `domain` has the
//! rules, `store` the statements, `migrations` the tables. `app` puts all of it together.

pub mod app;
mod commands;
pub mod config;
mod consumer;
mod delivery;
pub mod domain;
mod events;
mod grpc;
mod keys_file;
pub mod migrations;
mod queue;
mod status;
mod store;
