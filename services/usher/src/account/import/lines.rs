//! The lines of a file: read by a thread of their own, each taken for a person or refused by itself.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read as _},
    path::Path,
};

use kit::{keyring::hmac_sha256, random, words};
use tokio::sync::mpsc;

use super::{newcomer::Newcomer, table::Table};
use crate::exit::{Exit, Failure};

/// Octets of a line: what accounts takes is shorter, however it is written.
const LONGEST: usize = 8 * 1024;
/// Lines that are read ahead.
const AHEAD: usize = 256;

/// One line that is not empty.
#[derive(Debug)]
pub(super) struct InputLine {
    /// Counted from 1.
    pub(super) number: u64,
    pub(super) text: String,
    /// Whom it is about, or why that cannot be told.
    pub(super) person: Result<Newcomer, String>,
    /// Under which it can be sent again.
    pub(super) key: String,
}

/// The lines of a file, as they are read.
pub(super) struct Lines {
    /// How many there are, if that can be known.
    pub(super) count: Option<u64>,
    read: mpsc::Receiver<io::Result<InputLine>>,
    name: String,
}

impl Lines {
    /// Opens `-` or a file, and begins to read.
    ///
    /// # Errors
    /// When it cannot be read, or its heading makes no sense.
    pub(super) fn open(file: &Path) -> Result<Self, Failure> {
        if file.as_os_str() == "-" {
            let input = BufReader::new(io::stdin());
            return Self::begin("standard input", input, random::bytes(), None);
        }
        let name = file.display().to_string();
        let unreadable = |error| unreadable(&name, &error);
        let (seed, count) = seed(File::open(file).map_err(unreadable)?).map_err(unreadable)?;
        let input = BufReader::new(File::open(file).map_err(unreadable)?);
        Self::begin(&name, input, seed, Some(count))
    }

    fn begin(
        name: &str,
        mut input: impl BufRead + Send + 'static,
        seed: [u8; 32],
        count: Option<u64>,
    ) -> Result<Self, Failure> {
        let name = name.to_owned();
        let mut first = Vec::new();
        let first = match next(&mut input, &mut first) {
            Ok(true) => first,
            Ok(false) => Vec::new(),
            Err(error) => return Err(unreadable(&name, &error)),
        };
        let heading = String::from_utf8_lossy(&first);
        let heading = heading.trim_start_matches('\u{feff}').trim();
        let is_json = heading.is_empty() || heading.starts_with('{');
        let table = match is_json {
            true => None,
            false => Some(Table::under(heading).map_err(|why| {
                let message = format!("The heading of {name} makes no sense: {why}.");
                Failure::new(Exit::Usage, message)
                    .hint("`usher account import --help` shows both formats.")
            })?),
        };
        let count = count.map(|count| count.saturating_sub(u64::from(table.is_some())));
        let (lines, read) = mpsc::channel(AHEAD);
        // A thread of its own: a runtime would wait at its own end for a pool thread that still
        // reads standard input.
        std::thread::spawn(move || {
            let is_sent = is_json.then(|| send(&lines, 1, &first, None, &seed));
            if is_sent != Some(false) {
                read_on(input, table.as_ref(), &seed, &lines);
            }
        });
        Ok(Self { count, read, name })
    }

    /// The next one; nothing at the end.
    ///
    /// # Errors
    /// When the file cannot be read to its end.
    pub(super) async fn next(&mut self) -> Result<Option<InputLine>, Failure> {
        let line = self.read.recv().await.transpose();
        line.map_err(|error| unreadable(&self.name, &error))
    }
}

fn read_on(
    mut input: impl BufRead,
    table: Option<&Table>,
    seed: &[u8; 32],
    lines: &mpsc::Sender<io::Result<InputLine>>,
) {
    let mut octets = Vec::new();
    for number in 2.. {
        match next(&mut input, &mut octets) {
            Ok(true) if send(lines, number, &octets, table, seed) => {}
            Ok(_) => return,
            Err(error) => {
                let _ = lines.blocking_send(Err(error));
                return;
            }
        }
    }
}

/// Hands a line on, unless it is empty; false when nobody takes lines any more.
fn send(
    lines: &mpsc::Sender<io::Result<InputLine>>,
    number: u64,
    octets: &[u8],
    table: Option<&Table>,
    seed: &[u8; 32],
) -> bool {
    let text = String::from_utf8_lossy(octets);
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return true;
    }
    let person = match str::from_utf8(octets) {
        _ if octets.len() > LONGEST => Err(format!("it is longer than {LONGEST} octets")),
        Err(_) => Err("it is no UTF-8".to_owned()),
        Ok(_) => match table {
            Some(table) => table.row(text),
            None => serde_json::from_str(text).map_err(|error| no_person(&error)),
        },
    };
    let own = person.as_ref().ok().map(|person| &person.idempotency_key);
    let key = match own.filter(|key| !key.is_empty()) {
        Some(own) => own.clone(),
        None => hex::encode(hmac_sha256(seed, &[&number.to_be_bytes()])),
    };
    let line = InputLine {
        number,
        text: text.to_owned(),
        person,
        key,
    };
    lines.blocking_send(Ok(line)).is_ok()
}

/// Why a line of JSON is no person. Where its data is at fault, the error's own words could be
/// somebody's.
fn no_person(error: &serde_json::Error) -> String {
    if !error.is_data() {
        return format!("no such JSON: {error}");
    }
    let column = error.column();
    format!(
        "no such JSON up to column {column}: there are email, display_name, locale and \
         idempotency_key, all of them texts, and email has to be there"
    )
}

/// Reads the next line without its end, or as much of it as is looked at; false at the end.
fn next(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    loop {
        let part = input.fill_buf()?;
        if part.is_empty() {
            return Ok(!line.is_empty());
        }
        let end = part.iter().position(|octet| *octet == b'\n');
        // One octet too many says that there are too many.
        let room = (LONGEST + 1).saturating_sub(line.len());
        let taken = &part[..end.unwrap_or(part.len())];
        line.extend(&taken[..taken.len().min(room)]);
        let used = end.map_or(part.len(), |end| end + 1);
        input.consume(used);
        if end.is_some() {
            return Ok(true);
        }
    }
}

/// What tells this file from any other, and how many lines it has. Whoever knows what one line says
/// cannot guess its key.
fn seed(mut file: File) -> io::Result<([u8; 32], u64)> {
    let (mut seed, mut lines) = ([0; 32], 0);
    let mut part = Vec::new();
    loop {
        part.clear();
        (&mut file).take(64 * 1024).read_to_end(&mut part)?;
        if part.is_empty() {
            return Ok((seed, lines));
        }
        seed = hmac_sha256(&seed, &[&part]);
        lines += part.iter().filter(|octet| **octet == b'\n').count() as u64;
    }
}

fn unreadable(name: &str, error: &io::Error) -> Failure {
    let message = format!("{name} cannot be read: {}.", words::of_io(error));
    Failure::new(Exit::Failed, message)
}
