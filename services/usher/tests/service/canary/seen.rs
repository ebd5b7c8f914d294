//! What must not be seen, in every form that a library may print it in, and where it was looked for.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// What a canary stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Of nobody's business anywhere.
    Secret,
    /// Digits that may stand in the mail and nowhere else.
    Code,
    /// Address or name: whoever asks for an account is shown them.
    Person,
}

/// Something that is recognised wherever it appears.
#[derive(Debug)]
pub(super) struct Canary {
    kind: Kind,
    what: String,
    /// In lower case.
    words: Vec<String>,
    base64: Vec<String>,
}

impl Canary {
    /// A value, as it is and as URLs, hex dumps, lists of octets and base64 show it.
    pub(super) fn new(kind: Kind, what: &str, value: &str) -> Self {
        let value = value.trim();
        assert!(value.len() >= 8, "{what} would be found by chance");
        let octets: Vec<_> = value.bytes().map(|octet| octet.to_string()).collect();
        let words = [value.to_owned(), hex::encode(value), octets.join(", ")];
        let base64 = (0..3).map(|before| inside_base64(value, before));
        Self {
            kind,
            what: what.to_owned(),
            words: words.map(|word| word.to_lowercase()).to_vec(),
            base64: base64.collect(),
        }
    }

    /// The same written otherwise, too.
    #[must_use]
    pub(super) fn also(mut self, other: &str) -> Self {
        self.words.push(other.to_lowercase());
        self
    }

    fn found_in(&self, text: &str, lower: &str) -> Option<String> {
        let words = self.words.iter().map(|word| (lower, word));
        let encoded = self.base64.iter().map(|word| (text, word));
        for (text, word) in words.chain(encoded) {
            for (at, _) in text.match_indices(word.as_str()) {
                let (before, after) = (&text[..at], &text[at + word.len()..]);
                if !(self.kind == Kind::Code && is_part_of_a_number(before, after)) {
                    let line = before.rsplit('\n').next().unwrap_or_default();
                    let rest = after.split('\n').next().unwrap_or_default();
                    return Some(format!("{line}>>>{word}<<<{rest}"));
                }
            }
        }
        None
    }
}

/// What base64 makes of a value that stands behind so many octets of something else.
fn inside_base64(value: &str, before: usize) -> String {
    let text = STANDARD.encode([&vec![0; before], value.as_bytes()].concat());
    // The first and the last group may hold bits of the neighbours.
    let end = (before + value.len()) / 3 * 4;
    text[before.div_ceil(3) * 4..end].to_owned()
}

/// Nanoseconds have nineteen digits, and any eight of them may be a code by chance.
fn is_part_of_a_number(before: &str, after: &str) -> bool {
    let is_digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    is_digit(before.chars().next_back()) || is_digit(after.chars().next())
}

/// What was captured, by name.
#[derive(Debug, Default)]
pub(super) struct Seen(Vec<(String, Vec<u8>, bool)>);

impl Seen {
    /// Where nothing may stand.
    pub(super) fn add(&mut self, name: &str, bytes: impl Into<Vec<u8>>) {
        let bytes = bytes.into();
        assert!(!bytes.is_empty(), "{name} is empty: nothing was captured");
        self.0.push((name.to_owned(), bytes, false));
    }

    /// An answer to who asked for an account: it shows a person.
    pub(super) fn add_answer(&mut self, name: &str, bytes: impl Into<Vec<u8>>) {
        self.0.push((name.to_owned(), bytes.into(), true));
    }

    /// Every file in the folder, or the file, or those that begin like it.
    pub(super) fn add_files(&mut self, data: &Path, name: &str) {
        let is_folder = data.join(name).is_dir();
        let folder = if is_folder {
            data.join(name)
        } else {
            data.to_owned()
        };
        let entries = fs::read_dir(&folder).expect("the folder can be read");
        for entry in entries.filter_map(Result::ok) {
            let file = entry.file_name().to_string_lossy().into_owned();
            if is_folder || file.starts_with(name) {
                let bytes = fs::read(entry.path()).expect("the file can be read");
                self.0.push((file, bytes, false));
            }
        }
    }

    pub(super) fn places(&self) -> usize {
        self.0.len()
    }

    /// Fails with everything that was found where it must not be; prints what was looked for where.
    pub(super) fn lacks(&self, canaries: &[Canary]) {
        let mut found = Vec::new();
        let mut table = String::from("\nLOOKED FOR\n");
        for Canary { kind, what, .. } in canaries {
            table += &format!("  {:<8}{what}\n", format!("{kind:?}"));
        }
        table +=
            "\nPLACE                                                   BYTES  MAY SHOW A PERSON\n";
        for (name, bytes, shows_a_person) in &self.0 {
            let may = if *shows_a_person { "yes" } else { "" };
            table += &format!("  {name:<48}{:>11}  {may}\n", bytes.len());
            let text = String::from_utf8_lossy(bytes);
            let lower = text.to_lowercase();
            for canary in canaries {
                if canary.kind == Kind::Person && *shows_a_person {
                    continue;
                }
                if let Some(line) = canary.found_in(&text, &lower) {
                    let line: String = line.chars().take(600).collect();
                    found.push(format!("{name} shows the {}: {line}", canary.what));
                }
            }
        }
        let whole = found.is_empty();
        println!("{table}");
        assert!(whole, "{}", found.join("\n\n"));
    }
}

/// Everything in a folder, and the folder, that others on the machine may read, write or enter.
pub(super) fn open_to_others(folder: &Path) -> Vec<String> {
    let (mut open, mut looked_at) = (Vec::new(), 0);
    let mut rest = vec![folder.to_owned()];
    while let Some(path) = rest.pop() {
        // What SQLite takes away meanwhile nobody reads.
        let Ok(metadata) = fs::symlink_metadata(&path) else {
            continue;
        };
        looked_at += 1;
        let mode = metadata.permissions().mode();
        if mode & 0o077 != 0 {
            open.push(format!("{} {mode:o}", path.display()));
        }
        if metadata.is_dir() {
            let entries = fs::read_dir(&path).expect("the folder can be read");
            rest.extend(entries.filter_map(|entry| Some(entry.ok()?.path())));
        }
    }
    assert!(looked_at > 20, "databases, keys, logs and mails are there");
    open
}
