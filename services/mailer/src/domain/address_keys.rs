//! Recognises an address without storing it: HMAC-SHA256 under a key that is not in the database.
//! Ledger rows hold the result and the key's id.

use kit::keyring::{InvalidKeyRing, KeyRing};

use super::Recipient;

/// The keys; that in use is used for new rows.
#[derive(Debug, Clone)]
pub(crate) struct AddressKeys(KeyRing);

/// An address' HMAC and the id of its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AddressMac {
    pub(crate) key_id: String,
    pub(crate) mac: Vec<u8>,
}

impl AddressKeys {
    /// Reads a key file.
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidKeyRing> {
        Ok(Self(KeyRing::parse(text)?))
    }

    /// The address under the key in use.
    pub(crate) fn mac(&self, recipient: &Recipient) -> AddressMac {
        let key = self.0.in_use();
        AddressMac {
            key_id: key.id().to_owned(),
            mac: key.hmac(&[recipient.canonical().as_bytes()]).to_vec(),
        }
    }

    /// Whether `stored` is this address. `None` when its key is no longer known.
    pub(crate) fn matches(&self, stored: &AddressMac, recipient: &Recipient) -> Option<bool> {
        let key = self.0.get(&stored.key_id)?;
        let mac = key.hmac(&[recipient.canonical().as_bytes()]);
        Some(mac == *stored.mac)
    }
}

#[cfg(test)]
mod tests {
    use kit::keyring::KEY_BYTES;

    use super::*;

    fn ring(keys: &[(&str, u8)]) -> AddressKeys {
        let mut file = String::new();
        for (id, byte) in keys {
            let secret = format!("{byte:02x}").repeat(KEY_BYTES);
            file += &format!("{id}:{secret}\n");
        }
        AddressKeys::parse(&file).unwrap()
    }

    #[test]
    fn recognises_an_address_under_an_older_key_and_says_when_the_key_is_gone() {
        let ada = Recipient::parse("ada@example.com").unwrap();
        let eve = Recipient::parse("eve@example.com").unwrap();
        let stored = ring(&[("k1", 1)]).mac(&ada);
        let rotated = ring(&[("k2", 2), ("k1", 1)]);
        assert_eq!(rotated.matches(&stored, &ada), Some(true));
        assert_eq!(rotated.matches(&stored, &eve), Some(false));
        assert_eq!(ring(&[("k2", 2)]).matches(&stored, &ada), None);
        assert_eq!(rotated.mac(&ada).key_id, "k2");
    }
}
