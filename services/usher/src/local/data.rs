//! The data folder of `usher up`: its lock, its paths and what is made in it on the first start.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{Read as _, Seek as _, Write as _},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use crate::exit::{Exit, Failure};

/// A folder that belongs to this process as long as the value lives.
#[derive(Debug)]
pub(crate) struct DataFolder {
    root: PathBuf,
    _lock: File, // its lock ends with the process, however that ends
}

impl DataFolder {
    /// Name of the locked file; also tells that a folder is ours.
    const LOCK: &str = "usher.lock";

    /// Opens the folder, making it where it is missing.
    ///
    /// # Errors
    /// `Refused` when another process has it, naming that process.
    pub(crate) fn open(root: &Path) -> Result<Self, Failure> {
        let cannot = |error: std::io::Error| {
            Failure::new(
                Exit::Failed,
                format!(
                    "The data folder {} cannot be used: {error}.",
                    root.display()
                ),
            )
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(root)
            .map_err(cannot)?;
        let root = root.canonicalize().map_err(cannot)?;
        let path = root.join(Self::LOCK);
        let lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path);
        let mut lock = lock.map_err(cannot)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(taken(&root, &mut lock)),
            Err(TryLockError::Error(error)) => return Err(cannot(error)),
        }
        lock.set_len(0).map_err(cannot)?;
        lock.rewind().map_err(cannot)?;
        write!(lock, "{}", std::process::id()).map_err(cannot)?;
        fs::create_dir_all(root.join("logs")).map_err(cannot)?;
        Ok(Self { root, _lock: lock })
    }

    /// Whether `root` is a folder that an earlier run made.
    pub(crate) fn is_ours(root: &Path) -> bool {
        root.join(Self::LOCK).is_file()
    }

    /// Removes everything but the lock that this process holds.
    pub(crate) fn empty(&self) -> std::io::Result<()> {
        for entry in fs::read_dir(&self.root)? {
            let path = entry?.path();
            match path.is_dir() {
                true => fs::remove_dir_all(path)?,
                false if path.ends_with(Self::LOCK) => {}
                false => fs::remove_file(path)?,
            }
        }
        fs::create_dir_all(self.root.join("logs"))
    }

    /// The folder itself, absolute.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A place in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }
}

fn taken(root: &Path, lock: &mut File) -> Failure {
    let mut pid = String::new();
    let _ = lock.read_to_string(&mut pid);
    let pid = pid.trim();
    Failure::new(
        Exit::Refused,
        format!(
            "Usher is already running on {} (process {pid}).",
            root.display()
        ),
    )
    .hint(format!(
        "Stop it with Ctrl-C where it runs, or `kill {pid}`; or choose another folder with --data."
    ))
}
