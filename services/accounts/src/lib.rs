//! Accounts: takes a sign-up, stores it with its event, and learns from verification that it is
//! confirmed.
//!
//! The path of a sign-up, in reading order: `grpc` decodes the request, `domain` parses it,
//! `commands` commits it in a group through `store` and `dispatch`, whose relay publishes the
//! event. Later `consumer` hears that the code was confirmed. `migrations` makes the tables,
//! `config` and `app` put it all together.

// In reading order: the empty lines keep rustfmt from sorting them.

mod grpc;

mod domain;

mod commands;

mod store;

mod dispatch;

mod consumer;

pub mod migrations;

pub mod config;

pub mod app;
