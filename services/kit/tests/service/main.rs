//! kit from outside: each module against the real thing it talks to.

mod nats;
mod postgres;
mod propagation;
mod smtp;
mod telemetry;
