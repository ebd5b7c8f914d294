//! A key file that is changed line by line: comments, order and other keys stay as they are. What
//! would leave it unusable for a service is not written.

use std::{
    fmt::Display,
    path::{Path, PathBuf},
};

use clap::Args;
use kit::{
    files,
    keyring::{InvalidKeyRing, Key, KeyRing, NEW, RETIRED},
};

use crate::{
    exit::{Exit, Failure},
    local::data,
};

/// Which ring.
#[derive(Debug, Args)]
pub(super) struct RingArguments {
    /// The key file, mode 0600 [default: DATA/code-keys]
    #[arg(long, env = "USHER_CODE_KEYS_FILE", value_name = "FILE")]
    file: Option<PathBuf>,
}

impl RingArguments {
    pub(super) fn open(self, root: &Path) -> Result<RingFile, Failure> {
        RingFile::open(match self.file {
            Some(file) => file,
            None => data::make(root)?.path().join("code-keys"),
        })
    }
}

/// The file as it is, and as it is to be.
#[derive(Debug)]
pub(super) struct RingFile {
    path: PathBuf,
    lines: Vec<String>,
    /// Nothing while no key of it is in use.
    ring: Option<KeyRing>,
}

impl RingFile {
    /// Reads it; one that is missing is empty.
    pub(super) fn open(path: PathBuf) -> Result<Self, Failure> {
        let text = match files::read(&path) {
            Err(refused) if refused.is_missing() => String::new(),
            read => read?,
        };
        let ring = match KeyRing::parse(&text) {
            Ok(ring) => Some(ring),
            Err(InvalidKeyRing::NoneInUse) => None,
            // A file that verification refuses does not become better by another line.
            Err(error) => {
                let failure = cannot(&path, &error);
                return Err(failure.hint(error.mend(&path)));
            }
        };
        let lines = text.lines().map(str::to_owned).collect();
        Ok(Self { path, lines, ring })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Its keys; nothing while none of them is in use.
    pub(super) fn ring(&self) -> Option<&KeyRing> {
        self.ring.as_ref()
    }

    /// The ring, or that there is none and how to make one.
    pub(super) fn used(&self) -> Result<&KeyRing, Failure> {
        self.ring.as_ref().ok_or_else(|| {
            let nothing = InvalidKeyRing::NoneInUse;
            let what = format!("{}: {nothing}.", self.path.display());
            Failure::new(Exit::NotFound, what).hint(nothing.mend(&self.path))
        })
    }

    /// Appends a key: not used yet, unless it is the only one that can be.
    pub(super) fn append(&mut self, key: &Key) -> Result<(), Failure> {
        let mark = self.ring.as_ref().map(|_| format!(":{NEW}"));
        self.lines.push(key.line() + &mark.unwrap_or_default());
        self.write()
    }

    /// Puts a key that it has in front of all others, in use from now on.
    pub(super) fn put_first(&mut self, id: &str) -> Result<(), Failure> {
        if let Some(place) = self.place(id) {
            let line = self.lines.remove(place);
            let used = line.trim_end().trim_end_matches(&format!(":{NEW}"));
            // Behind what introduces the file.
            let first = self.lines.iter().position(|line| id_of(line).is_some());
            self.lines.insert(first.unwrap_or(place), used.to_owned());
        }
        self.write()
    }

    /// Marks a key as gone; one that it does not have is written down as that.
    pub(super) fn retire(&mut self, id: &str) -> Result<(), Failure> {
        match self.place(id) {
            Some(place) => {
                let line = self.lines[place].trim_end();
                let known = line.trim_end_matches(&format!(":{NEW}"));
                self.lines[place] = format!("{known}:{RETIRED}");
            }
            None => self.lines.push(format!("{id}:{RETIRED}")),
        }
        self.write()
    }

    fn place(&self, id: &str) -> Option<usize> {
        self.lines.iter().position(|line| id_of(line) == Some(id))
    }

    fn write(&mut self) -> Result<(), Failure> {
        let text = self.lines.join("\n");
        let changed = KeyRing::parse(&text).map_err(|error| cannot(&self.path, error))?;
        files::replace(&self.path, &(text + "\n"))?;
        self.ring = Some(changed);
        Ok(())
    }
}

fn cannot(path: &Path, what: impl Display) -> Failure {
    Failure::new(Exit::Failed, format!("{}: {what}.", path.display()))
}

fn id_of(line: &str) -> Option<&str> {
    let (id, _) = line.trim().split_once(':')?;
    (!id.starts_with('#')).then_some(id)
}
