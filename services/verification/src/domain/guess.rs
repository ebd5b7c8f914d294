//! How a guess at a code is judged: the order of the answers. `ConfirmCode` loads what is judged and carries the
//! verdict out.

use std::time::Duration;

/// Wrong guesses that a code takes.
pub const PER_CODE: u32 = 5;

/// Guesses that an account takes in `WINDOW`, whatever codes it gets meanwhile.
pub const PER_ACCOUNT: u32 = 25;

/// The rolling window of `PER_ACCOUNT`.
pub const WINDOW: Duration = Duration::from_secs(24 * 60 * 60);

/// What is known before the digits are looked at.
#[derive(Debug, Clone, Copy)]
pub struct Standing {
    /// The account has been verified.
    pub verified: bool,
    /// With the daily limit reached: how long until its oldest guess leaves the window.
    pub daily_limit_for: Option<Duration>,
    /// The newest code ended by wrong guesses.
    pub burnt: bool,
    /// The newest code's time is over.
    pub expired: bool,
}

/// An answer that does not depend on the digits, and counts nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// The account had been verified before.
    AlreadyVerified,
    /// Too many wrong guesses; with the daily limit, at least this long.
    Burnt(Duration),
    /// The code's time is over.
    Expired,
}

impl Standing {
    /// The answer whatever the digits say, or nothing when they are to be counted and compared.
    pub fn settled(&self) -> Option<Settled> {
        match self {
            Self { verified: true, .. } => Some(Settled::AlreadyVerified),
            Self {
                daily_limit_for: Some(wait),
                ..
            } => Some(Settled::Burnt(*wait)),
            Self { burnt: true, .. } => Some(Settled::Burnt(Duration::ZERO)),
            Self { expired: true, .. } => Some(Settled::Expired),
            _ => None,
        }
    }
}

/// How many more guesses are left for a code after `on_code` on it and `on_account` on its account.
pub fn left(on_code: u32, on_account: u32) -> u32 {
    PER_CODE
        .saturating_sub(on_code)
        .min(PER_ACCOUNT.saturating_sub(on_account))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verified_comes_before_the_daily_limit_before_burnt_before_expired() {
        let minute = Duration::from_secs(60);
        let all = Standing {
            verified: true,
            daily_limit_for: Some(minute),
            burnt: true,
            expired: true,
        };
        assert_eq!(all.settled(), Some(Settled::AlreadyVerified));
        let pending = Standing {
            verified: false,
            ..all
        };
        assert_eq!(pending.settled(), Some(Settled::Burnt(minute)));
        let under_the_limit = Standing {
            daily_limit_for: None,
            ..pending
        };
        assert_eq!(
            under_the_limit.settled(),
            Some(Settled::Burnt(Duration::ZERO))
        );
        let not_burnt = Standing {
            burnt: false,
            ..under_the_limit
        };
        assert_eq!(not_burnt.settled(), Some(Settled::Expired));
        assert_eq!(
            Standing {
                expired: false,
                ..not_burnt
            }
            .settled(),
            None
        );
    }

    #[test]
    fn the_tighter_limit_says_how_many_guesses_are_left() {
        assert_eq!(left(1, 1), 4);
        assert_eq!(left(1, 24), 1);
        assert_eq!(left(5, 30), 0);
    }
}
