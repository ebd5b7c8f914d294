//! kit from outside: each module against the real thing it talks to.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod bus;
mod config;
mod db;
mod group;
mod outbox;
mod propagation;
mod watch;
