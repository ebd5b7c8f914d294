//! Verification: turns AccountCreated into a code and its mail, and a confirmed code into AccountVerified.

pub mod domain;
pub mod migrations;
mod store;
