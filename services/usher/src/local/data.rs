//! The data folder of `usher up`: ours alone, locked, and where things are in it.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use kit::files::{FileRefused, PrivateFolder};

use crate::exit::{Exit, Failure};

/// A folder that belongs to this process as long as the value lives.
#[derive(Debug)]
pub(crate) struct DataFolder {
    folder: PrivateFolder,
    logs: Arc<PrivateFolder>,
    /// Its lock ends with the process, however that ends.
    _lock: File,
}

impl DataFolder {
    /// Name of the locked file; also tells that a folder is ours.
    const LOCK: &str = "usher.lock";
    const LOGS: &str = "logs";

    /// Opens the folder, making it where it is missing.
    pub(crate) fn open(root: &Path) -> Result<Self, Failure> {
        let folder = make(root)?;
        // All of it before anything is written: what somebody has put there may lead anywhere.
        folder.check_all()?;
        // Not truncated: until the lock is ours, it holds the other process's id.
        let mut lock = folder.edit(Self::LOCK)?;
        let cannot = |error: io::Error| {
            let what = format!(
                "The data folder {} cannot be used: {error}.",
                root.display()
            );
            Failure::new(Exit::Failed, what)
        };
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(taken(folder.path(), &mut lock)),
            Err(TryLockError::Error(error)) => return Err(cannot(error)),
        }
        lock.set_len(0).map_err(cannot)?;
        lock.rewind().map_err(cannot)?;
        write!(lock, "{}", std::process::id()).map_err(cannot)?;
        let logs = folder.folder(Self::LOGS)?;
        logs.check_all()?;
        Ok(Self {
            folder,
            logs: Arc::new(logs),
            _lock: lock,
        })
    }

    /// Whether `root` is a folder that an earlier run made.
    pub(crate) fn is_ours(root: &Path) -> bool {
        root.join(Self::LOCK).is_file()
    }

    /// Removes everything but the lock that this process holds, and the empty folder of logs.
    pub(crate) fn empty(&self) -> io::Result<()> {
        for entry in fs::read_dir(self.root())? {
            let path = entry?.path();
            if path.ends_with(Self::LOGS) {
                for log in fs::read_dir(path)? {
                    fs::remove_file(log?.path())?;
                }
            } else if path.is_dir() {
                fs::remove_dir_all(path)?;
            // A lock whose file is gone guards nothing: the next process would make another one.
            } else if !path.ends_with(Self::LOCK) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// The folder itself, absolute.
    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    /// A place in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    /// Where children's logs are.
    pub(crate) fn logs(&self) -> Arc<PrivateFolder> {
        Arc::clone(&self.logs)
    }

    /// For what is made in it.
    pub(crate) fn folder(&self) -> &PrivateFolder {
        &self.folder
    }
}

/// The folder that `--data` names, made where it is missing.
pub(crate) fn make(root: &Path) -> Result<PrivateFolder, Failure> {
    PrivateFolder::make(root).map_err(elsewhere)
}

/// What a refused data folder says: another one will do as well.
pub(crate) fn elsewhere(refused: FileRefused) -> Failure {
    refused
        .or("otherwise choose another folder with --data")
        .into()
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
