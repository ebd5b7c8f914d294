//! The way to the broker: one NATS connection that heals itself, the streams and their drift, and the loop that
//! turns messages into calls of a service's handler. In reading order: `connection`, `streams`, `durable`, `consumer`,
//! which `pull`s and hands over to `handling`.

mod connection;
mod consumer;
mod dead_letter;
mod delivery;
mod durable;
mod handling;
mod janitor;
mod metrics;
mod pull;
mod streams;
mod trace;

pub use connection::{Bus, NatsUrl};
pub use consumer::Consumer;
pub use delivery::{Delivery, Verdict};
pub use durable::{ConsumerSettings, Durable};
pub use streams::{Finding, drift, provision};
