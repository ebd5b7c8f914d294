//! How an attempt to send a mail ended: the words in tables, spans and metrics.

/// One attempt's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Outcome {
    /// The mail server took responsibility for the mail.
    Accepted,
    /// Not possible now; another attempt may succeed.
    Unavailable,
    /// The mail server refused the recipient for good.
    Rejected,
    /// The mail cannot be made.
    Invalid,
    /// The answer after the final dot was lost: the mail may have been accepted.
    Unknown,
}

impl Outcome {
    /// All of them.
    pub(crate) const ALL: [Self; 5] = [
        Self::Accepted,
        Self::Unavailable,
        Self::Rejected,
        Self::Invalid,
        Self::Unknown,
    ];

    /// Its word.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Unavailable => "unavailable",
            Self::Rejected => "rejected",
            Self::Invalid => "invalid",
            Self::Unknown => "unknown",
        }
    }

    /// Reads the word back.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|outcome| outcome.as_str() == word)
    }
}
