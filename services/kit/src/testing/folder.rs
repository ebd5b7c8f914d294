//! A folder for one test.

use std::{fs::Permissions, os::unix::fs::PermissionsExt as _};

use tempfile::TempDir;

/// A folder for its owner only, as services want it; gone with this value.
///
/// # Panics
/// When it cannot be made.
pub fn folder() -> TempDir {
    let mut made = tempfile::Builder::new();
    let made = made.permissions(Permissions::from_mode(0o700)).tempdir();
    made.expect("a temporary folder can be made")
}
