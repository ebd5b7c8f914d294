//! What the connections of a proxy live under, and what follows for each.

use std::time::Duration;

/// Connections are numbered as they are made; a limit holds for those below it, the mood for all
/// others.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Conditions {
    pub(super) mood: Mood,
    pub(super) made: u64,
    pub(super) cut_below: u64,
    pub(super) torn_below: u64,
    pub(super) silent_below: u64,
    pub(super) swallowed_below: u64,
    pub(super) vanished_below: u64,
    /// The one whose words a trap waited for.
    pub(super) trapped: Option<u64>,
}

/// What happens to a connection's next chunk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Mood {
    #[default]
    Pass,
    Delay(Duration),
    Halve,
    Silence,
    Cut,
}

impl Conditions {
    pub(super) fn mood(&self, number: u64) -> Mood {
        // In the order of their gravity: what was cut and would then be silent stays cut.
        if number < self.cut_below {
            Mood::Cut
        } else if self.mood == Mood::Silence
            || number < self.silent_below.max(self.swallowed_below)
            || self.trapped == Some(number)
        {
            Mood::Silence
        } else if number < self.torn_below {
            Mood::Halve
        } else {
            self.mood
        }
    }

    /// Whether the host that a connection leads to is gone.
    pub(super) fn has_vanished(&self, number: u64) -> bool {
        number < self.vanished_below
    }

    /// Whether the end of one side of a connection reaches the other.
    pub(super) fn ends_are_heard(&self, number: u64) -> bool {
        self.mood != Mood::Silence && number >= self.swallowed_below
    }
}
