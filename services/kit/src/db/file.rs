//! The file of an SQLite database: ours alone, owned by one process, and still where it was opened.

use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::Context as _;

use super::lock;
use crate::files::{FileRefused, PrivateFolder};

/// What SQLite keeps beside it.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// A database's file while it is open.
#[derive(Debug)]
pub(super) struct DatabaseFile {
    path: PathBuf,
    id: Id,
    lock_path: PathBuf,
    lock_id: Id,
    log_path: PathBuf,
    /// Whether there was a log once: some file systems allow none.
    has_log: AtomicBool,
    /// Held as long as this lives.
    _lock: File,
}

/// Which file a name leads to: device and inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Id(u64, u64);

impl Id {
    fn of(path: &Path) -> Option<Self> {
        let facts = fs::symlink_metadata(path).ok()?;
        Some(Self(facts.dev(), facts.ino()))
    }
}

impl DatabaseFile {
    /// Makes this process the owner of the file, which is made if it is missing.
    pub(super) fn own(path: &str) -> anyhow::Result<Self> {
        let (folder, name) = (make_folder(path)?, place(path).1);
        // Before the file is touched: it is another process's as long as that one has the lock.
        let held = lock::acquire(&folder, name)?;
        check(&folder, name)?;
        // SQLite gives what it keeps beside the file the file's own mode.
        folder.touch(name)?;
        let path = folder.path().join(name);
        let lock_path = folder.path().join(lock::name(name));
        let gone = || format!("{} is gone again.", path.display());
        Ok(Self {
            id: Id::of(&path).with_context(gone)?,
            lock_id: Id::of(&lock_path).with_context(gone)?,
            path,
            lock_path,
            log_path: folder.path().join(format!("{name}-wal")),
            has_log: AtomicBool::new(false),
            _lock: held,
        })
    }

    /// Where it is, absolute, without a link.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether its name still leads to what is open: what is written into a file that was deleted
    /// or replaced is gone with the process. Some microseconds.
    pub(super) fn is_in_place(&self) -> bool {
        // With another lock another process may own it, too.
        Id::of(&self.path) == Some(self.id) && Id::of(&self.lock_path) == Some(self.lock_id)
    }

    /// The same just after a commit, while its connection is open: the log, too, in which the
    /// commit stands, is where the next start looks for it.
    pub(super) fn holds_what_was_committed(&self) -> bool {
        let has_log = self.log_path.exists();
        let had_log = self.has_log.fetch_or(has_log, Ordering::Relaxed);
        self.is_in_place() && (has_log || !had_log)
    }
}

/// The folder of a database's file, ours alone, made if it is missing.
pub(crate) fn make_folder(path: &str) -> Result<PrivateFolder, FileRefused> {
    PrivateFolder::make(place(path).0)
        .map_err(|refused| refused.or("otherwise put the database into a folder of its own"))
}

/// Where another process's database is that is to be read.
pub(super) fn observed(path: &str) -> Result<PathBuf, FileRefused> {
    let (folder, name) = place(path);
    let folder = PrivateFolder::open(folder)?;
    check(&folder, name)?;
    Ok(folder.path().join(name))
}

fn check(folder: &PrivateFolder, name: &str) -> Result<(), FileRefused> {
    folder.has(name)?;
    for suffix in BESIDE {
        folder.has(&format!("{name}{suffix}"))?;
    }
    Ok(())
}

fn place(path: &str) -> (&Path, &str) {
    let path = Path::new(path);
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    // A path without a name, such as `..`, is that of a folder, and is refused as one.
    let name = path.file_name().and_then(|name| name.to_str());
    (folder.unwrap_or(Path::new(".")), name.unwrap_or("."))
}
