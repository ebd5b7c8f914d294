//! `usher up`: the whole system on one machine. `data` is its folder, `ports` where it listens, `nats` the broker,
//! `child` a service's environment, `supervise` keeps the children running, `system` puts them together, `up` shows it
//! to a person.

mod child;
pub(crate) mod data;
mod logs;
mod nats;
mod orphan;
pub(crate) mod ports;
pub(crate) mod private;
mod provisioner;
mod readiness;
pub(crate) mod run_file;
pub(crate) mod supervise;
pub(crate) mod system;
pub(crate) mod traces;
pub(crate) mod up;
