//! Secret keys with names, and the file that holds them: one `id:hex` a line, of which the first is
//! in use. What was made under a key remembers the key's id, so that a new key does not make the
//! old results worthless.
//!
//! A mark behind a second colon says more. `id:hex:new` is known, so that what others make under it
//! is understood, and not used yet; `id:hex:retired` is gone, and nothing that names it counts any
//! more (`id:retired` where its secret is lost). An id that a ring does not have at all may be
//! somebody else's newer key.

use std::path::Path;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::{Private, random};

/// Length of a key in bytes: the output of SHA-256, beyond which HMAC gains nothing (RFC 2104 §3).
pub const KEY_BYTES: usize = 32;

/// Marks a key that is known and not used yet.
pub const NEW: &str = "new";
/// Marks a key that is gone.
pub const RETIRED: &str = "retired";

/// Longest key id; rows name one.
const LONGEST_ID: usize = 32;

/// One secret key. Its bytes are never printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    id: String,
    bytes: Private<[u8; KEY_BYTES]>,
}

impl Key {
    /// A key out of fresh random bytes. Its id is made of `id_bytes`' hexadecimal form, so that two
    /// machines that make a key at the same time do not name it alike.
    pub fn new(id_bytes: [u8; 4], bytes: [u8; KEY_BYTES]) -> Self {
        Self {
            id: format!("k{}", hex::encode(id_bytes)),
            bytes: Private::new(bytes),
        }
    }

    /// The name under which it is remembered. No secret.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// HMAC-SHA256 of all `parts` together.
    pub fn hmac(&self, parts: &[&[u8]]) -> [u8; KEY_BYTES] {
        hmac_sha256(self.bytes.expose(), parts)
    }

    /// Its line in a file, without an end.
    pub fn line(&self) -> String {
        format!("{}:{}", self.id, hex::encode(self.bytes.expose()))
    }
}

/// What a line of a key file says of one key.
enum Line {
    Key(Key),
    New(Key),
    /// With its secret, where there still is one.
    Retired(String, Option<Key>),
}

impl Line {
    fn parse(line: &str) -> Result<Self, &'static str> {
        let (id, rest) = line.split_once(':').ok_or("expected `id:hex`")?;
        // No colon and no space, so that a line has one reading; rows store the id as it stands.
        let may_stand = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if id.is_empty() || id.len() > LONGEST_ID || !id.bytes().all(may_stand) {
            return Err(
                "expected an id of 1 to 32 letters, digits, `-`, `_` and `.` before the colon",
            );
        }
        let id = id.to_owned();
        if rest.trim() == RETIRED {
            return Ok(Self::Retired(id, None));
        }
        let (secret, mark) = match rest.split_once(':') {
            Some((secret, mark)) => (secret, Some(mark.trim())),
            None => (rest, None),
        };
        let mut bytes = [0; KEY_BYTES];
        hex::decode_to_slice(secret.trim(), &mut bytes)
            .map_err(|_| "expected 64 hexadecimal digits after the colon, or `retired`")?;
        let bytes = Private::new(bytes);
        let key = Key { id, bytes };
        match mark {
            None => Ok(Self::Key(key)),
            Some(NEW) => Ok(Self::New(key)),
            Some(RETIRED) => Ok(Self::Retired(key.id.clone(), Some(key))),
            Some(_) => Err("expected `new`, `retired` or nothing after a second colon"),
        }
    }

    fn id(&self) -> &str {
        match self {
            Self::Key(key) | Self::New(key) => key.id(),
            Self::Retired(id, _) => id,
        }
    }
}

/// HMAC-SHA256 of all `parts` together under `key`, RFC 2104.
pub fn hmac_sha256(key: &[u8; KEY_BYTES], parts: &[&[u8]]) -> [u8; KEY_BYTES] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// The keys of one file; one of them is in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRing {
    in_use: Key,
    /// Known as well.
    others: Vec<Key>,
    /// Of the others: not used yet.
    new: Vec<String>,
    retired: Vec<String>,
    /// The last that was ever in use, gone or not.
    oldest: Key,
}

