//! The key by which a caller repeats a request safely. `commands::create_account` hashes it before
//! it is stored: it may be all that proves who made the first request.

use kit::Private;

/// 16 to 128 printable ASCII characters. Debug shows none of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IdempotencyKey(Private<String>);

/// Why something is no idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must have 16 to 128 printable ASCII characters, such as a random UUID")]
pub(crate) struct InvalidIdempotencyKey;

impl IdempotencyKey {
    /// Takes a key as a program sent it.
    pub(crate) fn parse(input: &[u8]) -> Result<Self, InvalidIdempotencyKey> {
        let fits = (16..=128).contains(&input.len())
            && input.iter().all(|octet| (b' '..=b'~').contains(octet));
        let key = str::from_utf8(input).ok().filter(|_| fits);
        key.map(|key| Self(key.to_owned().into()))
            .ok_or(InvalidIdempotencyKey)
    }

    pub(crate) fn as_str(&self) -> &str {
        self.0.expose()
    }
}

#[cfg(test)]
mod tests {
    use super::IdempotencyKey;

    #[test]
    fn keys_are_long_and_printable() {
        for key in ["0123456789abcdef", "018f 5c1e-7b9a~!", &"k".repeat(128)] {
            assert_eq!(IdempotencyKey::parse(key.as_bytes()).unwrap().as_str(), key);
        }
        for refused in [
            "",
            "0123456789abcde",
            "0123456789abcde\n",
            "0123456789abcdeé",
            &"k".repeat(129),
        ] {
            assert!(
                IdempotencyKey::parse(refused.as_bytes()).is_err(),
                "{refused:?}"
            );
        }
    }
}
