//! Which codes are tried, and what came of each.

use std::collections::HashMap;

use rand::seq::SliceRandom as _;

use crate::chance::dice;

/// A code to be typed for an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) account_id: String,
    pub(super) code_id: String,
    pub(super) code: String,
    /// Whether somebody typed it before and was not answered.
    pub(super) is_typed: bool,
}

/// What the code in an account's mail did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guess {
    /// It verified the account.
    Right,
    /// It did not; this was the answer.
    Answered(String),
}

/// What people were answered who typed their codes, by the code's id; nothing where they gave up.
pub type Typed = HashMap<String, Option<Guess>>;

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
