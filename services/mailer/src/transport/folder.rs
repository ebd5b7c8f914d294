//! Mails as `.eml` files in a folder, named by key and attempt, so that a doubled mail shows. A
//! file appears whole or not at all.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use kit::words;

use super::{Cause, ComposedMail, Ending, Mend, Sent, attempt::Attempt};
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// A folder, made with the first mail if it is missing.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(path)
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
    fs::create_dir_all(folder)?;
    // Temporary name, sync, rename, sync of the folder: what a crash leaves is the whole file or a
    // `.tmp` that nobody reads.
    let temporary = folder.join(format!(".{name}.tmp"));
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    // The rename is this transport's final dot: before it nobody sees a mail.
    if !attempt.may_send_final_dot() {
        fs::remove_file(&temporary)?;
        return Ok(false);
    }
    fs::rename(&temporary, folder.join(name))?;
    attempt.set_reached(true);
    File::open(folder)?.sync_all()?;
    Ok(true)
}
