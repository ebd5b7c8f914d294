//! Mails as `.eml` files in a folder of ours alone, named by key and attempt, so that a doubled mail
//! shows. A file appears whole or not at all.

use std::{
    io,
    path::{Path, PathBuf},
};

use kit::{
    files::{Draft, FileRefused, PrivateFolder},
    words,
};

use super::{Cause, ComposedMail, Ending, Mend, Sent, attempt::Attempt};

#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// A folder, made with the first mail if it is missing.
    ///
    /// # Errors
    /// When it is there and not ours alone.
    pub(crate) fn new(path: PathBuf) -> Result<Self, FileRefused> {
        // A file in its place may be moved away while the mails wait.
        let facts = std::fs::symlink_metadata(&path);
        if facts.is_ok_and(|facts| !facts.is_file()) {
            PrivateFolder::open(&path)?;
        }
        Ok(Self(path))
    }

    pub(crate) async fn write(&self, mail: &ComposedMail, attempt: &Attempt) -> Sent {
        let name = format!("{}.{}.eml", mail.code_id, mail.attempt);
        let (folder, bytes) = (self.0.clone(), mail.bytes.clone());
        let (target, theirs) = (name.clone(), attempt.clone());
        // Blocking calls, which would stop all the service's tasks: it has one thread.
        let writing = move || write(&folder, &target, &bytes, &theirs);
        let written = tokio::task::spawn_blocking(writing).await;
        match written.unwrap_or_else(|panic| Err(io::Error::other(panic))) {
            Ok(true) => Sent::new(Ending::Accepted, None, format!("written as {name}")),
            Ok(false) => {
                let reply = "not written: the lease had passed, or the mailer shuts down";
                Sent::new(Ending::NotNow(Cause::Stopped), None, reply)
            }
            // It is there, but a crash may still take it away.
            Err(error) if attempt.reached() => {
                let reply = format!(
                    "written as {name}, perhaps not for good: {}",
                    words::of_io(&error)
                );
                Sent::new(Ending::Unknown(Cause::Broken), None, reply)
            }
            Err(error) => {
                let reply = format!("not written: {}", words::of_io(&error));
                Sent::new(Ending::NotNow(Cause::Connection(Mend::Folder)), None, reply)
            }
        }
    }
}

/// Writes the file; `false` if it was not to be sent any more.
fn write(folder: &Path, name: &str, bytes: &[u8], attempt: &Attempt) -> io::Result<bool> {
    let folder = PrivateFolder::make(folder)?;
    // Temporary name, sync, rename, sync of the folder: what a crash leaves is the whole file or a
    // `.tmp` that nobody reads.
    let draft = folder.draft(name)?;
    let draft = draft.write(bytes).and_then(Draft::sync)?;
    // The rename is this transport's final dot: before it nobody sees a mail.
    if !attempt.may_send_final_dot() {
        return Ok(false);
    }
    draft.keep()?;
    attempt.set_reached(true);
    folder.sync()?;
    Ok(true)
}
