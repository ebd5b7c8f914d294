//! Recognises an address without storing it: HMAC-SHA256 under a key that is not in the database. Ledger rows hold
//! the result and the key's id.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::recipient::Recipient;

/// The keys, newest first; the first one is used for new rows.
#[derive(Clone)]
pub(crate) struct AddressKeys(Vec<(String, [u8; 32])>);

/// An address' HMAC and the id of its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AddressMac {
    /// Id of the key.
    pub(crate) key_id: String,
    /// HMAC-SHA256.
    pub(crate) mac: Vec<u8>,
}

/// Why a key file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {0} is not `<key id>:<64 hexadecimal digits>`")]
pub(crate) struct BadKeyFile(usize);

impl AddressKeys {
    /// Reads lines of `<key id>:<64 hexadecimal digits>`; empty lines and lines that start with `#` are skipped.
    ///
    /// # Errors
    /// Names the line that is no key; an empty file counts as a bad first line.
    pub(crate) fn parse(file: &str) -> Result<Self, BadKeyFile> {
        let mut keys = Vec::new();
        for (number, line) in file.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            keys.push(parse_line(line).ok_or(BadKeyFile(number + 1))?);
        }
        if keys.is_empty() {
            Err(BadKeyFile(1))
        } else {
            Ok(Self(keys))
        }
    }

    /// A new key as a line of the file.
    pub(crate) fn line(id: &str, key: &[u8; 32]) -> String {
        format!("{id}:{}\n", hex::encode(key))
    }

    /// The address under the newest key.
    pub(crate) fn mac(&self, recipient: &Recipient) -> AddressMac {
        // `parse` lets no empty ring pass; an empty key id would still match no other row.
        let newest = self
            .0
            .first()
            .map(|(id, key)| (id.clone(), mac(key, recipient)));
        let (key_id, mac) = newest.unwrap_or_default();
        AddressMac { key_id, mac }
    }

    /// Whether `stored` is this address. `None` when its key is no longer known.
    pub(crate) fn matches(&self, stored: &AddressMac, recipient: &Recipient) -> Option<bool> {
        let (_, key) = self.0.iter().find(|(id, _)| *id == stored.key_id)?;
        Some(mac(key, recipient) == stored.mac)
    }
}

impl fmt::Debug for AddressKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AddressKeys(<redacted>)")
    }
}

fn mac(key: &[u8; 32], recipient: &Recipient) -> Vec<u8> {
    let mut hmac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    hmac.update(recipient.canonical().as_bytes());
    hmac.finalize().into_bytes().to_vec()
}

fn parse_line(line: &str) -> Option<(String, [u8; 32])> {
    let (id, key) = line.trim().split_once(':')?;
    let mut bytes = [0; 32];
    hex::decode_to_slice(key.trim(), &mut bytes).ok()?;
    Some((id.to_owned(), bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(keys: &[(&str, u8)]) -> AddressKeys {
        let file: String = keys
            .iter()
            .map(|(id, byte)| AddressKeys::line(id, &[*byte; 32]))
            .collect();
        AddressKeys::parse(&file).unwrap()
    }

    #[test]
    fn recognises_an_address_under_an_older_key_and_says_when_the_key_is_gone() {
        let (ada, eve) = (
            Recipient::parse("ada@example.com").unwrap(),
            Recipient::parse("eve@example.com").unwrap(),
        );
        let stored = ring(&[("k1", 1)]).mac(&ada);
        let rotated = ring(&[("k2", 2), ("k1", 1)]);
        assert_eq!(rotated.matches(&stored, &ada), Some(true));
        assert_eq!(rotated.matches(&stored, &eve), Some(false));
        assert_eq!(ring(&[("k2", 2)]).matches(&stored, &ada), None);
        assert_eq!(rotated.mac(&ada).key_id, "k2");
    }

    #[test]
    fn names_the_line_that_is_no_key() {
        assert_eq!(
            AddressKeys::parse("# keys\n\nk1:abc\n").unwrap_err(),
            BadKeyFile(3)
        );
        assert_eq!(AddressKeys::parse("").unwrap_err(), BadKeyFile(1));
    }
}
