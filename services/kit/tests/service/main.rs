//! kit from outside: each module against the real thing it talks to.
#![expect(
    clippy::unwrap_used,
    reason = "what a test's helper cannot do fails the test"
)]

mod bus;
mod config;
mod db;
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
mod serve;
mod smtp;
mod supervision;
mod tx;
mod watch;
