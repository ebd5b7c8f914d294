//! Secrets in files: read if they are there, made with mode 0600 if they are not, refused if others
//! may read them.

use std::{
    fs::{self, OpenOptions},
    io::{self, ErrorKind, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use anyhow::{Context as _, bail};

/// The text in `path`. A missing file is made with what `make` returns. `what` starts the sentences
/// that tell of it.
///
/// # Errors
/// When the file cannot be read or made, or when its mode lets others read it.
pub fn read_or_make(
    path: &Path,
    what: &str,
    make: impl FnOnce() -> String,
) -> anyhow::Result<String> {
    let shown = path.display();
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)
            .with_context(|| format!("{what}: the folder of {shown} cannot be made."))?;
    }
    if !path.exists() {
        let text = make();
        match create(path, &text) {
            Ok(()) => {
                tracing::info!("{what} was made: {shown}, readable by its owner only.");
                return Ok(text);
            }
            // Of two processes that start together one makes the file, and the other reads it.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(error).with_context(|| format!("{what}: {shown} cannot be made."));
            }
        }
    }
    read_secret(path, what)
}

/// The text in `path`, which has to be there.
///
/// # Errors
/// When it cannot be read, or its mode lets others read it.
pub fn read_secret(path: &Path, what: &str) -> anyhow::Result<String> {
    refuse_if_others_may_read(path, what)?;
    let shown = path.display();
    fs::read_to_string(path).with_context(|| format!("{what}: {shown} cannot be read."))
}

/// # Errors
/// When the mode of `path` lets others read it, or it cannot be looked at.
pub fn refuse_if_others_may_read(path: &Path, what: &str) -> anyhow::Result<()> {
    let shown = path.display();
    let mode = fs::metadata(path)
        .with_context(|| format!("{what}: {shown} cannot be read."))?
        .mode();
    if mode & 0o077 != 0 {
        bail!(
            "{what}: others may read {shown} (mode {:04o}). Run: chmod 600 {shown}",
            mode & 0o7777
        );
    }
    Ok(())
}

fn create(path: &Path, text: &str) -> io::Result<()> {
    // Written under another name and linked into place: the file appears whole or not at all, and a
    // link, unlike a rename, never replaces one that another process has put there meanwhile.
    let new = path.with_extension(format!("new-{}", std::process::id()));
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        // From its first moment: a `chmod` afterwards would leave it open in between.
        .mode(0o600)
        .open(&new)?;
    let linked = file
        .write_all(text.as_bytes())
        // On disk before it is seen: a machine that dies must not leave an empty secret.
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::hard_link(&new, path));
    fs::remove_file(&new)?;
    linked
}
