//! What children write: every line into `logs/<part>.log`, warnings and errors also to whoever
//! watches the terminal (`up`).

use std::{
    fs::File,
    io::{self, Write as _},
    sync::Arc,
};

use kit::files::PrivateFolder;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader},
    sync::mpsc,
};

use super::endings::LastWords;

/// Size at which a log becomes `<part>.log.1`: two files a part bound the disk.
const LARGEST: u64 = 8 << 20;

/// Something a person at the terminal may want to know.
#[derive(Debug)]
pub(crate) struct Notice {
    pub(crate) part: &'static str,
    pub(crate) level: Level,
    /// One line.
    pub(crate) text: String,
}

/// How much a notice matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Warn,
    Error,
}

/// Where notices go; a full queue loses notices, never log lines.
pub(crate) type Notices = mpsc::Sender<Notice>;

#[derive(Debug, Clone)]
pub(crate) struct Log {
    part: &'static str,
    folder: Arc<PrivateFolder>,
    notices: Notices,
    /// Of the child that runs now.
    words: LastWords,
}

impl Log {
    pub(crate) fn new(part: &'static str, folder: Arc<PrivateFolder>, notices: Notices) -> Self {
        Self {
            part,
            folder,
            notices,
            words: LastWords::default(),
        }
    }

    /// The folder of logs.
    pub(super) fn folder(&self) -> &PrivateFolder {
        &self.folder
    }

    pub(super) fn words(&self) -> &LastWords {
        &self.words
    }

    /// Says something about the part itself.
    pub(crate) fn notice(&self, level: Level, text: impl Into<String>) {
        // Never waits: a terminal that nobody reads must not hold up what the child writes.
        let _ = self.notices.try_send(Notice {
            part: self.part,
            level,
            text: text.into(),
        });
    }

    /// Copies what a child writes until it closes its end.
    pub(crate) async fn copy(self, from: impl AsyncRead + Unpin) {
        let mut lines = BufReader::new(from).split(b'\n');
        let name = format!("{}.log", self.part);
        let mut file = Appender::open(Arc::clone(&self.folder), name);
        // Whatever it writes is read on: a child whose pipe is closed dies of its next word.
        while let Ok(Some(line)) = lines.next_segment().await {
            let line = String::from_utf8_lossy(&line).into_owned();
            if let Ok(file) = &mut file {
                // A full disk costs the log, not the service.
                let _ = file.append(&line);
            }
            self.words.hear(&line);
            if let Some(level) = level(&line) {
                self.notice(level, line);
            }
        }
    }
}

struct Appender {
    folder: Arc<PrivateFolder>,
    name: String,
    file: File,
    size: u64,
}

impl Appender {
    fn open(folder: Arc<PrivateFolder>, name: String) -> io::Result<Self> {
        let file = folder.append(&name)?;
        let size = file.metadata()?.len();
        Ok(Self {
            folder,
            name,
            file,
            size,
        })
    }

    fn append(&mut self, line: &str) -> io::Result<()> {
        if self.size > LARGEST {
            let older = format!("{}.1", self.name);
            self.folder.rename(&self.name, &older)?;
            *self = Self::open(Arc::clone(&self.folder), self.name.clone())?;
        }
        self.size += line.len() as u64 + 1;
        writeln!(self.file, "{line}")
    }
}

/// The level of a line that matters at the terminal, in either log format; a panic's first line
/// counts.
fn level(line: &str) -> Option<Level> {
    // The level stands near the beginning; what follows may quote anybody.
    let head = line.get(..line.len().min(120)).unwrap_or(line);
    let says = |word: &str| {
        let mut words = head.split(|c: char| !c.is_ascii_alphabetic());
        words.any(|other| other == word)
    };
    if says("ERROR") || head.contains("panicked at") {
        Some(Level::Error)
    } else if says("WARN") {
        Some(Level::Warn)
    } else {
        None
    }
}
