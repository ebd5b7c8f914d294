//! Spans and durations of gRPC calls: `server` around what we answer, `client` around what we ask.
//!
//! Both are tower layers; `kit::serve` puts them on. Streams (`Deliver`, the watches) live for
//! hours: a span that long tells nothing, and each mail on such a stream has spans of its own. So
//! they are not traced, nor are health checks and reflection. What is asked many times on one stream
//! (`CreateAccounts`) is a call each time: `server::Items`.

mod body;
mod call;
mod client;
mod methods;
mod server;

pub use body::MeasuredBody;
pub use client::{ClientLayer, MeasuredClient};
pub(crate) use methods::stays_open;
pub use server::{CallerTraces, Item, Items, MeasuredServer, ServerLayer};
