//! Accounts from outside: a real nats-server, a real database, gRPC. `world` starts the parts,
//! `client` calls them, the other modules hold the tests.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod batch;
mod batches;
mod broker;
mod client;
mod concurrency;
mod database;
mod dispatchers;
mod ended;
mod gone;
mod holes;
mod idempotency;
mod letters;
mod listing;
mod postgres;
mod process;
mod raw;
mod refusals;
mod stop;
mod verified;
mod verifier;
mod world;
