//! The key ring's file, mode 0600. `app` reads it at start and makes it if it is missing; `usher keys generate` puts
//! a new key in front.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use anyhow::Context as _;
use kit::{random, serve::read_or_make};

use crate::domain::keys::{Key, KeyRing, with_newest};

/// How messages about the file begin.
const WHAT: &str = "The code key ring";

/// Reads the key ring; a missing file is made with one new key.
///
/// # Errors
/// When the file cannot be read or made, others may read it, or it is no key ring.
pub fn read(path: &Path) -> anyhow::Result<KeyRing> {
    let text = read_or_make(path, WHAT, || with_newest("", &new_key()))?;
    KeyRing::parse(&text).with_context(|| format!("{WHAT}: {} cannot be used.", path.display()))
}

/// Puts a new key in front of the ring, which is made if it is missing, and returns the key's id. Running services
/// use it from their next start; the older keys stay for the codes that name them.
///
/// # Errors
/// As `read`, and when the file cannot be replaced.
pub fn generate(path: &Path) -> anyhow::Result<String> {
    if !path.exists() {
        return Ok(read(path)?.newest().id().to_owned());
    }
    let text = read_or_make(path, WHAT, String::new)?;
    KeyRing::parse(&text).with_context(|| format!("{WHAT}: {} cannot be used.", path.display()))?;
    let key = new_key();
    // Written beside it and renamed: a crash leaves the old ring or the new one, never half of one.
    let fresh = path.with_extension("new");
    let unwritten = || format!("{WHAT}: {} cannot be written.", fresh.display());
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&fresh)
        .with_context(unwritten)?;
    file.write_all(with_newest(&text, &key).as_bytes())
        .and_then(|()| file.sync_all())
        .with_context(unwritten)?;
    fs::rename(&fresh, path).with_context(|| format!("{WHAT}: {} cannot be replaced.", path.display()))?;
    Ok(key.id().to_owned())
}

fn new_key() -> Key {
    Key::new(random::bytes(), random::bytes())
}
