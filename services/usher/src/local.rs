//! `usher up`: the whole system on one machine. `data` is its folder, `ports` where it listens,
//! `run_file` what it says of that; `nats` is the broker, `provisioner` its streams, `exports` and
//! `traces` where spans go; `told` is what environment and file say to the services, `child` a
//! service's environment. `supervise` keeps the children running, `endings` counts when they do
//! not, `logs` is what they write, `orphan` ends what outlived an earlier run. `system` puts them
//! together, `up` shows it to a person.

mod child;
pub(crate) mod data;
pub(crate) mod endings;
pub(crate) mod exports;
mod logs;
mod nats;
mod orphan;
pub(crate) mod ports;
mod provisioner;
pub(crate) mod run_file;
pub(crate) mod supervise;
pub(crate) mod system;
pub(crate) mod told;
mod traces;
pub(crate) mod up;
