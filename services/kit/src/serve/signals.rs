//! Being asked to stop: by a signal, and until when at the latest.

use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The longest that a stop may take: whoever asked for it kills after ten seconds.
const LONGEST_STOP: Duration = Duration::from_millis(9_500);

/// Ctrl-C, SIGTERM and SIGHUP (the terminal was closed), each as often as it comes. What was ignored
/// when the process started stays ignored: `nohup` means SIGHUP, and a shell that runs a job in the
/// background means SIGINT.
#[derive(Debug)]
pub struct StopSignals {
    terminate: Signal,
    interrupt: Option<Signal>,
    hangup: Option<Signal>,
}

impl StopSignals {
    /// Listens from now on: the signals no longer end the process by themselves.
    ///
    /// # Errors
    /// When the system refuses to tell of signals.
    pub fn listen() -> anyhow::Result<Self> {
        let ignored = ignored();
        let listen = |kind| signal(kind).context("Signals cannot be received.");
        let unless_ignored = |kind: SignalKind| {
            let is_ignored = ignored & (1 << (kind.as_raw_value() - 1)) != 0;
            (!is_ignored).then(|| listen(kind)).transpose()
        };
        Ok(Self {
            interrupt: unless_ignored(SignalKind::interrupt())?,
            hangup: unless_ignored(SignalKind::hangup())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            () = heard(&mut self.interrupt) => {}
            () = heard(&mut self.hangup) => {}
        }
    }
}

async fn heard(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// The signals that the process ignores, as Linux says it: a bit each. Elsewhere there is no way to
/// ask without unsafe code, and none count as ignored.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let bits = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    bits.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok())
        .unwrap_or_default()
}

/// Completes on the first of [`StopSignals`]. From the call on, none of them ends the process by
/// itself.
///
/// # Errors
/// When the system refuses to tell of signals.
pub fn terminated() -> anyhow::Result<impl Future<Output = ()> + Send> {
    // Registered now and not at the first poll: a signal in between would end the process at once.
    let mut signals = StopSignals::listen()?;
    Ok(async move { signals.next().await })
}

/// `shutdown`, and from its end on a limit to what the process may still do. Each part of a stop has
/// limits of its own that add up to less; this one is for what no part knows to hang.
pub async fn at_most_ten_seconds(shutdown: impl Future<Output = ()>) {
    shutdown.await;
    // A thread: what hangs may be the runtime.
    let _ = std::thread::Builder::new()
        .name("end-of-stop".to_owned())
        .spawn(|| {
            #[expect(
                clippy::disallowed_methods,
                reason = "nothing else runs on this thread"
            )]
            std::thread::sleep(LONGEST_STOP);
            tracing::error!(
                "The stop takes too long and is cut; the next start goes on from what is committed."
            );
            std::process::exit(1);
        });
}
