//! How a guess at a code is judged: the order of the answers. `ConfirmCode` loads what is judged
//! and carries the verdict out.

use std::time::Duration;

/// Wrong guesses that a code takes.
pub(crate) const GUESSES_PER_CODE: u32 = 5;

/// Guesses that an account takes in `GUESS_WINDOW`, whatever codes it gets meanwhile.
pub(crate) const GUESSES_PER_ACCOUNT: u32 = 25;

/// The rolling window of `GUESSES_PER_ACCOUNT`.
pub(crate) const GUESS_WINDOW: Duration = Duration::from_secs(24 * 60 * 60);

/// What is known before the digits are looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Circumstances {
    /// The account has been verified.
    pub(crate) verified: bool,
    /// With the daily limit reached: how long until its oldest guess leaves the window.
    pub(crate) daily_limit_for: Option<Duration>,
    /// The newest code ended by wrong guesses.
    pub(crate) burnt: bool,
    /// The newest code's time is over.
    pub(crate) expired: bool,
}

/// An answer that does not depend on the digits, and counts nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Foregone {
    /// The account had been verified before.
    AlreadyVerified,
    /// Too many wrong guesses; with the daily limit, at least this long.
    Burnt(Duration),
    /// The code's time is over.
    Expired,
}

impl Circumstances {
    /// The answer whatever the digits say, or nothing when they are to be counted and compared.
    pub(crate) fn foregone(&self) -> Option<Foregone> {
        // What stands in the way longest is named first: another code helps against one that is
        // burnt or expired, never against the daily limit.
        match self {
            Self { verified: true, .. } => Some(Foregone::AlreadyVerified),
            Self {
                daily_limit_for: Some(wait),
                ..
            } => Some(Foregone::Burnt(*wait)),
            Self { burnt: true, .. } => Some(Foregone::Burnt(Duration::ZERO)),
            Self { expired: true, .. } => Some(Foregone::Expired),
            _ => None,
        }
    }
}

/// How many more guesses are left for a code after `on_code` on it and `on_account` on its account.
pub(crate) fn guesses_left(on_code: u32, on_account: u32) -> u32 {
    GUESSES_PER_CODE
        .saturating_sub(on_code)
        .min(GUESSES_PER_ACCOUNT.saturating_sub(on_account))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verified_comes_before_the_daily_limit_before_burnt_before_expired() {
        let minute = Duration::from_secs(60);
        let all = Circumstances {
            verified: true,
            daily_limit_for: Some(minute),
            burnt: true,
            expired: true,
        };
        assert_eq!(all.foregone(), Some(Foregone::AlreadyVerified));
        let pending = Circumstances {
            verified: false,
            ..all
        };
        assert_eq!(pending.foregone(), Some(Foregone::Burnt(minute)));
        let under_the_limit = Circumstances {
            daily_limit_for: None,
            ..pending
        };
        assert_eq!(
            under_the_limit.foregone(),
            Some(Foregone::Burnt(Duration::ZERO))
        );
        let not_burnt = Circumstances {
            burnt: false,
            ..under_the_limit
        };
        assert_eq!(not_burnt.foregone(), Some(Foregone::Expired));
        assert_eq!(
            Circumstances {
                expired: false,
                ..not_burnt
            }
            .foregone(),
            None
        );
    }

    #[test]
    fn the_tighter_limit_says_how_many_guesses_are_left() {
        assert_eq!(guesses_left(1, 1), 4);
        assert_eq!(guesses_left(1, 24), 1);
        assert_eq!(guesses_left(5, 30), 0);
    }
}
