//! What the services export by OTLP, and whereto: decided by `traces` or the demo, told to each
//! child by `child`.

use crate::otlp::OtlpReceiver;

#[derive(Debug, Clone)]
pub(crate) struct Exports {
    /// Of OTLP/gRPC.
    pub(crate) endpoint: String,
    pub(crate) signals: Signals,
}

/// What the endpoint takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signals {
    /// Traces, metrics and logs.
    All,
    Traces,
}

impl Exports {
    /// Spans to a receiver in this process.
    pub(crate) fn traces_to(receiver: &OtlpReceiver) -> Self {
        Self {
            endpoint: receiver.endpoint(),
            signals: Signals::Traces,
        }
    }
}
