//! A small disk in memory, to be filled and freed: where root runs the tests.

use std::{
    fs,
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use super::{is_root, skip};

/// A mounted disk; gone on drop with all that is on it.
#[derive(Debug)]
pub struct SmallDisk {
    folder: PathBuf,
    /// The folder, where it was made for this.
    _made: Option<TempDir>,
}

impl SmallDisk {
    /// Mounts a disk of eight megabytes in a folder of its own, or says on standard error why the
    /// test that needs one is skipped; as root none is skipped.
    ///
    /// # Panics
    /// When root cannot mount it.
    pub fn mount() -> Option<Self> {
        or_skip(Self::of(8))
    }

    /// The same at this folder.
    ///
    /// # Panics
    /// As `mount`.
    pub fn mount_at(folder: &Path) -> Option<Self> {
        or_skip(is_mounted(folder, 8).then(|| Self {
            folder: folder.to_owned(),
            _made: None,
        }))
    }

    /// Mounts a disk of so many megabytes; nothing where that is not allowed.
    ///
    /// # Panics
    /// When no folder can be made for it.
    pub fn of(megabytes: u64) -> Option<Self> {
        let made = tempfile::tempdir().expect("a temporary directory can be made");
        is_mounted(made.path(), megabytes).then(|| Self {
            folder: made.path().to_owned(),
            _made: Some(made),
        })
    }

    /// Where it is mounted.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Leaves not one free block.
    ///
    /// # Panics
    /// When something else than its size keeps it from being filled.
    pub fn fill(&self) {
        let file = fs::File::options()
            .create(true)
            .append(true)
            .open(self.filler());
        let mut file = file.expect("a file can be made");
        // Large blocks for speed, then single octets: not even the rest of a block is left.
        for block in [1 << 20, 4096, 1] {
            loop {
                match file.write(&vec![0; block]) {
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => panic!("the disk cannot be filled: {error}"),
                }
            }
        }
    }

    /// Frees what `fill` took.
    ///
    /// # Panics
    /// When it was not filled.
    pub fn free(&self) {
        fs::remove_file(self.filler()).expect("it was filled");
    }

    fn filler(&self) -> PathBuf {
        self.folder().join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a service that still ends may have its database open.
        let _ = Command::new("umount").arg("-l").arg(self.folder()).status();
    }
}

fn is_mounted(folder: &Path, megabytes: u64) -> bool {
    let mut mount = Command::new("mount");
    let options = format!("size={megabytes}m,mode=700");
    mount.args(["-t", "tmpfs", "-o", &options, "tmpfs"]);
    let mounted = mount.arg(folder).output();
    mounted.is_ok_and(|output| output.status.success())
}

fn or_skip(mounted: Option<SmallDisk>) -> Option<SmallDisk> {
    if mounted.is_some() {
        return mounted;
    }
    skip(is_root(), ", because only root can mount a disk");
    None
}
