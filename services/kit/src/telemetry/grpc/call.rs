//! One call under measurement, from its request's headers to its status; ends in a span and a
//! histogram.

use std::time::Instant;

use http::HeaderMap;
use opentelemetry::{Context, KeyValue, metrics::Histogram};
use tonic::{Code, Status};

use crate::telemetry::{names, span};

/// Which side of the call measures: they disagree on what a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Server,
}

/// A call that has begun. Dropped before its status is known, it was cancelled.
#[derive(Debug)]
pub(super) struct Call {
    context: Context,
    side: Side,
    attributes: Vec<KeyValue>,
    duration: Histogram<f64>,
    started: Instant,
    ended: bool,
}

impl Call {
    pub(super) fn begin(
        context: Context,
        side: Side,
        attributes: Vec<KeyValue>,
        duration: Histogram<f64>,
    ) -> Self {
        Self {
            context,
            side,
            attributes,
            duration,
            started: Instant::now(),
            ended: false,
        }
    }

    /// The context to run the call's work under.
    pub(super) fn context(&self) -> &Context {
        &self.context
    }

    /// Ends the call if `headers` (of the response, or its trailers) say how it went.
    pub(super) fn end_by(&mut self, headers: &HeaderMap) {
        if let Some(status) = Status::from_header_map(headers) {
            self.end(status.code());
        }
    }

    pub(super) fn end(&mut self, code: Code) {
        // A status may come twice, in headers and trailers, and then the drop: the first counts.
        if self.ended {
            return;
        }
        self.ended = true;
        let status = KeyValue::new(names::RPC_RESPONSE_STATUS_CODE, text(code));
        self.attributes.push(status.clone());
        span::set(&self.context, status);
        if self.side.failed(code) {
            self.attributes
                .push(KeyValue::new(names::ERROR_TYPE, text(code)));
            span::fail(&self.context, text(code));
        } else {
            span::end(&self.context);
        }
        self.duration
            .record(self.started.elapsed().as_secs_f64(), &self.attributes);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.end(Code::Cancelled);
    }
}

impl Side {
    fn failed(self, code: Code) -> bool {
        match self {
            Self::Client => code != Code::Ok,
            // The conventions' list: a server is not at fault when it refuses what its caller
            // should not have asked.
            Self::Server => matches!(
                code,
                Code::Unknown
                    | Code::DeadlineExceeded
                    | Code::Unimplemented
                    | Code::Internal
                    | Code::Unavailable
                    | Code::DataLoss
            ),
        }
    }
}

/// The status as the conventions spell it.
const fn text(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
