//! Verification from outside: a real nats-server, a real database, gRPC, and a mailer that can be
//! told what to say. `world` starts the parts, `client` calls them, `mailer` plays the mailer, the
//! other modules hold the tests.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod await_mail;
mod claims;
mod client;
mod confirm;
mod delivery;
mod events;
mod holes;
mod issue_code;
mod journey;
mod letters;
mod mailer;
mod outage;
mod postgres;
mod process;
mod replicas;
mod resend;
mod rotation;
mod telling;
mod world;
