//! Mailer.

pub mod domain;
pub mod mail;
pub mod transport;
pub mod migrations;
pub mod store;
pub mod ledger;
