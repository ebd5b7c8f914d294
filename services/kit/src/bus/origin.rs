//! Which message it is, whatever becomes of it and whoever asks.

use std::sync::Arc;

use crate::clock::Timestamp;

/// What a durable reads. A stream that is made again counts from 1 again: its creation time tells
/// them apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) stream: String,
    pub(super) stream_created: Timestamp,
    pub(super) durable: String,
}

/// One message of it, by its number in the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) origin: Arc<Origin>,
    pub(super) sequence: i64,
}
