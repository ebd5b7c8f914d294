//! Being asked to stop by a signal.

use std::future::Future;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

/// Completes on Ctrl-C, SIGTERM or SIGHUP (the terminal was closed). From the call on, none of them
/// ends the process by itself.
///
/// # Errors
/// When the system refuses to tell of signals.
pub fn terminated() -> anyhow::Result<impl Future<Output = ()> + Send> {
    let kinds = [
        SignalKind::interrupt(),
        SignalKind::terminate(),
        SignalKind::hangup(),
    ];
    // Registered now and not at the first poll: a signal in between would end the process at once.
    let [interrupt, terminate, hangup] =
        kinds.map(|kind| signal(kind).context("Signals cannot be received."));
    let (mut interrupt, mut terminate, mut hangup) = (interrupt?, terminate?, hangup?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    })
}
