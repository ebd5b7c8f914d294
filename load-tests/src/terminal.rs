//! Where lines go to, and Ctrl-C comes from.

use std::io::Write as _;

use tokio::signal::ctrl_c;

/// Writes a line to standard output. A reader that left early is no error.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Writes a line to standard error.
pub(crate) fn tell(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Nothing where Ctrl-C came first.
pub(crate) async fn unless_interrupted<T>(
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<Option<T>> {
    tokio::select! {
        done = work => done.map(Some),
        interrupted = ctrl_c() => {
            interrupted?;
            Ok(None)
        }
    }
}
