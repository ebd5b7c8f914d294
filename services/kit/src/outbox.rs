//! The transactional outbox: an event's row commits with the state that it tells of, and the relay
//! publishes it afterwards, however often the process dies in between. What was published stays as
//! history.
//!
//! *Hot path:* after the commit the writer hands the row's bytes to its own relay in memory;
//! nothing is read back. Room in that queue is reserved before the insert, so that a row is born
//! claimed only if it will be handed over. *Cold path:* a row that is unclaimed, or outlives its
//! claim, is claimed from the table by any relay.
//!
//! In reading order: `record` is an event as a row, `queue` the writer's side, `table` every
//! statement, `relay` the loop that `publish`es, `attend` what it does while a window is on its way.

mod attend;
mod marks;
mod metrics;
mod publish;
mod queue;
mod record;
mod relay;
mod table;

pub use queue::{Handover, Outbox, Room};
pub use record::Record;
pub use relay::{Relay, RelaySettings};
#[cfg(feature = "testing")]
pub use table::looks;
pub use table::{create_table, drop_table};
