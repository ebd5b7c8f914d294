//! One process owns an SQLite file: an exclusive lock on `<file>.lock`, never on the file itself.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read as _, Seek as _, Write as _},
    path::Path,
};

use anyhow::{Context as _, bail};

/// Takes the lock for as long as the returned file lives, and writes this process' id into it.
pub(super) fn acquire(database: &str) -> anyhow::Result<File> {
    // A file of its own: SQLite locks by `fcntl`, and closing any descriptor of the database file
    // would drop those locks of the whole process.
    let path = format!("{database}.lock");
    if let Some(folder) = Path::new(&path).parent() {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("The folder {} cannot be made.", folder.display()))?;
    }
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        // Until the lock is ours, the id in it is that of its owner.
        .truncate(false)
        .open(&path)
        .with_context(|| format!("The lock file {path} cannot be opened."))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut owner = String::new();
            let _ = file.read_to_string(&mut owner);
            bail!(
                "{database} is in use by process {}; stop that one first.",
                owner.trim()
            );
        }
        Err(TryLockError::Error(error)) => {
            return Err(error).with_context(|| format!("The lock file {path} cannot be locked."));
        }
    }
    // Whoever comes second is told whose it is.
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())?;
    Ok(file)
}
