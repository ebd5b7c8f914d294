//! Whether a mail is offered for the first time: later attempts may use fewer connections.

/// Which attempt on its mail this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// The first.
    First,
    /// Any other.
    Later,
}
