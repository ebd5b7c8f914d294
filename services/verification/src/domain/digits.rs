//! A code's digits: derived from a key, never stored. The delivery sends them, `ConfirmCode`
//! compares them.

use kit::{
    Private,
    keyring::{KEY_BYTES, Key},
};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

/// Bytes of a code's salt.
pub(crate) const SALT_BYTES: usize = 16;

/// How many digits a code has: 6 to 10. Eight digits and 25 guesses a day are 2.5e-7.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeLength(u8);

impl CodeLength {
    /// Shortest code.
    pub(crate) const MIN: u8 = 6;
    /// Longest code.
    pub(crate) const MAX: u8 = 10;

    /// A length within the limits.
    ///
    /// # Errors
    /// When it is not.
    pub(crate) fn parse(digits: i64) -> Result<Self, InvalidCodeLength> {
        match u8::try_from(digits) {
            Ok(digits) if (Self::MIN..=Self::MAX).contains(&digits) => Ok(Self(digits)),
            _ => Err(InvalidCodeLength),
        }
    }

    /// The number of digits.
    pub(crate) fn get(self) -> u8 {
        self.0
    }
}

impl std::str::FromStr for CodeLength {
    type Err = InvalidCodeLength;

    fn from_str(text: &str) -> Result<Self, InvalidCodeLength> {
        Self::parse(text.parse().map_err(|_| InvalidCodeLength)?)
    }
}

/// No code has so many digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a number of digits from {} to {}",
    CodeLength::MIN,
    CodeLength::MAX
)]
pub struct InvalidCodeLength;

/// ASCII digits of a code, derived or typed.
#[derive(Debug, Clone)]
pub(crate) struct Digits(Private<String>);

impl Digits {
    /// The digits of one code: HMAC-SHA256(key, code id ‖ salt ‖ counter) for counter = 0, 1, …,
    /// read as numbers of 64 bits, of which the first fit one is taken modulo 10^length.
    pub(crate) fn derive(key: &Key, code_id: Uuid, salt: &[u8], length: CodeLength) -> Self {
        let words = (0_u32..).flat_map(|counter| {
            let block = key.hmac(&[code_id.as_bytes(), salt, &counter.to_be_bytes()]);
            words(&block)
        });
        Self::first_unbiased(words, length)
    }

    /// Reads what a person typed: spaces and hyphens of any script are dropped, full-width digits
    /// read as ASCII.
    ///
    /// # Errors
    /// When anything else remains, or a number of digits that no code has.
    pub(crate) fn parse(typed: &str) -> Result<Self, InvalidDigits> {
        let kept = typed
            .chars()
            .filter(|char| !char.is_whitespace() && !is_hyphen(*char));
        // One more than the longest is enough to know that it is too long, whatever the length of
        // the input.
        let digits: Option<String> = kept
            .take(usize::from(CodeLength::MAX) + 1)
            .map(to_ascii_digit)
            .collect();
        let digits = digits.ok_or(InvalidDigits)?;
        let count = i64::try_from(digits.len()).map_err(|_| InvalidDigits)?;
        CodeLength::parse(count).map_err(|_| InvalidDigits)?;
        Ok(Self(digits.into()))
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.expose().len()
    }

    /// Whether they are the same.
    pub(crate) fn matches(&self, other: &Self) -> bool {
        // In a time that does not tell where they differ.
        self.expose()
            .as_bytes()
            .ct_eq(other.expose().as_bytes())
            .into()
    }

    /// The digits themselves: for the mail, and for nothing else.
    pub(crate) fn expose(&self) -> &str {
        self.0.expose()
    }

    fn first_unbiased(words: impl Iterator<Item = u64>, length: CodeLength) -> Self {
        let codes = 10_u64.pow(u32::from(length.get()));
        // The largest multiple of 10^length: with the incomplete last interval rejected, every code
        // is exactly as likely as any other.
        let limit = u64::MAX - u64::MAX % codes;
        // One number in 1.8e9 is rejected at most (10^10 of 2^64); the numbers do not run out.
        let number = words
            .into_iter()
            .find(|word| *word < limit)
            .unwrap_or_default()
            % codes;
        let width = usize::from(length.get());
        Self(format!("{number:0width$}").into())
    }
}

/// What was typed cannot be a code; it is not counted as a guess.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a code is 6 to 10 digits; spaces and hyphens do not matter")]
pub(crate) struct InvalidDigits;

fn words(block: &[u8; KEY_BYTES]) -> [u64; 4] {
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(block.as_chunks::<8>().0) {
        *word = u64::from_be_bytes(*bytes);
    }
    words
}

