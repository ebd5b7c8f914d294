//! Accounts: takes a sign-up, stores it with its event, and learns from verification that it is confirmed.

pub mod domain;
pub mod migrations;
pub mod store;
