//! Folders in which mails arrive: one of `.eml` files, or a Maildir that a mail server fills. Only
//! mails that arrived since they were opened count.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

use super::letter::Letter;
use crate::exit::{Exit, Failure};

#[derive(Debug)]
pub(crate) struct MailFolders {
    folders: Vec<PathBuf>,
    /// What was there before the story began.
    old: HashSet<PathBuf>,
}

impl MailFolders {
    /// Those that belong to where mails are sent.
    pub(crate) fn choose(
        maildir: Option<PathBuf>,
        url: Option<String>,
        data: &Path,
    ) -> Result<Self, Failure> {
        let folders = match (maildir, url) {
            (Some(_), None) => return Err(unfilled("USHER_MAIL_URL is not set")),
            (Some(_), Some(url)) if url.starts_with("file:") => {
                return Err(unfilled("USHER_MAIL_URL names a folder"));
            }
            (Some(maildir), Some(_)) => vec![maildir.join("new"), maildir.join("cur")],
            (None, None) => vec![data.join("mails")],
            (None, Some(url)) => match url.strip_prefix("file:") {
                Some(folder) => vec![PathBuf::from(folder)],
                None => return Err(unseen()),
            },
        };
        let mut old = files(&folders);
        // The demo's own folder is emptied before the story begins.
        old.retain(|file| !file.starts_with(data));
        Ok(Self { folders, old })
    }

    /// The new mails to `address`, one entry for each time that one was accepted.
    pub(super) fn letters_to(&self, address: &str) -> Vec<Letter> {
        let mut letters = Vec::new();
        for file in files(&self.folders).difference(&self.old) {
            // A file that has just been moved to another folder is met there the next time.
            let Ok(bytes) = fs::read(file) else {
                continue;
            };
            letters.extend(Letter::read(&bytes));
        }
        letters.retain(|letter| letter.is_to(address));
        letters
    }
}

fn unfilled(why: &str) -> Failure {
    let message = format!("--mailbox names a Maildir, but no mail server fills it: {why}.");
    Failure::new(Exit::Usage, message).hint(
        "Name the mail server that delivers there, as in USHER_MAIL_URL=smtp://127.0.0.1:2525, or leave --mailbox out: \
         the demo then shows the .eml files of its own folder.",
    )
}

fn unseen() -> Failure {
    let message = "USHER_MAIL_URL names a mail server; the demo cannot see where its mails arrive.";
    Failure::new(Exit::Usage, message).hint("Name their Maildir with --mailbox.")
}

fn files(folders: &[PathBuf]) -> HashSet<PathBuf> {
    let mut files = HashSet::new();
    for folder in folders {
        let Ok(entries) = fs::read_dir(folder) else {
            continue;
        };
        for entry in entries.flatten() {
            // A name that begins with a dot is a file being written.
            if !entry.file_name().to_string_lossy().starts_with('.') {
                files.insert(entry.path());
            }
        }
    }
    files
}
