//! One process owns an SQLite file: an exclusive lock on `<file>.lock`, never on the file itself.

use std::{
    fs::{File, TryLockError},
    io::{Read as _, Seek as _, Write as _},
};

use anyhow::{Context as _, bail};

use crate::files::PrivateFolder;

/// The name of the lock of a database.
pub(super) fn name(database: &str) -> String {
    format!("{database}.lock")
}

/// Takes the lock for as long as the returned file lives, and writes this process' id into it.
pub(super) fn acquire(folder: &PrivateFolder, database: &str) -> anyhow::Result<File> {
    // A file of its own: SQLite locks by `fcntl`, and closing any descriptor of the database file
    // would drop those locks of the whole process. Until the lock is ours, the id in it is that of
    // its owner.
    let name = name(database);
    let mut file = folder.edit(&name)?;
    let shown = folder.path().join(database);
    let shown = shown.display();
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut owner = String::new();
            let _ = file.read_to_string(&mut owner);
            bail!(
                "{shown} is in use by process {}; stop that one first.",
                owner.trim()
            );
        }
        Err(TryLockError::Error(error)) => {
            return Err(error)
                .with_context(|| format!("The lock file of {shown} cannot be locked."));
        }
    }
    // Whoever comes second is told whose it is.
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())?;
    Ok(file)
}
