//! One part's log: the files that were put aside when they had grown, the one that is written now,
//! and the next one when that is put aside, too.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use super::entry::{Entry, Said};

#[derive(Debug)]
pub(super) struct Tail {
    path: PathBuf,
    /// Open as long as it may grow: it keeps its lines when another one takes its name.
    file: Option<File>,
    /// A line whose end is not written yet.
    begun: Vec<u8>,
    last: Option<Said>,
}

impl Tail {
    pub(super) fn new(folder: &Path, part: &str) -> Self {
        Self {
            path: folder.join(format!("{part}.log")),
            file: None,
            begun: Vec::new(),
            last: None,
        }
    }

    pub(super) fn exists(&self) -> bool {
        self.path.exists()
    }

    /// All that is kept, oldest first.
    pub(super) fn all(&mut self) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for path in self.put_aside()? {
            self.file = open(&path)?;
            self.read(&mut entries)?;
            self.end_line(&mut entries);
        }
        self.file = None;
        entries.extend(self.news()?);
        Ok(entries)
    }

    /// What was written since.
    pub(super) fn news(&mut self) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        self.read(&mut entries)?;
        if self.is_replaced() {
            // What was written to it between the look above and the change of names.
            self.read(&mut entries)?;
            self.end_line(&mut entries);
            self.file = open(&self.path)?;
            self.read(&mut entries)?;
        }
        Ok(entries)
    }

    /// Older files of the part, oldest first: ours end in `.1`, nats-server's in a moment.
    fn put_aside(&self) -> io::Result<Vec<PathBuf>> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let mut aside = Vec::new();
        let listed = match fs::read_dir(folder) {
            Ok(listed) => listed,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        for file in listed {
            let file = file?;
            let is_older = file
                .file_name()
                .to_string_lossy()
                .starts_with(&format!("{name}."));
            if is_older && let Ok(metadata) = file.metadata() {
                aside.push((metadata.modified()?, file.path()));
            }
        }
        aside.sort();
        Ok(aside.into_iter().map(|(_, path)| path).collect())
    }

    fn is_replaced(&self) -> bool {
        let now = fs::metadata(&self.path).ok();
        let open = self.file.as_ref().and_then(|file| file.metadata().ok());
        match (now, open) {
            (Some(now), Some(open)) => (now.dev(), now.ino()) != (open.dev(), open.ino()),
            (Some(_), None) => true,
            (None, _) => false,
        }
    }

    fn read(&mut self, entries: &mut Vec<Entry>) -> io::Result<()> {
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        let mut octets = std::mem::take(&mut self.begun);
        file.read_to_end(&mut octets)?;
        let whole = octets.iter().rposition(|octet| *octet == b'\n');
        self.begun = octets.split_off(whole.map_or(0, |end| end + 1));
        for line in String::from_utf8_lossy(&octets).lines() {
            self.take(line, entries);
        }
        Ok(())
    }

    /// A file that is put aside gets no end of a line any more.
    fn end_line(&mut self, entries: &mut Vec<Entry>) {
        let line = std::mem::take(&mut self.begun);
        if !line.is_empty() {
            self.take(&String::from_utf8_lossy(&line), entries);
        }
    }

    fn take(&mut self, line: &str, entries: &mut Vec<Entry>) {
        let entry = Entry::read(line, self.last);
        self.last = Some(entry.said());
        entries.push(entry);
    }
}

/// `None` where there is none, or not yet.
fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
