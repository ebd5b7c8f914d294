//! Writing that holds nobody up: what is written waits in a bounded queue, and a thread of its own
//! hands it on, for as long as a reader takes.
//!
//! For standard output and standard error: behind them may be a pipe that nobody reads or a
//! terminal that somebody stopped by Ctrl-S, and our services have one thread.

use std::{io::Write, sync::mpsc, thread, time::Duration};

pub use tracing_appender::non_blocking::NonBlocking;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};

/// How many writes wait at most, a line or a picture each; further ones are dropped and counted.
const WAITING: usize = 8_192;

/// How long [`LastLines`] waits: a reader that is there takes all of them in milliseconds.
const LAST_LINES: Duration = Duration::from_millis(300);

/// A writer that never waits for `to`. Each write is handed on by one write of its own.
pub fn write_behind(thread: &str, to: impl Write + Send + 'static) -> (NonBlocking, LastLines) {
    let (writer, worker) = NonBlockingBuilder::default()
        .buffered_lines_limit(WAITING)
        .thread_name(thread)
        .finish(to);
    (writer, LastLines(Some(worker)))
}

/// Waits, when it is dropped, until what was written is handed on, and no longer than 0.3 s.
#[derive(Debug)]
#[must_use]
pub struct LastLines(Option<WorkerGuard>);

impl Drop for LastLines {
    fn drop(&mut self) {
        let worker = self.0.take();
        let (done, finished) = mpsc::channel();
        // In a thread of its own, not joined: the library waits longer than we may and then prints,
        // which in front of a full pipe takes for ever. It ends with the process.
        let waiting = thread::Builder::new().spawn(move || {
            drop(worker);
            let _ = done.send(());
        });
        if waiting.is_ok() {
            let _ = finished.recv_timeout(LAST_LINES);
        }
    }
}
