//! The mailbox of the demo: the folder of `.eml` files, or a Maildir that a mail server fills. Only mails that
//! arrived since it was opened count.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

use mail_parser::MessageParser;

use crate::exit::{Exit, Failure};

/// Where mails arrive.
#[derive(Debug)]
pub(super) struct Mailbox {
    folders: Vec<PathBuf>,
    old: HashSet<PathBuf>,
}

/// A mail as a mail program reads it.
#[derive(Debug, Clone)]
pub(super) struct Letter {
    pub(super) from: String,
    pub(super) to: String,
    pub(super) address: String,
    pub(super) subject: String,
    pub(super) message_id: String,
    pub(super) text: String,
}

impl Mailbox {
    /// The mailbox that belongs to where mails are sent.
    ///
    /// # Errors
    /// When mails go to a mail server and nobody said where they arrive.
    pub(super) fn choose(maildir: Option<PathBuf>, data: &Path) -> Result<Self, Failure> {
        let url = std::env::var("USHER_MAIL_URL").ok();
        let folder = url
            .as_deref()
            .and_then(|url| url.strip_prefix("file:"))
            .map(PathBuf::from);
        let folders = match (maildir, folder, url) {
            (Some(maildir), _, _) => vec![maildir.join("new"), maildir.join("cur")],
            (None, Some(folder), _) => vec![folder],
            (None, None, None) => vec![data.join("mails")],
            (None, None, Some(_)) => {
                let message = "USHER_MAIL_URL names a mail server; the demo cannot see where its mails arrive.";
                return Err(
                    Failure::new(Exit::Usage, message).hint("Name their Maildir with --mailbox.")
                );
            }
        };
        let mut mailbox = Self {
            folders,
            old: HashSet::new(),
        };
        // The demo's own folder is emptied before the story begins.
        mailbox.old = mailbox
            .files()
            .into_iter()
            .filter(|file| !file.starts_with(data))
            .collect();
        Ok(mailbox)
    }

    /// The new mails to `address`, one entry for each time that one was accepted.
    pub(super) fn letters_to(&self, address: &str) -> Vec<Letter> {
        let new = self
            .files()
            .into_iter()
            .filter(|file| !self.old.contains(file));
        let letters = new.filter_map(|file| read(&fs::read(file).ok()?));
        letters
            .filter(|letter| letter.address.eq_ignore_ascii_case(address))
            .collect()
    }

    fn files(&self) -> Vec<PathBuf> {
        let entries = self
            .folders
            .iter()
            .filter_map(|folder| fs::read_dir(folder).ok())
            .flatten();
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        // A name that begins with a dot is a file being written.
        paths
            .filter(|path| {
                path.file_name()
                    .is_some_and(|name| !name.to_string_lossy().starts_with('.'))
            })
            .collect()
    }
}

fn read(bytes: &[u8]) -> Option<Letter> {
    let message = MessageParser::default().parse(bytes)?;
    let person = |name: Option<&str>, address: Option<&str>| match (name, address) {
        (Some(name), Some(address)) => format!("{name} <{address}>"),
        (_, address) => address.unwrap_or_default().to_owned(),
    };
    let from = message.from().and_then(|from| from.first())?;
    let to = message.to().and_then(|to| to.first())?;
    Some(Letter {
        from: person(from.name(), from.address()),
        to: person(to.name(), to.address()),
        address: to.address()?.to_owned(),
        subject: message.subject().unwrap_or_default().to_owned(),
        message_id: message.message_id().unwrap_or_default().to_owned(),
        text: message.body_text(0)?.into_owned(),
    })
}

impl Letter {
    /// The code: the line that holds nothing but 6 to 10 digits.
    pub(super) fn code(&self) -> Option<String> {
        let lines = self.text.lines().map(str::trim);
        let mut codes = lines.filter(|line| {
            let digits = line.chars().filter(char::is_ascii_digit).count();
            (6..=10).contains(&digits)
                && line
                    .chars()
                    .all(|c| c.is_ascii_digit() || c.is_whitespace())
        });
        codes.next().map(str::to_owned)
    }
}
