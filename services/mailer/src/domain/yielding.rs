//! Who gives its connection up when the overflow is full: the rule by which `admission` drops
//! silent attempts.

use std::time::Duration;

/// What the rule sees of an attempt in the overflow, or of one that wants in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SilentAttempt {
    pub(crate) number: u64,
    /// How long the mail server has said nothing to it.
    pub(crate) silent_for: Duration,
    /// How long it may go on like that; `None` if nobody may drop it.
    pub(crate) time_left: Option<Duration>,
}

/// Who has to make room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Yields {
    This(u64),
    /// Nobody before that time is over, as far as can be seen.
    NobodyFor(Duration),
}

/// The longest silent of those whose time is over; of two, the one that comes last.
pub(crate) fn who_yields(silent: &[SilentAttempt]) -> Yields {
    let is_over = |attempt: &&SilentAttempt| attempt.time_left == Some(Duration::ZERO);
    let yielding = silent.iter().filter(is_over);
    if let Some(longest) = yielding.max_by_key(|attempt| attempt.silent_for) {
        return Yields::This(longest.number);
    }
    let soonest = silent.iter().filter_map(|attempt| attempt.time_left).min();
    Yields::NobodyFor(soonest.unwrap_or(Duration::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn silent(number: u64, seconds: u32) -> SilentAttempt {
        SilentAttempt {
            number,
            silent_for: seconds * SECOND,
            time_left: Some((5 * SECOND).saturating_sub(seconds * SECOND)),
        }
    }

    fn kept(number: u64, seconds: u32) -> SilentAttempt {
        SilentAttempt {
            time_left: None,
            ..silent(number, seconds)
        }
    }

    #[test]
    fn the_longest_silent_one_yields() {
        let all = [silent(1, 5), silent(2, 9), silent(3, 7)];
        assert_eq!(who_yields(&all), Yields::This(2));
        assert_eq!(who_yields(&[silent(1, 5), silent(2, 5)]), Yields::This(2));
    }

    #[test]
    fn nobody_yields_before_its_time_is_over() {
        let all = [silent(1, 2), silent(2, 4)];
        assert_eq!(who_yields(&all), Yields::NobodyFor(SECOND));
    }

    #[test]
    fn nobody_yields_who_may_not_be_dropped() {
        assert_eq!(who_yields(&[kept(1, 60), silent(2, 6)]), Yields::This(2));
        assert_eq!(who_yields(&[kept(1, 60)]), Yields::NobodyFor(Duration::MAX));
    }
}
