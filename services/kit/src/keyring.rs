//! Secret keys with names, and the file that holds them: one `id:hex` a line, newest first. What
//! was made under a key remembers the key's id, so that a new key does not make the old results
//! worthless.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::Private;

/// Length of a key in bytes: the output of SHA-256, beyond which HMAC gains nothing (RFC 2104 §3).
pub const KEY_BYTES: usize = 32;

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

    fn parse(line: &str) -> Result<Self, &'static str> {
        let (id, secret) = line.split_once(':').ok_or("expected `id:hex`")?;
        // No colon and no space, so that a line has one reading; rows store the id as it stands.
        let may_stand = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if id.is_empty() || id.len() > LONGEST_ID || !id.bytes().all(may_stand) {
            return Err(
                "expected an id of 1 to 32 letters, digits, `-`, `_` and `.` before the colon",
            );
        }
        let mut bytes = [0; KEY_BYTES];
        hex::decode_to_slice(secret.trim(), &mut bytes)
            .map_err(|_| "expected 64 hexadecimal digits after the colon")?;
        Ok(Self {
            id: id.to_owned(),
            bytes: Private::new(bytes),
        })
    }

    fn line(&self) -> String {
        format!("{}:{}\n", self.id, hex::encode(self.bytes.expose()))
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

/// At least one key, newest first.
#[derive(Debug, Clone)]
pub struct KeyRing {
    keys: Vec<Key>,
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
    /// Two keys bear the same id: a row could not say which one it means.
    #[error("line {number}: a second key named {id}")]
    Twice {
        /// Counted from 1.
        number: usize,
        /// As both lines say it.
        id: String,
    },
    /// There is no key in it.
    #[error("there is no key in it")]
    Empty,
}

impl KeyRing {
    /// Reads a key file. Empty lines and lines that begin with `#` are skipped.
    ///
    /// # Errors
    /// Names the line and what was expected there, never what was found: it may be a secret.
    pub fn parse(text: &str) -> Result<Self, InvalidKeyRing> {
        let mut keys: Vec<Key> = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let key =
                Key::parse(line).map_err(|expected| InvalidKeyRing::Line { number, expected })?;
            if keys.iter().any(|known| known.id == key.id) {
                return Err(InvalidKeyRing::Twice { number, id: key.id });
            }
            keys.push(key);
        }
        if keys.is_empty() {
            Err(InvalidKeyRing::Empty)
        } else {
            Ok(Self { keys })
        }
    }

    /// The key for what is made from now on.
    pub fn newest(&self) -> &Key {
        &self.keys[0]
    }

    /// The key that an existing row names.
    pub fn get(&self, id: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.id == id)
    }
}

/// A key file's text with `key` as its newest.
pub fn with_newest(text: &str, key: &Key) -> String {
    key.line() + text
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    #[test]
    fn the_first_key_is_the_newest_and_older_ones_are_found_by_their_id() {
        let older = SECRET.replace('0', "f");
        let ring = KeyRing::parse(&format!("# codes\n\nk2:{SECRET}\nk1:{older}\n")).unwrap();
        assert_eq!(ring.newest().id(), "k2");
        assert_eq!(ring.get("k1").unwrap().id(), "k1");
        assert!(ring.get("k3").is_none());
    }

    #[test]
    fn a_new_key_goes_in_front_and_the_text_can_be_read_again() {
        let old = format!("k1:{SECRET}\n");
        let key = Key::new([1, 2, 3, 4], [7; KEY_BYTES]);
        let ring = KeyRing::parse(&with_newest(&old, &key)).unwrap();
        assert_eq!(ring.newest(), &key);
        assert_eq!(ring.newest().id(), "k01020304");
        assert!(ring.get("k1").is_some());
    }

    #[test]
    fn a_broken_file_is_refused_by_line_without_repeating_the_secret() {
        let refused = |text: &str| KeyRing::parse(text).unwrap_err().to_string();
        assert_eq!(refused(""), "there is no key in it");
        assert_eq!(refused("\nk1"), "line 2: expected `id:hex`");
        assert_eq!(
            refused(&format!("k 1:{SECRET}")),
            refused(&format!(":{SECRET}"))
        );
        let short = "line 1: expected 64 hexadecimal digits after the colon";
        assert_eq!(refused("k1:00ff"), short);
        let twice = refused(&format!("k1:{SECRET}\nk1:{SECRET}"));
        assert_eq!(twice, "line 2: a second key named k1");
    }

    #[test]
    fn a_key_is_not_printed() {
        let ring = KeyRing::parse(&format!("k1:{SECRET}")).unwrap();
        let shown = "KeyRing { keys: [Key { id: \"k1\", bytes: <redacted> }] }";
        assert_eq!(format!("{ring:?}"), shown);
    }
}
