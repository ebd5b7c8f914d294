//! Where lines and progress go to, and Ctrl-C comes from.

use std::{io::Write as _, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::signal::ctrl_c;

/// Writes a line to standard output. A reader that left early is no error.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Writes a line to standard error.
pub(crate) fn tell(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Drawn on standard error, and only if that is a terminal.
pub(crate) fn bar(length: u64) -> ProgressBar {
    let bar = ProgressBar::new(length);
    let style = ProgressStyle::with_template("{elapsed:>4} {wide_bar:.cyan} {pos}/{len} {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
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
