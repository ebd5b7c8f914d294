//! `--wait`: a command tries again and again what cannot be done yet, because a part is not there:
//! what starts beside it need not be started in order.

use std::time::Duration;

use clap::Args;
use kit::{Seldom, config::duration};
use tokio::time::{Instant, sleep};

use crate::{
    exit::{Exit, Failure},
    output::Format,
    terminal::{DIM, tell},
};

/// How long after a try the next one comes.
const AGAIN: Duration = Duration::from_secs(1);
/// How often it is said again what is waited for, if that stays the same.
const TOLD_AGAIN: Duration = Duration::from_secs(30);

/// Whether a command waits, and how long.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct WaitFlag {
    /// Wait for what is not there yet, for 5m or as long as is said; exits with 5 if that is in vain
    #[arg(
        long,
        global = true,
        num_args = 0..=1,
        default_missing_value = "5m",
        value_parser = duration,
        value_name = "DURATION"
    )]
    wait: Option<Duration>,
}

impl WaitFlag {
    /// Whether it waits.
    pub(crate) fn is_set(self) -> bool {
        self.wait.is_some()
    }

    /// Does what `once` does, again and again while it fails in a way that may `pass`.
    pub(crate) async fn until<T>(
        self,
        format: Format,
        pass: impl Fn(&Failure) -> bool,
        mut once: impl AsyncFnMut() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let began = Instant::now();
        let mut told = Seldom::default();
        loop {
            let mut failure = match (once().await, self.wait) {
                (Err(failure), Some(_)) if pass(&failure) => failure,
                (done, _) => return done,
            };
            let left = self
                .wait
                .unwrap_or_default()
                .saturating_sub(began.elapsed());
            if left.is_zero() {
                failure.exit = Exit::Unavailable;
                return Err(failure);
            }
            if format != Format::Quiet && told.is_due(&failure.message, TOLD_AGAIN) {
                let (message, left) = (&failure.message, left.as_secs());
                tell(format!(
                    "{DIM}Waiting, for {left} s at most:{DIM:#} {message}"
                ));
            }
            sleep(AGAIN.min(left)).await;
        }
    }
}
