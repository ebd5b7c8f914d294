//! How often another code may be asked for: once in 60 s, 5 times an hour, 10 times in 24 hours. `ResendCode`
//! takes from the budget in one statement built from these numbers.

use std::time::Duration;

/// One limit: the `nth` newest request must be at least `age` old before another one is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// 1 for the newest request.
    pub nth: usize,
    /// How old it must be.
    pub age: Duration,
}

/// How many requests are remembered: as many as the longest limit looks back.
pub const REMEMBERED: usize = 10;

/// Wait between two requests.
pub const COOLDOWN: Duration = Duration::from_secs(60);

/// All limits; each is exact over a rolling window.
pub const LIMITS: [Limit; 3] = [
    Limit {
        nth: 1,
        age: COOLDOWN,
    },
    Limit {
        nth: 5,
        age: Duration::from_secs(60 * 60),
    },
    Limit {
        nth: REMEMBERED,
        age: Duration::from_secs(24 * 60 * 60),
    },
];

/// How long until the next request is allowed; zero if it is now. `ages` of the requests so far, newest first.
pub fn next_after(ages: &[Duration]) -> Duration {
    let waits = LIMITS
        .iter()
        .filter_map(|limit| Some(limit.age.saturating_sub(*ages.get(limit.nth - 1)?)));
    waits.max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn the_longest_of_all_limits_counts() {
        assert_eq!(next_after(&[]), Duration::ZERO);
        assert_eq!(next_after(&[MINUTE / 4]), MINUTE * 3 / 4);
        assert_eq!(next_after(&[MINUTE * 2; 4]), Duration::ZERO);
        assert_eq!(next_after(&[MINUTE * 2; 5]), MINUTE * 58);
        assert_eq!(next_after(&[MINUTE * 61; 9]), Duration::ZERO);
        assert_eq!(next_after(&[MINUTE * 61; 10]), MINUTE * (24 * 60 - 61));
    }
}
