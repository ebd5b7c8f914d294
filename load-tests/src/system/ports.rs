//! Free ports for a system whose parts are started again and again: below the range from which
//! operating systems take the local ends of connections, where one could be gone after a crash.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::Context as _;

const FIRST: u16 = 10_000;
const COUNT: u16 = 10_000;

/// Gives each port once. Where it begins depends on the process, so that several systems that start
/// at once seldom meet.
#[derive(Debug)]
pub(super) struct Ports(u16);

impl Ports {
    pub(super) fn new() -> Self {
        let begin = std::process::id().wrapping_mul(7919) % u32::from(COUNT);
        Self(u16::try_from(begin).unwrap_or_default())
    }

    pub(super) fn next(&mut self) -> anyhow::Result<u16> {
        for _ in 0..COUNT {
            let port = FIRST + self.0;
            self.0 = (self.0 + 1) % COUNT;
            if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return Ok(port);
            }
        }
        let last = FIRST + COUNT - 1;
        None.with_context(|| format!("no port is free between {FIRST} and {last}"))
    }
}
