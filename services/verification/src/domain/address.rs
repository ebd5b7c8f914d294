//! The address by which a person asks for another code, in the form in which two spellings of it
//! are equal. `ResendCode` looks it up and counts under it.

use kit::Private;

/// Longest address in octets (RFC 5321 §4.5.3.1.3, less the brackets).
pub(super) const LONGEST_ADDRESS: usize = 254;

/// A lower-cased address with its domain in ASCII form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AddressKey(Private<String>);

impl AddressKey {
    /// Reads an address as a person types it. Accounts decides which addresses may sign up; here it
    /// is enough that equal ones come out equal.
    pub(crate) fn parse(typed: &str) -> Result<Self, InvalidAddress> {
        let (local, domain) = typed.trim().rsplit_once('@').ok_or(InvalidAddress)?;
        let local_is_fine = !local.is_empty() && local.bytes().all(|byte| byte.is_ascii_graphic());
        // As accounts does: else who signed up with an umlaut could not ask with one.
        let domain = idna::domain_to_ascii_strict(domain).map_err(|_| InvalidAddress)?;
        let key = format!("{}@{domain}", local.to_ascii_lowercase());
        if local_is_fine && !domain.is_empty() && key.len() <= LONGEST_ADDRESS {
            Ok(Self(key.into()))
        } else {
            Err(InvalidAddress)
        }
    }

    /// For the lookup.
    pub(crate) fn expose(&self) -> &str {
        self.0.expose()
    }
}

/// It is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected an address such as `ada@example.com`")]
pub(crate) struct InvalidAddress;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_address_are_equal() {
        let key = AddressKey::parse("Ada@Bücher.example").unwrap();
        assert_eq!(key.expose(), "ada@xn--bcher-kva.example");
        assert_eq!(
            AddressKey::parse(" ada@XN--BCHER-KVA.example ").unwrap(),
            key
        );
        assert_eq!(format!("{key:?}"), "AddressKey(<redacted>)");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for typed in [
            "",
            "ada",
            "@example.com",
            "ada@",
            "a da@example.com",
            "ada@exa mple.com",
            "ada\u{0}@example.com",
        ] {
            assert!(AddressKey::parse(typed).is_err(), "{typed:?}");
        }
        assert!(AddressKey::parse(&format!("ada@{}", "a.".repeat(200))).is_err());
    }
}
