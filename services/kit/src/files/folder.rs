//! A folder that is ours alone, held open: what is opened in it is found from there, and no link is
//! followed.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, ErrorKind, Read as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::Path,
};

use rustix::{
    fs::{Mode, OFlags, mkdirat},
    io::Errno,
};

use super::{
    Draft, FileRefused,
    facts::{check_file, check_folder},
    opened::OpenedFolder,
    way::{Last, check as check_way, follow},
};

/// The folder; its path is absolute and leads over no link.
#[derive(Debug)]
pub struct PrivateFolder(OpenedFolder);

impl PrivateFolder {
    /// Opens the folder, making it and what is missing on the way.
    ///
    /// # Errors
    /// When it cannot be made, or is not ours alone.
    pub fn make(path: &Path) -> Result<Self, FileRefused> {
        let path = follow(path, Last::AsItIs)?;
        make_missing(&path)?;
        Self::at(&path)
    }

    /// Opens the folder of this name in one that the operator names, making what is missing. Others
    /// may write to that one, as a volume of Kubernetes is everybody's in its pod.
    ///
    /// # Errors
    /// When it cannot be made, or is not ours alone.
    pub fn make_in(named: &Path, name: &str) -> Result<Self, FileRefused> {
        let path = follow(named, Last::Followed)?;
        make_missing(&path)?;
        let opened = OpenedFolder::new(path.clone());
        let opened = opened.map_err(|error| FileRefused::io(&path, "opened", &error))?;
        // Whoever puts something else in its place is refused by what it is, or whose.
        Self(opened).folder(name)
    }

    /// Opens the folder if it is there.
    ///
    /// # Errors
    /// When it is missing, or is not ours alone.
    pub fn open(path: &Path) -> Result<Self, FileRefused> {
        Self::at(&follow(path, Last::AsItIs)?)
    }

    fn at(path: &Path) -> Result<Self, FileRefused> {
        let cannot = |error: io::Error| FileRefused::io(path, "opened", &error);
        // Before it is opened, which another user's folder would not let us.
        check_folder(path, &fs::symlink_metadata(path).map_err(cannot)?)?;
        let opened = OpenedFolder::new(path.to_owned()).map_err(cannot)?;
        let same = opened.descriptor.try_clone().map_err(cannot)?;
        check_folder(path, &File::from(same).metadata().map_err(cannot)?)?;
        Ok(Self(opened))
    }

    /// The folder in which a file lies that an operator has named: others may look into it, but put
    /// nothing in the place of what is there.
    pub(super) fn around(file: &Path) -> Result<Self, FileRefused> {
        let path = file.parent().unwrap_or(file).to_owned();
        make_missing(&path)?;
        let cannot = |error: io::Error| FileRefused::io(&path, "opened", &error);
        check_way(&path, &fs::symlink_metadata(&path).map_err(cannot)?, file)?;
        Ok(Self(OpenedFolder::new(path.clone()).map_err(cannot)?))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// A folder in it, made if it is missing.
    ///
    /// # Errors
    /// When it cannot be made, or is not ours alone.
    pub fn folder(&self, name: &str) -> Result<Self, FileRefused> {
        let path = self.path().join(name);
        match mkdirat(&self.0.descriptor, name, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => Self::at(&path),
            Err(error) => Err(FileRefused::io(&path, "made", &error.into())),
        }
    }

    /// What a file holds; nothing where there is none.
    ///
    /// # Errors
    /// When it cannot be read, or is not ours alone.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, FileRefused> {
        let mut octets = Vec::new();
        match self.0.file(name, OFlags::RDONLY) {
            Ok(mut file) => {
                let read = file.read_to_end(&mut octets);
                read.map_err(|error| FileRefused::io(&self.path().join(name), "read", &error))?;
                Ok(Some(octets))
            }
            Err(refused) if refused.is_missing() => Ok(None),
            Err(refused) => Err(refused),
        }
    }

