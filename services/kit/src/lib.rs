//! What at least two services need, and no service's nouns.

pub mod otlp;
pub mod propagation;
pub mod telemetry;
