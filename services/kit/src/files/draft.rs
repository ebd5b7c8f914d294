//! A file that nobody sees before it is whole.

use std::{
    fs::File,
    io::{self, Write as _},
};

use rustix::{
    fs::{AtFlags, OFlags, linkat},
    io::Errno,
};

use super::{FileRefused, opened::OpenedFolder};

/// A file under a name of its own until it is kept; removed if it is not.
#[derive(Debug)]
#[must_use = "a draft that is not kept is removed"]
pub struct Draft<'a> {
    folder: &'a OpenedFolder,
    name: String,
    temporary: String,
    file: File,
}

impl<'a> Draft<'a> {
    pub(super) fn new(folder: &'a OpenedFolder, name: &str) -> Result<Self, FileRefused> {
        // By the process: two that start together make the same secret at the same time.
        let temporary = format!(".{name}.{}.tmp", std::process::id());
        // Of a process that died with this one's id; a link in its place goes, and not what it
        // leads to.
        let _ = folder.remove(&temporary);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        Ok(Self {
            file: folder.file(&temporary, flags)?,
            folder,
            name: name.to_owned(),
            temporary,
        })
    }

    /// Adds to it.
    ///
    /// # Errors
    /// The disk's.
    pub fn write(mut self, octets: &[u8]) -> io::Result<Self> {
        self.file.write_all(octets)?;
        Ok(self)
    }

    /// Brings it to the disk; nobody sees it yet.
    ///
    /// # Errors
    /// The disk's.
    pub fn sync(self) -> io::Result<Self> {
        self.file.sync_all()?;
        Ok(self)
    }

    /// Lets it appear in the place of what is there. Of one that was brought to the disk before, a
    /// crash leaves the whole or nothing.
    ///
    /// # Errors
    /// The disk's.
    pub fn keep(self) -> io::Result<()> {
        self.folder.rename(&self.temporary, &self.name)
    }

    /// Lets it appear if there is nothing under its name, and answers whether it did.
    ///
    /// # Errors
    /// The disk's.
    pub fn keep_if_first(self) -> io::Result<bool> {
        let opened = &self.folder.descriptor;
        // A link, unlike a rename, never replaces what another process has put there meanwhile.
        match linkat(
            opened,
            &*self.temporary,
            opened,
            &*self.name,
            AtFlags::empty(),
        ) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        // After a rename there is none.
        let _ = self.folder.remove(&self.temporary);
    }
}
