//! What is kept of an idempotency key and of the request made under it: keyed hashes, from which
//! nobody who reads the database learns either. `store::idempotency_keys` keeps them.

use kit::{
    Private,
    keyring::{KEY_BYTES, hmac_sha256},
};

use super::{IdempotencyKey, NewAccount};

/// A keyed hash.
pub(crate) type Hash = [u8; KEY_BYTES];

/// The secret under which keys and requests are hashed. All replicas of a database need the same
/// one; with another one, keys of the last 24 hours are not recognised.
#[derive(Debug, Clone)]
pub(crate) struct FingerprintKey(Private<[u8; KEY_BYTES]>);

/// Why a text holds no fingerprint key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a fingerprint key is written as 64 hexadecimal digits")]
pub(crate) struct InvalidFingerprintKey;

impl FingerprintKey {
    /// Reads a secret as its file holds it.
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidFingerprintKey> {
        let mut octets = [0; 32];
        hex::decode_to_slice(text.trim(), &mut octets).map_err(|_| InvalidFingerprintKey)?;
        Ok(Self(octets.into()))
    }

    /// What is stored instead of an idempotency key.
    pub(crate) fn of_key(&self, key: &IdempotencyKey) -> Hash {
        self.hash("idempotency key", [key.as_str()])
    }

    /// What tells one request from another.
    pub(crate) fn of_request(&self, new: &NewAccount) -> Hash {
        // Of the parsed request: another spelling of the domain is the same request.
        self.hash(
            "request",
            [
                new.email.as_str(),
                new.display_name.as_str(),
                new.locale.as_str(),
            ],
        )
    }

    fn hash<const N: usize>(&self, purpose: &str, parts: [&str; N]) -> Hash {
        let mut all = Vec::new();
        for part in [purpose].iter().chain(&parts) {
            // Each part is preceded by its length: no two lists of parts read the same.
            all.extend(part.len().to_be_bytes());
            all.extend(part.as_bytes());
        }
        hmac_sha256(self.0.expose(), &[&all])
    }
}

#[cfg(test)]
mod tests {
    use super::{FingerprintKey, NewAccount};

    fn key(octet: &str) -> FingerprintKey {
        FingerprintKey::parse(&octet.repeat(32)).unwrap()
    }

    #[test]
    fn requests_differ_by_what_they_say_and_by_the_key() {
        let [one, other] = ["01", "02"].map(key);
        let request = |email, name, locale| NewAccount::parse(email, name, locale).unwrap();
        let ada = request("ada@example.org", "Ada", "en");
        let same = request("ada@EXAMPLE.org", " Ada", "en");
        let shifted = request("ada@example.org", "Adaen", "");
        assert_eq!(one.of_request(&ada), one.of_request(&same));
        assert_ne!(one.of_request(&ada), one.of_request(&shifted));
        assert_ne!(one.of_request(&ada), other.of_request(&ada));
    }

    #[test]
    fn a_key_reads_back_from_its_file() {
        let key = key("07");
        let again = FingerprintKey::parse(&("07".repeat(32) + "\n")).unwrap();
        let ada = NewAccount::parse("ada@example.org", "", "").unwrap();
        assert_eq!(key.of_request(&ada), again.of_request(&ada));
        assert!(FingerprintKey::parse("07").is_err());
        assert_eq!(format!("{key:?}"), "FingerprintKey(<redacted>)");
    }
}
