//! When a mail that could not be sent is tried again. `mail` asks, the delivery writes it into the
//! code's row.

use std::time::Duration;

const SECONDS: [u64; 8] = [
    5,
    30,
    2 * 60,
    10 * 60,
    30 * 60,
    60 * 60,
    2 * 60 * 60,
    4 * 60 * 60,
];

/// What follows the list, until the code expires; also the wait after an outcome stayed unknown
/// twice.
pub(super) const SLOW_END: Duration = Duration::from_secs(60 * 60);

/// The wait after the `attempts`-th attempt failed, 1 for the first, jittered by `random` (0 to
/// below 1).
pub(super) fn wait_after(attempts: u32, random: f64) -> Duration {
    let listed = usize::try_from(attempts.saturating_sub(1))
        .ok()
        .and_then(|index| SECONDS.get(index));
    jittered(
        listed.map_or(SLOW_END, |seconds| Duration::from_secs(*seconds)),
        random,
    )
}

/// `wait`, a tenth shorter to a tenth longer.
pub(crate) fn jittered(wait: Duration, random: f64) -> Duration {
    // Mails that failed together do not come back together.
    wait.mul_f64(0.9 + 0.2 * random.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_waits_are_five_seconds_to_four_hours_and_then_an_hour_each() {
        let waits: Vec<u64> = (1..=10)
            .map(|attempts| wait_after(attempts, 0.5).as_secs())
            .collect();
        assert_eq!(
            waits,
            [5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 3_600, 3_600]
        );
        assert_eq!(wait_after(u32::MAX, 0.5), SLOW_END);
    }

    #[test]
    fn jitter_moves_a_wait_by_a_tenth_at_most() {
        assert_eq!(wait_after(1, 0.0), Duration::from_millis(4_500));
        assert!(wait_after(1, 0.999) <= Duration::from_millis(5_500));
    }
}
