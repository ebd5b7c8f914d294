//! What is done in a folder that is held open: by name, from there, and over no link.

use std::{
    fs::{self, File},
    io::{self, ErrorKind},
    os::fd::OwnedFd,
    path::PathBuf,
};

use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, fsync, openat, renameat, unlinkat},
    io::Errno,
};

use super::{FileRefused, facts::check_file};

/// An open folder and its absolute path.
#[derive(Debug)]
pub(super) struct OpenedFolder {
    pub(super) path: PathBuf,
    pub(super) descriptor: OwnedFd,
}

impl OpenedFolder {
    pub(super) fn new(path: PathBuf) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let descriptor = openat(CWD, &path, flags, Mode::empty())?;
        Ok(Self { path, descriptor })
    }

    /// A file that is ours alone. One that is made is made 0600.
    pub(super) fn file(&self, name: &str, flags: OFlags) -> Result<File, FileRefused> {
        let path = self.path.join(name);
        // Without blocking: a pipe in its place would let nobody on.
        let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match openat(&self.descriptor, name, flags, Mode::RUSR | Mode::WUSR) {
            Ok(opened) => File::from(opened),
            Err(error) => {
                // A link, or a file of somebody else, tells more than its error does.
                self.has(name)?;
                return Err(FileRefused::io(&path, "opened", &error.into()));
            }
        };
        let facts = file.metadata();
        let facts = facts.map_err(|error| FileRefused::io(&path, "looked at", &error))?;
        check_file(&path, &facts, &self.path)?;
        Ok(file)
    }

    /// Whether there is such a file; refused where it is not ours alone.
    pub(super) fn has(&self, name: &str) -> Result<bool, FileRefused> {
        let path = self.path.join(name);
        match fs::symlink_metadata(&path) {
            Ok(facts) => check_file(&path, &facts, &self.path).map(|()| true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(FileRefused::io(&path, "looked at", &error)),
        }
    }

    pub(super) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(renameat(&self.descriptor, from, &self.descriptor, to)?)
    }

    /// That it is missing is no error.
    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        match unlinkat(&self.descriptor, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        Ok(fsync(&self.descriptor)?)
    }
}
