//! Randomness from the operating system: salts, keys and jitter. Rules take the number, not the
//! source, so that tests choose it.

use rand::{TryRng as _, rngs::SysRng};

/// `N` random bytes.
///
/// # Panics
/// When the operating system has no randomness to give: nothing that follows would be safe.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SysRng
        .try_fill_bytes(&mut bytes)
        .expect("the operating system hands out randomness");
    bytes
}

/// A fresh secret as files hold one: 64 hexadecimal digits, which need no quotes anywhere.
///
/// # Panics
/// As [`bytes()`].
pub fn secret() -> String {
    hex::encode(bytes::<32>())
}

/// A number from 0 to below 1, for jitter.
pub fn fraction() -> f64 {
    let thirty_two_bits = u32::from_le_bytes(bytes());
    f64::from(thirty_two_bits) / (f64::from(u32::MAX) + 1.0)
}
