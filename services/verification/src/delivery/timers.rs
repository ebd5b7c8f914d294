//! What wakes the loop by itself.

use std::time::Duration;

pub(super) use kit::serve::until;
use tokio::time::{Interval, MissedTickBehavior, interval};

pub(super) fn timer(period: Duration) -> Interval {
    let mut timer = interval(period);
    // After a delay the next tick is a whole period away: two in a row would do the same twice.
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    timer
}

/// Claims are renewed three times in their lease, so that two may fail before one runs out; and as
/// often as the loop has to be seen at work.
pub(super) fn renewals(lease: Duration) -> Interval {
    timer((lease * 3 / 10).clamp(Duration::from_millis(10), Duration::from_secs(10)))
}
