//! Where a setting's value came from, and what holds.

use std::{fmt, path::PathBuf};

/// Where a value came from; the first that there is wins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whence {
    /// A flag.
    CommandLine,
    /// Its variable.
    Environment,
    /// A line of the TOML file.
    File {
        /// The file.
        path: PathBuf,
        /// Counted from one.
        line: usize,
    },
    /// Nobody set it.
    Default,
}

impl fmt::Display for Whence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CommandLine => f.write_str("the command line"),
            Self::Environment => f.write_str("the environment"),
            Self::File { path, line } => write!(f, "{}, line {line}", path.display()),
            Self::Default => f.write_str("its default"),
        }
    }
}

/// What holds for a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Its name: the variable that sets it.
    pub variable: String,
    /// The value in words, `set` where it may be a secret; nothing where it is unset.
    pub value: Option<String>,
    /// Where the value came from.
    pub origin: Whence,
}
