//! Whose a file or folder is, and what others may do with it.

use std::{fs::Metadata, os::unix::fs::MetadataExt as _, path::Path};

use super::refused::{FileRefused, us};

/// What group and others may do.
const OTHERS: u32 = 0o077;
/// The same, but that a group may read.
const OTHERS_BUT_A_GROUP: u32 = 0o037;

/// Refuses a folder that is not ours alone.
pub(super) fn check_folder(path: &Path, facts: &Metadata) -> Result<(), FileRefused> {
    if facts.is_symlink() {
        return Err(match (facts.uid() == us(), std::fs::read_link(path)) {
            (true, Ok(target)) => FileRefused::is_own_link(path, &target),
            _ => FileRefused::is_link(path),
        });
    }
    if !facts.is_dir() {
        return Err(FileRefused::is_not_a("folder", path));
    }
    if facts.uid() != us() {
        return Err(FileRefused::belongs_to(facts.uid(), path, true));
    }
    if facts.mode() & OTHERS != 0 {
        // What an older start made in it is as open as the folder itself.
        return Err(FileRefused::is_open(
            facts.mode(),
            path,
            "chmod -R go=",
            path,
        ));
    }
    Ok(())
}

/// Refuses a file in `folder`, which is ours alone, that is not so itself.
pub(super) fn check_file(path: &Path, facts: &Metadata, folder: &Path) -> Result<(), FileRefused> {
    if facts.is_symlink() {
        return Err(FileRefused::is_link(path));
    }
    if !facts.is_file() {
        return Err(FileRefused::is_not_a("file", path));
    }
    if facts.uid() != us() {
        return Err(FileRefused::belongs_to(facts.uid(), path, false));
    }
    if facts.mode() & OTHERS != 0 {
        return Err(FileRefused::is_open(
            facts.mode(),
            path,
            "chmod -R go=",
            folder,
        ));
    }
    Ok(())
}

/// Refuses a file that an operator has named and that others may read or have written.
pub(super) fn check_named(path: &Path, facts: &Metadata) -> Result<(), FileRefused> {
    if !facts.is_file() {
        return Err(FileRefused::is_not_a("file", path));
    }
    let (owner, mode) = (facts.uid(), facts.mode());
    if owner != us() && owner != 0 {
        return Err(FileRefused::belongs_to(owner, path, false));
    }
    match owner {
        0 if mode & OTHERS_BUT_A_GROUP == 0 => Ok(()),
        _ if mode & OTHERS == 0 => Ok(()),
        // By hand it is mended by the first; a Secret of Kubernetes has its mode from its volume.
        0 if us() != 0 => Err(FileRefused::is_open(mode, path, "chmod 440", path)
            .or("for a Secret of Kubernetes set `defaultMode: 0400` and an `fsGroup`")),
        _ => Err(FileRefused::is_open(mode, path, "chmod 600", path)),
    }
}
