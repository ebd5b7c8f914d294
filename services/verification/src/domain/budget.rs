//! How often another code may be asked for: once in 60 s, 5 times an hour, 10 times in 24 hours.
//! `ResendCode` takes from the budget in one statement built from these numbers.

use std::time::Duration;

use kit::keyring::{KeyRing, hmac_sha256};

/// One limit: the `nth` newest request must be at least `age` old before another one is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ResendLimit {
    /// 1 for the newest request.
    pub(crate) nth: usize,
    /// How old it must be.
    pub(crate) age: Duration,
}

/// How many requests are remembered: as many as the longest limit looks back.
pub(crate) const REMEMBERED_RESENDS: usize = 10;

/// Wait between two requests.
const COOLDOWN: Duration = Duration::from_secs(60);

/// All limits; each is exact over a rolling window.
pub(crate) const RESEND_LIMITS: [ResendLimit; 3] = [
    ResendLimit {
        nth: 1,
        age: COOLDOWN,
    },
    ResendLimit {
        nth: 5,
        age: Duration::from_secs(60 * 60),
    },
    ResendLimit {
        nth: REMEMBERED_RESENDS,
        age: Duration::from_secs(24 * 60 * 60),
    },
];

/// How long until the next request is allowed; zero if it is now. `ages` of the requests so far,
/// newest first.
pub(crate) fn next_resend_after(ages: &[Duration]) -> Duration {
    let waits = RESEND_LIMITS
        .iter()
        .filter_map(|limit| Some(limit.age.saturating_sub(*ages.get(limit.nth - 1)?)));
    waits.max().unwrap_or_default()
}

/// What an asker's requests are counted under instead of an address.
pub(crate) fn asker_id(keys: &KeyRing, kind: &str, name: &str) -> Vec<u8> {
    // Under a key of its own: no text of a stranger's is ever an input of code derivation.
    // Of the oldest key, gone or not: replicas count together while their rings differ, and no
    // step of a rotation gives anybody a new budget.
    let subkey = keys.oldest().hmac(&[b"resend budgets"]);
    hmac_sha256(&subkey, &[kind.as_bytes(), &[0], name.as_bytes()]).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn the_longest_of_all_limits_counts() {
        assert_eq!(next_resend_after(&[]), Duration::ZERO);
        assert_eq!(next_resend_after(&[MINUTE / 4]), MINUTE * 3 / 4);
        assert_eq!(next_resend_after(&[MINUTE * 2; 4]), Duration::ZERO);
        assert_eq!(next_resend_after(&[MINUTE * 2; 5]), MINUTE * 58);
        assert_eq!(next_resend_after(&[MINUTE * 61; 9]), Duration::ZERO);
        assert_eq!(
            next_resend_after(&[MINUTE * 61; 10]),
            MINUTE * (24 * 60 - 61)
        );
    }

    #[test]
    fn askers_differ_by_kind_and_name_only() {
        let secret = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
        let keys = KeyRing::parse(&format!("k1:{secret}")).unwrap();
        let ada = asker_id(&keys, "address", "ada@example.com");
        assert_eq!(ada, asker_id(&keys, "address", "ada@example.com"));
        assert_ne!(
            asker_id(&keys, "address", "x"),
            asker_id(&keys, "account", "x")
        );
        assert_ne!(
            asker_id(&keys, "address", "x"),
            asker_id(&keys, "address", "y")
        );
    }
}
