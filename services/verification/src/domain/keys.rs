//! The ring of secret keys from which codes are derived, and its file format: one `id:hex` a line, newest first.
//! `digits` derives with these keys; `keys_file` keeps them.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// Length of a key in bytes: the output of SHA-256, beyond which HMAC gains nothing (RFC 2104 §3).
pub const KEY_BYTES: usize = 32;

/// Longest key id; every code's row names one.
const LONGEST_ID: usize = 32;

/// One secret key. Its bytes are never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    id: String,
    bytes: [u8; KEY_BYTES],
}

impl Key {
    /// A key out of fresh random bytes. Its id is made of the first half of `id_bytes`' hexadecimal form, so that
    /// two machines that make a key at the same time do not name it alike.
    pub fn new(id_bytes: [u8; 4], bytes: [u8; KEY_BYTES]) -> Self {
        Self {
            id: format!("k{}", hex::encode(id_bytes)),
            bytes,
        }
    }

    /// The name under which codes remember their key. No secret.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// HMAC-SHA256 of all `parts` together.
    pub(crate) fn hmac(&self, parts: &[&[u8]]) -> [u8; KEY_BYTES] {
        hmac_sha256(&self.bytes, parts)
    }

    fn parse(line: &str) -> Result<Self, &'static str> {
        let (id, secret) = line.split_once(':').ok_or("expected `id:hex`")?;
        let id_is_fine = (1..=LONGEST_ID).contains(&id.len())
            && id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        if !id_is_fine {
            return Err(
                "expected an id of 1 to 32 letters, digits, `-`, `_` and `.` before the colon",
            );
        }
        let mut bytes = [0; KEY_BYTES];
        hex::decode_to_slice(secret.trim(), &mut bytes)
            .map_err(|_| "expected 64 hexadecimal digits after the colon")?;
        Ok(Self {
            id: id.to_owned(),
            bytes,
        })
    }

    fn line(&self) -> String {
        format!("{}:{}\n", self.id, hex::encode(self.bytes))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}, <redacted>)", self.id)
    }
}

/// At least one key, newest first.
#[derive(Debug, Clone)]
pub struct KeyRing {
    keys: Vec<Key>,
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

    /// The key for new codes.
    pub fn newest(&self) -> &Key {
        &self.keys[0]
    }

    /// The key that an existing code names.
    pub fn get(&self, id: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.id == id)
    }

    /// What limits are counted under instead of an address: an HMAC under a key that is derived from the newest
    /// one, so that it can never be an input of code derivation. Counting starts anew after a rotation.
    pub fn blind(&self, kind: &str, value: &str) -> [u8; KEY_BYTES] {
        let subkey = self.newest().hmac(&[b"resend budgets"]);
        hmac_sha256(&subkey, &[kind.as_bytes(), &[0], value.as_bytes()])
    }
}

/// A key file's text with `key` as its newest.
pub fn with_newest(text: &str, key: &Key) -> String {
    key.line() + text
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
    /// Two keys bear the same id: a code could not say which one it means.
    #[error("line {number}: a second key named {id}")]
    Twice {
        /// Counted from 1.
        number: usize,
        /// The id.
        id: String,
    },
    /// There is no key in it.
    #[error("there is no key in it")]
    Empty,
}

fn hmac_sha256(key: &[u8; KEY_BYTES], parts: &[&[u8]]) -> [u8; KEY_BYTES] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    #[test]
    fn the_first_key_is_the_newest_and_older_ones_are_found_by_their_id() {
        let ring = KeyRing::parse(&format!(
            "# codes\n\nk2:{SECRET}\nk1:{}\n",
            SECRET.replace('0', "f")
        ))
        .unwrap();
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
        assert_eq!(
            refused("k1:00ff"),
            "line 1: expected 64 hexadecimal digits after the colon"
        );
        assert_eq!(
            refused(&format!("k1:{SECRET}\nk1:{SECRET}")),
            "line 2: a second key named k1"
        );
    }

    #[test]
    fn a_key_is_not_printed() {
        let ring = KeyRing::parse(&format!("k1:{SECRET}")).unwrap();
        assert_eq!(
            format!("{ring:?}"),
            "KeyRing { keys: [Key(k1, <redacted>)] }"
        );
    }

    #[test]
    fn blinded_values_differ_by_kind_and_value_only() {
        let ring = KeyRing::parse(&format!("k1:{SECRET}")).unwrap();
        assert_eq!(
            ring.blind("address", "ada@example.com"),
            ring.blind("address", "ada@example.com")
        );
        assert_ne!(ring.blind("address", "x"), ring.blind("account", "x"));
        assert_ne!(ring.blind("address", "x"), ring.blind("address", "y"));
    }
}
