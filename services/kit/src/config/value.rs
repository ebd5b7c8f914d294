//! What several settings are: times, leases, numbers, switches.

use std::time::Duration;

const SHORTEST_LEASE: Duration = Duration::from_millis(100);

/// A setting that is on or off.
#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// It is done.
    On,
    /// It is not.
    Off,
}

impl Switch {
    /// Whether it is on.
    pub const fn is_on(self) -> bool {
        matches!(self, Self::On)
    }
}

/// Reads a setting that is a time: `500ms`, `10s`, `24h`.
///
/// # Errors
/// What a time looks like.
pub fn duration(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text)
        .ok()
        .filter(|time| !time.is_zero());
    time.ok_or_else(|| "expected a time such as 500ms, 10s or 24h".to_owned())
}

/// Reads a setting that is a number of things, of which there must be one.
///
/// # Errors
/// What such a number looks like.
pub fn at_least_one(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| "expected a whole number from 1".to_owned())
}

/// Reads a setting that is a lease: long enough to be renewed a few times before it ends.
///
/// # Errors
/// What a lease looks like.
pub fn lease(text: &str) -> Result<Duration, String> {
    let lease = duration(text)?;
    match lease >= SHORTEST_LEASE {
        true => Ok(lease),
        false => {
            Err("expected at least 100ms: a lease is renewed three times before it ends".to_owned())
        }
    }
}
