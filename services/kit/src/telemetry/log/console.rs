//! Standard error as the log's destination: never waited for, and its gaps are told.

use std::{
    io::{self, Write},
    sync::{Arc, OnceLock},
};

use opentelemetry::metrics::Meter;
use tracing_appender::non_blocking::ErrorCounter;

use crate::{
    telemetry::names,
    write_behind::{LastLines, NonBlocking, write_behind},
};

/// A writer for log lines, and who waits for the last of them. What it drops is counted in
/// [`names::USHER_LOG_DROPPED`].
pub(super) fn console(meter: &Meter) -> (NonBlocking, LastLines) {
    let dropped = Arc::new(OnceLock::new());
    let stderr = Stderr {
        dropped: dropped.clone(),
        told: 0,
    };
    let (writer, last_lines) = write_behind("log", stderr);
    let counter = dropped.get_or_init(|| writer.error_counter()).clone();
    let _ = meter
        .u64_observable_counter(names::USHER_LOG_DROPPED)
        .with_unit("{line}")
        .with_description("Log lines that were dropped because nobody read standard error.")
        .with_callback(move |observer| observer.observe(counter.dropped_lines() as u64, &[]))
        .build();
    (writer, last_lines)
}

/// Standard error in the thread that writes it.
struct Stderr {
    dropped: Arc<OnceLock<ErrorCounter>>,
    /// How many lost lines the log itself has told of.
    told: usize,
}

impl Write for Stderr {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        io::stderr().write(line)
    }

    /// Is called whenever everything that waited is written.
    fn flush(&mut self) -> io::Result<()> {
        let dropped = self.dropped.get().map_or(0, ErrorCounter::dropped_lines);
        let lost = dropped - self.told;
        self.told = dropped;
        if lost > 0 {
            // Here it stands where they would have stood; it goes through the queue like any other.
            tracing::warn!(
                log.dropped = lost,
                "Log lines were dropped: nobody read them for so long that the queue was full."
            );
        }
        io::stderr().flush()
    }
}