    /// A file to be read and written in place, made if it is missing.
    ///
    /// # Errors
    /// When it cannot be opened, or is not ours alone.
    pub fn edit(&self, name: &str) -> Result<File, FileRefused> {
        self.alone(name, OFlags::RDWR | OFlags::CREATE)
    }

    /// A file to be written at its end, made if it is missing.
    ///
    /// # Errors
    /// When it cannot be opened, or is not ours alone.
    pub fn append(&self, name: &str) -> Result<File, FileRefused> {
        self.alone(name, OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE)
    }

    /// Makes an empty file, unless there is one.
    ///
    /// # Errors
    /// When it cannot be made, or the one that is there is not ours alone.
    pub fn touch(&self, name: &str) -> Result<(), FileRefused> {
        // Not opened if it is there: closing a descriptor of an SQLite file drops that process's
        // locks on it.
        if self.has(name)? {
            return Ok(());
        }
        match self
            .0
            .file(name, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL)
        {
            Ok(_) => Ok(()),
            Err(_) if self.has(name)? => Ok(()), // another process was faster
            Err(refused) => Err(refused),
        }
    }

    /// Whether there is such a file.
    ///
    /// # Errors
    /// When it is not ours alone.
    pub fn has(&self, name: &str) -> Result<bool, FileRefused> {
        self.0.has(name)
    }

    /// A file that appears under this name, in the place of what is there, once it is kept.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn draft(&self, name: &str) -> Result<Draft<'_>, FileRefused> {
        Draft::new(&self.0, name)
    }

    /// Puts a file in the place of what is there, whole or not at all.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn replace(&self, name: &str, octets: &[u8]) -> Result<(), FileRefused> {
        let written = self.draft(name)?.write(octets).and_then(Draft::sync);
        let written = written.and_then(Draft::keep).and_then(|()| self.sync());
        written.map_err(|error| FileRefused::io(&self.path().join(name), "written", &error))
    }

    /// Brings its names to the disk.
    ///
    /// # Errors
    /// The disk's.
    pub fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }

    /// Gives a file another name, in the place of what is there.
    ///
    /// # Errors
    /// When it cannot be done.
    pub fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(from, to)
    }

    /// Removes a file, or the link that stands in its place.
    ///
    /// # Errors
    /// When it cannot be removed; that it is missing is no error.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove(name)
    }

    /// Refuses what is in it and not ours alone, with one look at each name.
    ///
    /// # Errors
    /// The first of them.
    pub fn check_all(&self) -> Result<(), FileRefused> {
        let cannot = |error: io::Error| FileRefused::io(self.path(), "read", &error);
        for entry in fs::read_dir(self.path()).map_err(cannot)? {
            let path = entry.map_err(cannot)?.path();
            match fs::symlink_metadata(&path) {
                Ok(facts) if facts.is_dir() => check_folder(&path, &facts)?,
                Ok(facts) => check_file(&path, &facts, self.path())?,
                Err(error) if error.kind() == ErrorKind::NotFound => {} // gone meanwhile
                Err(error) => return Err(FileRefused::io(&path, "looked at", &error)),
            }
        }
        Ok(())
    }

    /// A file that is written in place. One with a second name would be written there, too.
    fn alone(&self, name: &str, flags: OFlags) -> Result<File, FileRefused> {
        let file = self.0.file(name, flags)?;
        match file.metadata() {
            Ok(facts) if facts.nlink() > 1 => {
                Err(FileRefused::has_two_names(&self.path().join(name)))
            }
            _ => Ok(file),
        }
    }
}

fn make_missing(path: &Path) -> Result<(), FileRefused> {
    let mut missing = Vec::new();
    let mut at = path;
    while fs::symlink_metadata(at).is_err_and(|error| error.kind() == ErrorKind::NotFound) {
        missing.push(at);
        let Some(above) = at.parent() else { break };
        at = above;
    }
    for folder in missing.into_iter().rev() {
        match DirBuilder::new().mode(0o700).create(folder) {
            Ok(()) => {}
            // By another process of ours, or by somebody else: the look at it will tell.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(FileRefused::io(folder, "made", &error)),
        }
    }
    Ok(())
}
