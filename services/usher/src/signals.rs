//! Being asked to stop: by a signal, or, as a supervised child, by a standard input that closes.

use std::io::Read as _;

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
};

/// Environment variable by which a parent says that the end of standard input means stop. `usher
/// up` sets it: the pipe closes when that process dies, however it dies.
pub(crate) const STOP_WITH_STDIN: &str = "USHER_STOP_WITH_STDIN";

/// Ctrl-C, SIGTERM and SIGHUP (the terminal was closed), each as often as it comes.
#[derive(Debug)]
pub(crate) struct StopSignals {
    each: [Signal; 3],
}

impl StopSignals {
    /// Listens from now on: the signals no longer end the process by themselves.
    pub(crate) fn listen() -> std::io::Result<Self> {
        let interrupt = signal(SignalKind::interrupt())?;
        let terminate = signal(SignalKind::terminate())?;
        let hangup = signal(SignalKind::hangup())?;
        Ok(Self {
            each: [interrupt, terminate, hangup],
        })
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.each;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

/// Resolves when standard input ends.
pub(crate) async fn stdin_closed() {
    let (ended, end) = oneshot::channel();
    // A thread of its own: a runtime would wait at its own end for a pool thread that still reads.
    std::thread::spawn(move || {
        let mut input = std::io::stdin();
        let mut ignored = [0; 64];
        while let Ok(1..) = input.read(&mut ignored) {}
        let _ = ended.send(());
    });
    let _ = end.await;
}
