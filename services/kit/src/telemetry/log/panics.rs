//! Panics as log lines: the standard library would write them itself, and wait for standard error.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    panic, thread,
};

/// The filter's directive for these lines.
pub(super) const ALWAYS: &str = "panic=error";

/// From now on.
pub(super) fn log_them() {
    panic::set_hook(Box::new(|panic| {
        let at = panic.location().map(ToString::to_string);
        let at = at.unwrap_or_default();
        let message = panic.payload_as_str().unwrap_or("a value that is no text");
        let thread = thread::current();
        let name = thread.name().unwrap_or("<unnamed>");
        let backtrace = Backtrace::capture();
        let backtrace = (backtrace.status() == BacktraceStatus::Captured).then_some(backtrace);
        tracing::error!(
            target: "panic",
            backtrace = backtrace.as_ref().map(tracing::field::display),
            "thread '{name}' panicked at {at}: {message}"
        );
    }));
}
