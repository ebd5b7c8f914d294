//! Rules without I/O, clock or randomness of their own: what they need is handed to them. Commands,
//! consumer and delivery apply them.

mod address;
mod budget;
mod digits;
mod guess;
mod mail;
mod person;
mod schedule;

pub(crate) use address::AddressKey;
pub(crate) use budget::{REMEMBERED_RESENDS, RESEND_LIMITS, asker_id, next_resend_after};
pub(crate) use digits::{CodeLength, Digits, SALT_BYTES};
pub(crate) use guess::{
    Circumstances, Foregone, GUESS_WINDOW, GUESSES_PER_ACCOUNT, GUESSES_PER_CODE, guesses_left,
};
pub(crate) use mail::{Fate, Outcome, Turn, fate};
pub(crate) use person::{InvalidPerson, Person};
pub(crate) use schedule::jittered;
