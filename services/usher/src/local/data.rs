//! The data folder of `usher up`: its lock, its paths, and how files in it are written that only
//! their owner may read.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read as _, Seek as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use crate::exit::{Exit, Failure};

/// A folder that belongs to this process as long as the value lives.
#[derive(Debug)]
pub(crate) struct DataFolder {
    root: PathBuf,
    /// Its lock ends with the process, however that ends.
    _lock: File,
}

impl DataFolder {
    /// Name of the locked file; also tells that a folder is ours.
    const LOCK: &str = "usher.lock";

    /// Opens the folder, making it where it is missing.
    pub(crate) fn open(root: &Path) -> Result<Self, Failure> {
        let cannot = |error: io::Error| {
            let what = format!(
                "The data folder {} cannot be used: {error}.",
                root.display()
            );
            Failure::new(Exit::Failed, what)
        };
        let mut folder = fs::DirBuilder::new();
        folder.recursive(true).mode(0o700);
        folder.create(root).map_err(cannot)?;
        // Children may be told of it by its path alone, whatever their current folder is.
        let root = root.canonicalize().map_err(cannot)?;
        // Not truncated: until the lock is ours, it holds the other process's id.
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut lock = options.open(root.join(Self::LOCK)).map_err(cannot)?;
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
    pub(crate) fn empty(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.root)? {
            let path = entry?.path();
            if path.is_dir() {
                fs::remove_dir_all(path)?;
            // A lock whose file is gone guards nothing: the next process would make another one.
            } else if !path.ends_with(Self::LOCK) {
                fs::remove_file(path)?;
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
    let (pid, root) = (pid.trim(), root.display());
    let what = format!("Usher is already running on {root} (process {pid}).");
    Failure::new(Exit::Refused, what).hint(format!(
        "Stop it with Ctrl-C where it runs, or `kill {pid}`; or choose another folder with --data."
    ))
}

/// Writes a file that only its owner may read: a token, a key, `run.json`.
pub(crate) fn write_private(path: &Path, text: &str) -> io::Result<()> {
    // Under a temporary name with mode 0600, then renamed: no reader sees half of it, and no moment
    // exists at which others could read it.
    let new = path.with_extension("new");
    let _ = fs::remove_file(&new);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut file = options.open(&new)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    fs::rename(&new, path)
}
