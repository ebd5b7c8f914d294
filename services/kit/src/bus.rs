//! The way to the broker: one NATS connection that heals itself, the streams and their drift, and
//! the loop that turns messages into calls of a service's handler. In reading order: `user`, `login`,
//! `connection`, what a `look` at it finds in `sight` and what is its `trouble`, `streams`,
//! `durable`, `consumer`, which `pull`s and hands over to `handling`; `settle` is where the
//! handler's transaction ends, with the tables `trials` and dead `letters` in it, and `operators`
//! what may be done with these.

mod connection;
mod consumer;
mod delivery;
mod difference;
mod drift;
mod durable;
mod handler;
mod handling;
pub(crate) mod headers;
mod held;
mod housekeeping;
mod janitor;
mod letters;
mod login;
mod look;
mod metrics;
mod operators;
mod origin;
mod pull;
mod settle;
mod sight;
mod streams;
mod tables;
mod trace;
mod trials;
mod trouble;
mod user;

pub use connection::Bus;
pub use consumer::Consumer;
pub use delivery::{Delivery, Reason};
pub use drift::{Finding, drift};
pub use durable::{ConsumerSettings, Durable};
pub use handler::Handler;
pub use login::{BrokerSettings, NatsUrl};
pub use look::look;
pub use operators::DeadLetters;
pub use settle::{Settled, Verdict, settle, verdicts};
pub use sight::Sight;
pub use streams::{Change, Provisioned, provision};
pub use tables::{create_tables, drop_tables};
pub use user::BrokerUser;
