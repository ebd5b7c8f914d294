//! Spans and durations of gRPC calls: `server` around what we answer, `client` around what we ask.
//!
//! Both are tower layers. `kit::serve` puts them on; a service only names the methods whose streams live for
//! hours (`Deliver`, the watches): a span that long tells nothing, and each mail on such a stream has spans of
//! its own. Health checks and reflection are never traced.

mod body;
mod call;
mod client;
mod methods;
mod server;

pub use body::MeasuredBody;
pub use client::{ClientLayer, MeasuredClient};
pub use server::{MeasuredServer, ServerLayer};
