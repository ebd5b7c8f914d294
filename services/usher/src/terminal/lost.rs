//! Whether standard output took all that was said: how the command ends tells of it.

use std::{io, sync::OnceLock};

/// Why something could not be said.
#[derive(Debug)]
pub(crate) struct Lost {
    pub(crate) kind: io::ErrorKind,
    pub(crate) why: String,
}

/// The first time.
static LOST: OnceLock<Lost> = OnceLock::new();

/// Why standard output took no more: whoever only says things need not go on.
pub(crate) fn lost() -> Option<&'static Lost> {
    LOST.get()
}

pub(super) fn lose(error: &io::Error) {
    let _ = LOST.set(Lost {
        kind: error.kind(),
        why: error.to_string(),
    });
}
