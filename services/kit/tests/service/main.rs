//! kit from outside: each module against the real thing it talks to.
#![expect(
    clippy::unwrap_used,
    reason = "what a test's helper cannot do fails the test"
)]

mod balancing;
mod bus;
mod config;
mod database_file;
mod db;
mod files;
mod group;
mod hostile;
mod limits;
mod login;
mod nats;
mod outbox;
mod postgres;
mod propagation;
mod proxy;
mod readiness;
mod running;
mod serve;
mod smtp;
mod supervision;
mod tx;
mod watch;
