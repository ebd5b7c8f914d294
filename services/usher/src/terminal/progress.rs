//! Progress while something is waited for: a spinner on a terminal, then one line that stays.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::{DIM, GOOD, is_colourful, say, tell};

/// Where progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// On standard output, beside everything else that a person reads.
    Spoken,
    /// On standard error: standard output belongs to a machine-readable answer.
    Aside,
    /// Nowhere.
    Silent,
}

impl Progress {
    /// Shows that `what` is being done, until the step is done or dropped.
    pub(crate) fn step(self, what: &str) -> Step {
        // Drawn on standard error, and only if that is a terminal.
        let bar = match self {
            Self::Silent => ProgressBar::hidden(),
            Self::Spoken | Self::Aside => ProgressBar::new_spinner(),
        };
        let bar = bar.with_message(what.to_owned());
        let style = ProgressStyle::with_template(match is_colourful() {
            true => "  {spinner:.cyan} {msg:.dim}",
            false => "  {spinner} {msg}",
        });
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        bar.enable_steady_tick(Duration::from_millis(80));
        Step {
            bar,
            progress: self,
        }
    }
}

/// Something that is being done.
#[derive(Debug)]
pub(crate) struct Step {
    bar: ProgressBar,
    progress: Progress,
}

impl Step {
    /// Says how far it is.
    pub(crate) fn now(&self, what: &str) {
        self.bar.set_message(what.to_owned());
    }

    /// Says what came out of it.
    pub(crate) fn done(self, what: &str, detail: &str) {
        self.bar.finish_and_clear();
        let line = format!("  {GOOD}✓{GOOD:#} {what}  {DIM}{detail}{DIM:#}");
        match self.progress {
            Progress::Spoken => say(line.trim_end()),
            Progress::Aside => tell(line.trim_end()),
            Progress::Silent => {}
        }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
