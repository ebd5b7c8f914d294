//! A small disk in memory, to be filled and freed: where root runs the tests.

use std::{
    fs,
    io::{self, ErrorKind, Write as _},
    path::Path,
    process::Command,
};

use tempfile::TempDir;

/// A mounted disk; gone on drop with all that is on it.
#[derive(Debug)]
pub struct SmallDisk(TempDir);

impl SmallDisk {
    /// Mounts a disk of eight megabytes, or says on standard error why the test that needs one is
    /// skipped; as root none is skipped.
    ///
    /// # Panics
    /// When root cannot mount it.
    pub fn mount() -> Option<Self> {
        let mounted = Self::of(8);
        if mounted.is_some() {
            return mounted;
        }
        let user = Command::new("id").arg("-u").output();
        let is_root = user.is_ok_and(|output| output.stdout == b"0\n");
        let in_ci = std::env::var_os("CI").is_some();
        // In CI nobody reads what was skipped.
        assert!(!(is_root && in_ci), "root can mount a disk in memory");
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        // Not `eprintln!`: the test harness swallows that of tests that pass.
        let _ = writeln!(
            io::stderr(),
            "skipped: {test}, because only root can mount a disk"
        );
        None
    }

    /// Mounts a disk of so many megabytes; nothing where that is not allowed.
    ///
    /// # Panics
    /// When no folder can be made for it.
    pub fn of(megabytes: u64) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary directory can be made");
        let mut mount = Command::new("mount");
        let options = format!("size={megabytes}m,mode=700");
        mount.args(["-t", "tmpfs", "-o", &options, "tmpfs"]);
        let mounted = mount.arg(folder.path()).output();
        mounted
            .is_ok_and(|output| output.status.success())
            .then_some(Self(folder))
    }

    /// Where it is mounted.
    pub fn folder(&self) -> &Path {
        self.0.path()
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

    fn filler(&self) -> std::path::PathBuf {
        self.folder().join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a service that still ends may have its database open.
        let _ = Command::new("umount").arg("-l").arg(self.folder()).status();
    }
}
