//! Who gives its connection up when the slow half is full: the rule by which `admission` drops
//! silent attempts.

use std::time::Duration;

/// What the rule sees of an attempt in the slow half.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SlowAttempt {
    pub(crate) number: u64,
    /// How long the mail server has said nothing to it.
    pub(crate) silent_for: Duration,
    /// Its final dot is out: dropped now, it would leave an outcome that nobody knows.
    pub(crate) is_past_return: bool,
}

/// Who yields when one more attempt, silent for `newcomer`, wants into a slow half that is full:
/// the longest silent of all that may still be dropped. `None` if that is the newcomer itself.
pub(crate) fn who_yields(newcomer: Duration, slow: &[SlowAttempt]) -> Option<u64> {
    let mut yields = None;
    let mut longest = newcomer;
    for attempt in slow {
        if !attempt.is_past_return && attempt.silent_for > longest {
            yields = Some(attempt.number);
            longest = attempt.silent_for;
        }
    }
    yields
}

#[cfg(test)]
mod tests {
    use super::*;

    fn silent(number: u64, seconds: u64) -> SlowAttempt {
        SlowAttempt {
            number,
            silent_for: Duration::from_secs(seconds),
            is_past_return: false,
        }
    }

    #[test]
    fn the_longest_silent_one_yields() {
        let slow = [silent(1, 5), silent(2, 9), silent(3, 7)];
        assert_eq!(who_yields(Duration::from_secs(2), &slow), Some(2));
    }

    #[test]
    fn a_newcomer_yields_when_it_has_been_silent_longest_or_as_long() {
        let slow = [silent(1, 5), silent(2, 9)];
        assert_eq!(who_yields(Duration::from_secs(10), &slow), None);
        assert_eq!(who_yields(Duration::from_secs(9), &slow), None);
        assert_eq!(who_yields(Duration::from_secs(2), &[]), None);
    }

    #[test]
    fn nobody_is_dropped_past_the_point_of_no_return() {
        let waits_for_its_answer = SlowAttempt {
            is_past_return: true,
            ..silent(1, 60)
        };
        let slow = [waits_for_its_answer, silent(2, 3)];
        assert_eq!(who_yields(Duration::from_secs(2), &slow), Some(2));
        assert_eq!(who_yields(Duration::from_secs(4), &slow), None);
    }
}
