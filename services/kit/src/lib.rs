//! What at least two services need, and no service's nouns. In reading order: `config` says how a
//! service is set up, `telemetry` how it is watched, `serve` how it listens and stops; `files` keeps
//! secrets from other users, `clock` and `db` hold time and state, `group` commits many commands at
//! once, and `company` tells when facts go together that may wait; `outbox` carries what was committed to the `bus`, whose consumers hand it to the next
//! service; `propagation` takes the trace along, `watch` shows a caller each new version of a row,
//! `repeat` does what nobody waits for, `write_behind` writes for those who must not wait, `seldom`
//! tells now and then what goes on for long, `words` says what the system says of files and connections, and
//! `fail_point` marks the places at which a test lets the process die.

pub mod bus;
pub mod clock;
pub mod company;
pub mod config;
pub mod db;
pub mod fail_point;
pub mod files;
pub mod group;
pub mod keyring;
pub mod outbox;
pub mod page;
mod private;
pub mod propagation;
pub mod random;
pub mod repeat;
mod seldom;
pub mod serve;
pub mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
pub mod watch;
pub mod words;
pub mod write_behind;

pub use private::Private;
pub use seldom::Seldom;

/// One refused field of a request: its name there, and what to change.
pub type Violation = (&'static str, String);
