//! Who makes a secret that is missing: the one process whose data folder it lies in, or whoever runs
//! several of them.

use std::{path::Path, str::FromStr};

use super::{FileRefused, read, read_or_make};

/// In whose hands secrets are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Custody {
    /// Of this process, the only one on its data: what is missing is made on first start.
    Ours,
    /// Of operators: there may be replicas, and a secret of each one's own would part them. What is
    /// missing is waited for.
    Operators,
}

impl Custody {
    /// The text of the secret in `path`. `what` starts the sentences that tell of it, and `make`
    /// makes it where that is ours to do.
    ///
    /// # Errors
    /// When the file cannot be had, or somebody else may read it or have written it.
    pub fn read(
        self,
        path: &Path,
        what: &str,
        make: impl FnOnce() -> String,
    ) -> Result<String, FileRefused> {
        match self {
            Self::Ours => read_or_make(path, what, make),
            Self::Operators => brought(path, what),
        }
    }
}

/// The text of a secret that operators bring. `what` starts the sentences that tell of it.
///
/// # Errors
/// When the file cannot be had, or somebody else may read it or have written it.
pub fn brought(path: &Path, what: &str) -> Result<String, FileRefused> {
    read(path)
        .map_err(FileRefused::brought_by_operators)
        .map_err(|refused| refused.about(what))
}

/// The value of a setting that stands in a file of operators', which is read again and again.
///
/// # Errors
/// As `brought`; and when there is no such value in it.
pub fn brought_value<T: FromStr<Err = String>>(path: &Path, what: &str) -> Result<T, FileRefused> {
    brought(path, what)?.trim().parse().map_err(|why| {
        FileRefused::makes_no_sense(what, path, &why)
            .mended_by("Put the right one there; it is read again within seconds".to_owned())
    })
}
