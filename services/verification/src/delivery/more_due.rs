//! What `mail_loop` knows of the table without looking: whether there may be mails that are due.

/// Of which turn the table may hold mails that are due.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct MoreDue {
    pub(super) first: bool,
    pub(super) later: bool,
}

impl MoreDue {
    pub(super) const BOTH: Self = Self {
        first: true,
        later: true,
    };
}
