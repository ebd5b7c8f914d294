//! Which codes are tried, and what came of each.

use rand::seq::SliceRandom as _;

use crate::chance::dice;

/// A code to be typed for an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) account_id: String,
    pub(super) code: String,
}

/// What the code in an account's mail did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guess {
    /// It verified the account.
    Right,
    /// It did not; this was the answer.
    Answered(String),
}

impl Guess {
    /// Whether it verified the account.
    pub fn is_right(&self) -> bool {
        *self == Self::Right
    }
}

/// Keeps at most `most` of them, chosen by the seed; what they are sorted by is the account's id.
pub(super) fn choose(choices: &mut Vec<Choice>, most: usize, seed: u64) {
    choices.shuffle(&mut dice(seed, "guesses"));
    choices.truncate(most);
}
