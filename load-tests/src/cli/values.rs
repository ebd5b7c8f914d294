//! Values on the command line, read and checked.

use std::path::{Path, PathBuf};

/// The command to start.
pub(super) fn own(usher: Option<&Path>) -> std::io::Result<PathBuf> {
    match usher {
        // Its parts are started elsewhere.
        Some(usher) => std::path::absolute(usher),
        None => std::env::current_exe(),
    }
}

pub(super) fn share(text: &str) -> Result<f64, String> {
    let share: f64 = text.parse().map_err(|_| "is no number".to_owned())?;
    let is_part = (0.0..=1.0).contains(&share);
    is_part
        .then_some(share)
        .ok_or_else(|| "is not between 0 and 1".to_owned())
}

pub(super) fn above_0(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "is no number".to_owned())?;
    let is_rate = rate.is_finite() && rate > 0.0;
    is_rate
        .then_some(rate)
        .ok_or_else(|| "is not above 0".to_owned())
}
