//! The secrets that operators make once for all replicas: with Postgres no service makes its own.

use std::path::Path;

use crate::{files, keyring::Key, random, serve::AdminToken};

/// Makes those of all services in a folder, each under its usual name; those that are there stay.
///
/// # Panics
/// When the folder cannot be written.
pub fn make_secrets(folder: &Path) {
    AdminToken::read_or_make(&folder.join("admin-token")).expect("a token can be made");
    let make = |name: &str, make: &dyn Fn() -> String| {
        let made = files::read_or_make(&folder.join(name), name, make);
        made.expect("a key can be made");
    };
    let ring = || Key::new(random::bytes(), random::bytes()).line() + "\n";
    make("fingerprint-key", &|| {
        hex::encode(random::bytes::<32>()) + "\n"
    });
    make("code-keys", &ring);
    make("address-keys", &ring);
}