/// Why a key file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeyRing {
    /// A line is no key.
    #[error("line {number}: {expected}")]
    Line {
        /// Counted from 1.
        number: usize,
        /// What should stand there.
        expected: &'static str,
    },
    /// Two lines bear the same id: a row could not say which one it means.
    #[error("line {number}: a second key named {id}")]
    Twice {
        /// Counted from 1.
        number: usize,
        /// As both lines say it.
        id: String,
    },
    /// Nothing can be made under any key of it.
    #[error("it has no key to be used")]
    NoneInUse,
}

impl InvalidKeyRing {
    /// The command that makes `file` usable.
    pub fn mend(&self, file: &Path) -> String {
        let file = file.display();
        match self {
            Self::Line { number, .. } => format!(
                "Restore the line from a copy of the file; if there is none, delete it: sed -i {number}d {file}"
            ),
            Self::Twice { number, .. } => {
                format!(
                    "Keep the right one of the two, or delete this one: sed -i {number}d {file}"
                )
            }
            Self::NoneInUse => format!("Run: usher keys generate --file {file}"),
        }
    }
}

impl KeyRing {
    /// Reads a key file. Empty lines and lines that begin with `#` are skipped.
    ///
    /// # Errors
    /// Names the line and what was expected there, never what was found: it may be a secret.
    pub fn parse(text: &str) -> Result<Self, InvalidKeyRing> {
        let mut lines: Vec<Line> = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let line =
                Line::parse(line).map_err(|expected| InvalidKeyRing::Line { number, expected })?;
            if lines.iter().any(|known| known.id() == line.id()) {
                let id = line.id().to_owned();
                return Err(InvalidKeyRing::Twice { number, id });
            }
            lines.push(line);
        }
        let (mut in_use, mut oldest, mut others) = (None, None, Vec::new());
        let (mut new, mut retired) = (Vec::new(), Vec::new());
        for line in lines {
            match line {
                Line::Key(key) => {
                    oldest = Some(key.clone());
                    match in_use {
                        None => in_use = Some(key),
                        Some(_) => others.push(key),
                    }
                }
                Line::New(key) => {
                    new.push(key.id.clone());
                    others.push(key);
                }
                Line::Retired(id, key) => {
                    oldest = key.or(oldest);
                    retired.push(id);
                }
            }
        }
        let in_use = in_use.ok_or(InvalidKeyRing::NoneInUse)?;
        Ok(Self {
            oldest: oldest.unwrap_or_else(|| in_use.clone()),
            in_use,
            others,
            new,
            retired,
        })
    }

    /// What the file of a new ring holds: one fresh key, in use.
    pub fn fresh_text() -> String {
        Key::new(random::bytes(), random::bytes()).line() + "\n"
    }

    /// The key for what is made from now on.
    pub fn in_use(&self) -> &Key {
        &self.in_use
    }

    /// The key that no step of a rotation changes: the last in the file that was ever in use, gone
    /// or not. For what has to be recognised across rotations, and is no harm if it is not.
    pub fn oldest(&self) -> &Key {
        &self.oldest
    }

    /// The key that an existing row names. `None` when it is gone, or not known here.
    pub fn get(&self, id: &str) -> Option<&Key> {
        self.keys().find(|key| key.id == id)
    }

    /// The ids of all keys that it has, that in use first.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.keys().map(Key::id)
    }

    /// Whether the key is known and not used yet.
    pub fn is_new(&self, id: &str) -> bool {
        self.new.iter().any(|new| new == id)
    }

    /// The ids of keys that are gone.
    pub fn retired(&self) -> &[String] {
        &self.retired
    }

    /// Whether the key is gone, and not only unknown here.
    pub fn is_retired(&self, id: &str) -> bool {
        self.retired.iter().any(|retired| retired == id)
    }

    fn keys(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.in_use).chain(&self.others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    fn ring(lines: &[&str]) -> Result<KeyRing, InvalidKeyRing> {
        KeyRing::parse(&lines.join("\n").replace("HEX", SECRET))
    }

    #[test]
    fn the_first_key_is_in_use_and_the_others_are_found_by_their_id() {
        let ring = ring(&["# codes", "", "k2:HEX", "k1:HEX"]).unwrap();
        assert_eq!(ring.in_use().id(), "k2");
        assert_eq!(ring.get("k1").unwrap().id(), "k1");
        assert!(ring.get("k3").is_none());
        assert!(!ring.is_retired("k3"), "it may be somebody else's");
    }

    #[test]
    fn a_new_key_is_known_and_not_in_use_wherever_it_stands() {
        let ring = ring(&["k3:HEX:new", "k2:HEX", "k1:HEX", "k4:HEX:new"]).unwrap();
        assert_eq!((ring.in_use().id(), ring.oldest().id()), ("k2", "k1"));
        assert_eq!(ring.ids().collect::<Vec<_>>(), ["k2", "k3", "k1", "k4"]);
        assert!(ring.is_new("k4") && !ring.is_new("k1"));
    }

    #[test]
    fn a_retired_key_is_gone_with_its_secret_and_without() {
        for (retired, oldest) in [("k1:HEX:retired", "k1"), ("k1:retired", "k2")] {
            let ring = ring(&["k2:HEX", retired]).unwrap();
            assert_eq!((ring.in_use().id(), ring.oldest().id()), ("k2", oldest));
            assert!(ring.get("k1").is_none() && ring.is_retired("k1"));
            assert_eq!(ring.retired(), ["k1"]);
        }
    }

    #[test]
    fn a_keys_line_can_be_read_again() {
        let key = Key::new([1, 2, 3, 4], [7; KEY_BYTES]);
        let ring = ring(&["k0:HEX", &format!("{}:{NEW}", key.line())]).unwrap();
        assert_eq!(ring.get("k01020304"), Some(&key));
    }

    #[test]
    fn a_broken_file_is_refused_by_line_without_its_secrets_and_with_what_mends_it() {
        let refused = |lines: &[&str]| {
            let error = ring(lines).unwrap_err();
            format!("{error}. {}", error.mend(Path::new("keys")))
        };
        let generate = "it has no key to be used. Run: usher keys generate --file keys";
        assert_eq!(refused(&[]), generate);
        assert_eq!(refused(&["k1:HEX:new", "k0:retired"]), generate);
        let delete =
            "Restore the line from a copy of the file; if there is none, delete it: sed -i";
        assert_eq!(
            refused(&["", "k1"]),
            format!("line 2: expected `id:hex`. {delete} 2d keys")
        );
        assert_eq!(refused(&["k 1:HEX"]), refused(&[":HEX"]));
        let short = "line 1: expected 64 hexadecimal digits after the colon, or `retired`.";
        assert!(refused(&["k1:00ff"]).starts_with(short));
        let mark = "line 1: expected `new`, `retired` or nothing after a second colon.";
        assert!(refused(&["k1:HEX:old"]).starts_with(mark));
        assert_eq!(
            refused(&["k1:HEX", "k1:retired"]),
            "line 2: a second key named k1. Keep the right one of the two, or delete this one: \
             sed -i 2d keys"
        );
    }

    #[test]
    fn a_key_is_not_printed() {
        let ring = KeyRing::parse(&format!("k1:{SECRET}")).unwrap();
        let shown = "KeyRing { in_use: Key { id: \"k1\", bytes: <redacted> }, others: [], new: [], \
                     retired: [], oldest: Key { id: \"k1\", bytes: <redacted> } }";
        assert_eq!(format!("{ring:?}"), shown);
    }
}
