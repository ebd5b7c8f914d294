//! Files that an operator names, each with a secret in it.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use rustix::fs::{CWD, Mode, OFlags, openat};

use super::{
    Draft, FileRefused, PrivateFolder,
    facts::check_named,
    way::{Last, follow},
};

/// The text in a file that an operator has named.
///
/// # Errors
/// When it is missing, cannot be read, or somebody else may read it or have written it.
pub fn read(path: &Path) -> Result<String, FileRefused> {
    let real = follow(path, Last::Followed)?;
    let cannot = |error: io::Error| FileRefused::io(path, "read", &error);
    // Before it is opened, which somebody else's file would not let us.
    check_named(&real, &std::fs::symlink_metadata(&real).map_err(cannot)?)?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = openat(CWD, &real, flags, Mode::empty());
    let mut file = File::from(opened.map_err(|error| cannot(error.into()))?);
    check_named(&real, &file.metadata().map_err(cannot)?)?;
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(cannot)?;
    Ok(text)
}

/// The text in `path`. A missing file is made with what `make` returns, mode 0600. `what` starts
/// the sentences that tell of it.
///
/// # Errors
/// When the file cannot be read or made, or somebody else may read it or have written it.
pub fn read_or_make(
    path: &Path,
    what: &str,
    make: impl FnOnce() -> String,
) -> Result<String, FileRefused> {
    let read = || read(path).map_err(|refused| refused.about(what));
    match read() {
        Err(refused) if refused.is_missing() => {}
        there => return there,
    }
    let text = make();
    let made = make_first(path, &text).map_err(|refused| refused.about(what))?;
    if !made {
        // Of two processes that start together one makes the file, and the other reads it.
        return read();
    }
    let shown = path.display();
    tracing::info!("{what} was made: {shown}, readable by its owner only.");
    Ok(text)
}

/// Puts a text in the place of what is in `path`, whole or not at all, mode 0600.
///
/// # Errors
/// When it cannot be written.
pub fn replace(path: &Path, text: &str) -> Result<(), FileRefused> {
    let (folder, name) = place(path)?;
    folder.replace(&name, text.as_bytes())
}

/// Makes the file, and answers whether it was the first to do so.
fn make_first(path: &Path, text: &str) -> Result<bool, FileRefused> {
    let (folder, name) = place(path)?;
    // On disk before it is seen: a machine that dies must not leave an empty secret.
    let draft = folder
        .draft(&name)?
        .write(text.as_bytes())
        .and_then(Draft::sync);
    let kept = draft.and_then(Draft::keep_if_first);
    let kept = kept.and_then(|kept| folder.sync().map(|()| kept));
    kept.map_err(|error| FileRefused::io(path, "made", &error))
}

/// The folder in which a named file really lies, and its name there.
fn place(path: &Path) -> Result<(PrivateFolder, String), FileRefused> {
    let real = follow(path, Last::Followed)?;
    let name = real.file_name().and_then(|name| name.to_str());
    let Some(name) = name else {
        let error = io::Error::from(io::ErrorKind::InvalidFilename);
        return Err(FileRefused::io(path, "made", &error));
    };
    Ok((PrivateFolder::around(&real)?, name.to_owned()))
}
