//! What goes on for long is told now and then, not each time that it is noticed.

use std::time::Duration;

use tokio::time::Instant;

/// What was told last, and when.
#[derive(Debug)]
pub struct Seldom<T = ()>(Option<(T, Instant)>);

impl<T> Default for Seldom<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: PartialEq + Clone> Seldom<T> {
    /// Whether this is to be told: it is news, or was told so long ago. Then it counts as told.
    pub fn is_due(&mut self, what: &T, again: Duration) -> bool {
        let is_told = |(told, at): &(T, Instant)| told == what && at.elapsed() < again;
        let is_due = !self.0.as_ref().is_some_and(is_told);
        if is_due {
            self.0 = Some((what.clone(), Instant::now()));
        }
        is_due
    }
}
