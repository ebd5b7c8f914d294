//! Verification: turns AccountCreated into a code and its mail, and a confirmed code into AccountVerified.

mod commands;
pub mod domain;
mod events;
pub mod migrations;
mod queue;
mod store;
