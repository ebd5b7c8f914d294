//! Randomness that a seed repeats: what befalls a sign-up or a mail follows from its own name and
//! the seed alone, never from the order in which things happen to be asked.

use rand::{SeedableRng as _, rngs::StdRng};

/// Dice for one thing: the same seed and name give the same throws.
pub(crate) fn dice(seed: u64, name: &str) -> StdRng {
    // FNV-1a, which stays what it is over releases; the standard library's hasher need not.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in seed.to_le_bytes().into_iter().chain(name.bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    StdRng::seed_from_u64(hash)
}

#[cfg(test)]
mod tests {
    use rand::Rng as _;

    use super::*;

    #[test]
    fn the_same_seed_and_name_repeat_and_others_do_not() {
        let throw = |seed, name| dice(seed, name).next_u64();
        assert_eq!(throw(1, "a"), throw(1, "a"));
        assert_ne!(throw(1, "a"), throw(1, "b"));
        assert_ne!(throw(1, "a"), throw(2, "a"));
    }
}
