//! The mailer from outside: its real gRPC service, a mail server that misbehaves on demand, its
//! database, its files. `world` starts the parts, `client` calls them, the other modules hold the
//! tests.

#![expect(
    clippy::unwrap_used,
    reason = "what a test's helper cannot do fails the test"
)]

mod ahead;
mod circuit;
mod client;
mod configuration;
mod delivery;
mod faults;
mod folder;
mod holes;
mod lanes;
mod ledger;
mod operators;
mod phases;
mod real;
mod refusals;
mod renewed;
mod replies;
mod stop;
mod tls;
mod world;
