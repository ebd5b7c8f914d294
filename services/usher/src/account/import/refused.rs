//! What was refused, as lines that can be mended and imported: each with its number and the reason.

use std::{
    fs::File,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use kit::words;
use serde::Serialize;

use super::{lines::InputLine, newcomer::Newcomer};
use crate::exit::{Exit, Failure};

/// The file of refused lines; there is none as long as there are none.
pub(super) struct RefusedLines {
    path: PathBuf,
    file: Option<File>,
}

#[derive(Serialize)]
struct KeptLine<'a> {
    line: u64,
    refused: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(flatten)]
    person: Option<&'a Newcomer>,
    /// Of a line that is no person.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
}

/// Where they are kept unless somebody says so: beside the file.
pub(super) fn beside(file: &Path) -> PathBuf {
    let mut name = match file.as_os_str().to_str() {
        Some("-") => "import".into(),
        _ => file.as_os_str().to_owned(),
    };
    name.push(".refused.ndjson");
    name.into()
}

impl RefusedLines {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, file: None }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps one, at once: whatever ends the command, it is there.
    ///
    /// # Errors
    /// When it cannot be written: then nobody could tell which lines were refused.
    pub(super) fn keep(
        &mut self,
        line: &InputLine,
        why: &str,
        reason: Option<&str>,
    ) -> Result<(), Failure> {
        let kept = KeptLine {
            line: line.number,
            refused: why,
            reason,
            person: line.person.as_ref().ok(),
            text: line.person.is_err().then_some(&*line.text),
        };
        let mut text = serde_json::to_vec(&kept).unwrap_or_default();
        text.push(b'\n');
        self.write(&text).map_err(|error| {
            let (path, why) = (self.path.display(), words::of_io(&error));
            let message =
                format!("Refused lines cannot be kept in {path}: {why}. Nothing further was sent.");
            Failure::new(Exit::Failed, message).hint("--refused FILE keeps them elsewhere.")
        })
    }

    fn write(&mut self, text: &[u8]) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(File::create(&self.path)?),
        };
        file.write_all(text)
    }
}
