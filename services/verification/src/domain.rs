//! Rules without I/O, clock or randomness of their own: what they need is handed to them. Commands, consumer and
//! delivery apply them.

pub mod address;
pub mod budget;
pub mod digits;
pub mod guess;
pub mod keys;
pub mod mail;
pub mod person;
pub mod schedule;
