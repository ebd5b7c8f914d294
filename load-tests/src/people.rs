//! Who signs up: an address, a name and a language a number, all from the seed. `load` asks for
//! them, `check` knows by the address who was ours.

use proto::accounts::CreateAccountRequest;
use rand::{RngExt as _, seq::IndexedRandom as _};
use tonic::metadata::AsciiMetadataValue;

use crate::chance::dice;

const NAMES: [&str; 6] = [
    "",
    "Ada Lovelace",
    "Zoë",
    "Jean-Luc",
    "Grace Hopper",
    "O'Brien",
];
const LOCALES: [&str; 5] = ["", "en", "de", "fr-CA", "xx"];

/// The people of one run.
#[derive(Debug, Clone)]
pub struct People {
    /// Decides their names, and who is gone.
    pub seed: u64,
    /// Tells this run's addresses from those of all others.
    pub tag: String,
    /// Which part of them, from 0 to 1, has no mailbox: the sink refuses those for good.
    pub gone: f64,
    /// Whether their addresses come in no order, as those of people do.
    pub scattered: bool,
}

impl People {
    /// What the person with this number signs up with.
    pub fn sign_up(&self, number: u64) -> CreateAccountRequest {
        let mut dice = dice(self.seed, &format!("person {number}"));
        let kind = if dice.random_bool(self.gone) {
            GONE
        } else {
            "s"
        };
        let mut one_of = |list: &[&str]| (*list.choose(&mut dice).unwrap_or(&"")).to_owned();
        CreateAccountRequest {
            email: format!("{kind}{:06}.{}@example.com", self.place(number), self.tag),
            display_name: one_of(&NAMES),
            locale: one_of(&LOCALES),
        }
    }

    fn place(&self, number: u64) -> u64 {
        match self.scattered {
            // An odd factor: each number is there once, and no two neighbours are near each other.
            true => number.wrapping_mul(2_654_435_761) % (1 << 32),
            false => number,
        }
    }

    /// What this person's client repeats its request under.
    pub fn idempotency_key(&self, number: u64) -> AsciiMetadataValue {
        let key = format!("{}-sign-up-{number:06}", self.tag);
        key.parse().expect("a tag is printable ASCII")
    }

    /// Whether an address belongs to somebody of this run, asked for or not.
    pub fn includes(&self, address: &str) -> bool {
        address.ends_with(&format!(".{}@example.com", self.tag))
    }
}

const GONE: &str = "gone";

/// Whether this address has no mailbox.
pub(crate) fn is_gone(address: &str) -> bool {
    address.starts_with(GONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_the_same_person_each_time_and_known_by_the_address() {
        let people = People {
            seed: 7,
            tag: "run".to_owned(),
            gone: 0.1,
            scattered: false,
        };
        let gone = (0..1_000).filter(|number| is_gone(&people.sign_up(*number).email));
        assert!((50..200).contains(&gone.count()));
        assert_eq!(people.sign_up(3), people.sign_up(3));
        assert!(people.includes(&people.sign_up(3).email));
        assert!(!people.includes("s000003.other@example.com"));
    }
}
