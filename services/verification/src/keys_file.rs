//! The key ring's file, mode 0600: `app` reads it at start, and makes it if it is missing. `usher keys generate` puts
//! further keys in front.

use std::path::Path;

use anyhow::Context as _;
use kit::{random, serve::read_or_make};

use crate::domain::keys::{Key, KeyRing, with_newest};

/// Reads the key ring; a missing file is made with one new key.
///
/// # Errors
/// When the file cannot be read or made, others may read it, or it is no key ring.
pub(crate) fn read(path: &Path) -> anyhow::Result<KeyRing> {
    let make = || with_newest("", &Key::new(random::bytes(), random::bytes()));
    let text = read_or_make(path, "The code key ring", make)?;
    KeyRing::parse(&text)
        .with_context(|| format!("The code key ring {} cannot be used.", path.display()))
}
