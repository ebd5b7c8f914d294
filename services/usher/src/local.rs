//! `usher up`: the whole system on one machine. `data` is its folder, `ports` where it listens, `nats` the broker,
//! `supervise` keeps the children running, `system` puts them together, `up` shows it to a person.

pub(crate) mod data;
mod logs;
mod nats;
pub(crate) mod ports;
pub(crate) mod private;
mod provisioner;
pub(crate) mod run_file;
pub(crate) mod supervise;
pub(crate) mod system;
pub(crate) mod traces;
pub(crate) mod up;