fn is_hyphen(char: char) -> bool {
    // Hyphens and dashes, minus sign, small and full-width hyphen.
    matches!(
        char,
        '-' | '\u{00ad}' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe63}' | '\u{ff0d}'
    )
}

fn to_ascii_digit(char: char) -> Option<char> {
    match char {
        '0'..='9' => Some(char),
        '０'..='９' => char::from_digit(u32::from(char) - u32::from('０'), 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn length(digits: i64) -> CodeLength {
        CodeLength::parse(digits).unwrap()
    }

    fn key(byte: u8) -> Key {
        Key::new([byte; 4], [byte; KEY_BYTES])
    }

    fn parsed(typed: &str) -> Option<String> {
        Digits::parse(typed)
            .ok()
            .map(|digits| digits.expose().to_owned())
    }

    #[test]
    fn spaces_hyphens_and_full_width_digits_are_read() {
        for typed in [
            "12345678",
            " 1234 5678\n",
            "1234-5678",
            "1234\u{a0}5678",
            "１２３４　５６７８",
            "1234–5678",
        ] {
            assert_eq!(parsed(typed).as_deref(), Some("12345678"), "{typed:?}");
        }
    }

    #[test]
    fn what_no_code_can_be_is_malformed() {
        for typed in [
            "",
            "12345",
            "12345678901",
            "1234567a",
            "12345678;",
            "٣٤٥٦٧٨٩٠",
            "+1234567",
            "1234.5678",
        ] {
            assert_eq!(parsed(typed), None, "{typed:?}");
        }
        assert_eq!(parsed(&"9".repeat(1 << 20)), None);
    }

    #[test]
    fn the_incomplete_last_interval_is_rejected_and_zeros_are_kept() {
        let six = length(6);
        let limit = u64::MAX - u64::MAX % 1_000_000;
        assert_eq!(
            Digits::first_unbiased([limit, u64::MAX, 42].into_iter(), six).expose(),
            "000042"
        );
        assert_eq!(
            Digits::first_unbiased([limit - 1].into_iter(), six).expose(),
            "999999"
        );
    }

    #[test]
    fn key_code_and_salt_each_change_the_digits_and_nothing_is_printed() {
        let id = Uuid::from_u128(7);
        let digits = Digits::derive(&key(1), id, &[0; SALT_BYTES], length(8));
        assert!(digits.matches(&Digits::derive(&key(1), id, &[0; SALT_BYTES], length(8))));
        assert!(!digits.matches(&Digits::derive(&key(2), id, &[0; SALT_BYTES], length(8))));
        assert!(!digits.matches(&Digits::derive(
            &key(1),
            Uuid::from_u128(8),
            &[0; SALT_BYTES],
            length(8)
        )));
        assert!(!digits.matches(&Digits::derive(&key(1), id, &[1; SALT_BYTES], length(8))));
        assert!(!digits.matches(&Digits::derive(&key(1), id, &[0; SALT_BYTES], length(9))));
        assert_eq!(format!("{digits:?}"), "Digits(<redacted>)");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 12, rng_seed: proptest::test_runner::RngSeed::Fixed(8), ..ProptestConfig::default() })]

        /// Chi-square over each position's ten digits: 9 degrees of freedom, 33.7 is passed by
        /// chance once in 10,000; with fixed seeds the test gives the same answer every time.
        #[test]
        fn every_digit_is_as_likely_at_every_place(seed: [u8; KEY_BYTES], digits in 6_i64..=10) {
            const CODES: u64 = 4_000;
            let key = Key::new([0; 4], seed);
            let mut counts = vec![[0_u32; 10]; usize::try_from(digits).unwrap()];
            for number in 0..CODES {
                let id = Uuid::from_u128(u128::from(number));
                let code = Digits::derive(&key, id, &seed[..SALT_BYTES], length(digits));
                for (place, digit) in counts.iter_mut().zip(code.expose().bytes()) {
                    place[usize::from(digit - b'0')] += 1;
                }
            }
            let expected = 400.0; // CODES / 10
            for place in counts {
                let chi_square: f64 = place.iter().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum();
                prop_assert!(chi_square < 33.7, "chi-square {chi_square}: {place:?}");
            }
        }

        #[test]
        fn whatever_is_typed_never_panics_and_gives_ascii_digits_only(typed: String) {
            if let Ok(digits) = Digits::parse(&typed) {
                prop_assert!(digits.expose().bytes().all(|byte| byte.is_ascii_digit()));
                prop_assert!((6..=10).contains(&digits.count()));
            }
        }
    }
}
