//! What wakes the loop by itself.

use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep_until};

pub(super) fn timer(period: Duration) -> Interval {
    let mut timer = interval(period);
    // After a delay the next tick is a whole period away: two in a row would do the same twice.
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    timer
}

pub(super) async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
