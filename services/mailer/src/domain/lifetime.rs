//! How long a code still works, in the one unit a person would name; the texts turn it into words.

use std::time::Duration;

/// A count and its unit, rounded to the nearest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lifetime {
    /// From two days on.
    Days(u64),
    /// From ninety minutes on.
    Hours(u64),
    /// Anything shorter; at least one.
    Minutes(u64),
}

impl Lifetime {
    pub(crate) fn of(left: Duration) -> Self {
        const HOUR: u64 = 60;
        const DAY: u64 = 24 * HOUR;
        let minutes = (left.as_secs() + 30) / 60;
        match minutes {
            _ if minutes >= 2 * DAY - HOUR / 2 => Self::Days((minutes + DAY / 2) / DAY),
            _ if minutes >= 90 => Self::Hours((minutes + HOUR / 2) / HOUR),
            _ => Self::Minutes(minutes.max(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_to_the_unit_a_person_would_name() {
        const HOUR: u64 = 60 * 60;
        for (seconds, lifetime) in [
            (0, Lifetime::Minutes(1)),
            (15 * 60 - 3, Lifetime::Minutes(15)),
            (HOUR, Lifetime::Minutes(60)),
            (24 * HOUR - 3, Lifetime::Hours(24)),
            (47 * HOUR, Lifetime::Hours(47)),
            (48 * HOUR - 3, Lifetime::Days(2)),
            (7 * 24 * HOUR, Lifetime::Days(7)),
        ] {
            assert_eq!(
                Lifetime::of(Duration::from_secs(seconds)),
                lifetime,
                "{seconds} s"
            );
        }
    }
}
