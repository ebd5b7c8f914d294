//! One finished piece of work as the waterfall needs it: made from OTLP by `collect`, ordered by `tree`.

use std::time::Duration;

/// A span without its attributes: who did what, when, and because of whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Span {
    /// Trace it belongs to, 32 hexadecimal digits.
    pub(crate) trace: String,
    /// Its id, 16 hexadecimal digits.
    pub(crate) id: String,
    /// The span that caused it; `None` for the trace's root.
    pub(crate) parent: Option<String>,
    /// `service.name` of the process that made it.
    pub(crate) service: String,
    /// What was done, such as `publish accounts.v1.account_created`.
    pub(crate) name: String,
    /// Nanoseconds since the Unix epoch.
    pub(crate) start: u64,
    /// Nanoseconds since the Unix epoch; never before `start`.
    pub(crate) end: u64,
    /// Whether it ended with an error.
    pub(crate) failed: bool,
}

impl Span {
    /// How long it took.
    pub(crate) fn duration(&self) -> Duration {
        Duration::from_nanos(self.end.saturating_sub(self.start))
    }

    /// Its name without what every reader knows: `usher.accounts.v1.AccountsService/CreateAccount` becomes
    /// `CreateAccount`, `publish accounts.v1.account_created` becomes `publish account_created`.
    pub(crate) fn short_name(&self) -> String {
        let words = self.name.split(' ').map(|word| {
            let method = word.rsplit_once('/').map_or(word, |(_, method)| method);
            method.split_once(".v1.").map_or(method, |(_, fact)| fact)
        });
        words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
    }
}
