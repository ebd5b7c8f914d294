//! A user of the broker whom an nkey proves: its seed is in a file of ours, the server knows its public
//! half only.

use std::path::Path;

use nkeys::KeyPair;

use crate::files::{self, FileRefused};

/// The one user of a broker that is ours alone: an nkey, whose seed stays in our file. The server
/// is told its public half only, and whoever listens in the server's place learns nothing by it.
#[derive(Debug, Clone)]
pub struct BrokerUser(String);

impl BrokerUser {
    /// The user whose seed is in this file, which is made if it is missing.
    ///
    /// # Errors
    /// When the file cannot be read or made, others may read it, or it holds no seed.
    pub fn read_or_make(path: &Path) -> Result<Self, FileRefused> {
        const WHAT: &str = "The key of the local broker's user";
        let text = files::read_or_make(path, WHAT, Self::fresh_seed)?;
        let no_seed = || FileRefused::makes_no_sense(WHAT, path, &"it is no nkey's seed");
        Self::of_seed(&text).ok_or_else(no_seed)
    }

    /// The seed of a user that nobody has had before, as a file of credentials holds it.
    pub fn fresh_seed() -> String {
        KeyPair::new_user().seed().unwrap_or_default() + "\n"
    }

    /// The user with this seed; nothing where it is none.
    pub fn of_seed(text: &str) -> Option<Self> {
        // Its own error would quote it.
        let key = KeyPair::from_seed(text.trim()).ok()?;
        Some(Self(key.public_key()))
    }

    /// What the server knows it by. No secret.
    pub fn public_key(&self) -> &str {
        &self.0
    }
}
