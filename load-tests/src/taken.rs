//! What a process takes of the machine, as the operating system counts it.

use std::{fs, time::Duration};

use anyhow::Context as _;
use rustix::param::clock_ticks_per_second;

use crate::{place::Place, system::System};

/// Of one process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taken {
    /// KiB of memory in use: resident set size, the pages of its program with it.
    pub(crate) memory: u64,
    /// Time of a processor.
    pub(crate) cpu: Duration,
}

/// By the process of a system's service.
pub(crate) fn by_service(system: &System, service: Place) -> anyhow::Result<Taken> {
    by(process(system, service)?)
}

pub(crate) fn by(process: u32) -> anyhow::Result<Taken> {
    let status = read(process, "status")?;
    let memory = value(&status, "VmRSS:");
    Ok(Taken {
        memory: memory.with_context(|| format!("the status of process {process} has no VmRSS"))?,
        cpu: cpu(&read(process, "stat")?).context("/proc/PID/stat is not as it was")?,
    })
}

/// KiB of a service's memory, with its share of pages that others have, too.
pub(crate) fn share_of_memory(system: &System, service: Place) -> anyhow::Result<u64> {
    let process = process(system, service)?;
    value(&read(process, "smaps_rollup")?, "Pss:")
        .with_context(|| format!("/proc/{process}/smaps_rollup has no Pss"))
}

fn process(system: &System, service: Place) -> anyhow::Result<u32> {
    let process = system.process_of(service);
    process.with_context(|| format!("{} does not run", service.name()))
}

fn value(lines: &str, name: &str) -> Option<u64> {
    let line = lines.lines().find_map(|line| line.strip_prefix(name));
    line?.split_whitespace().next()?.parse().ok()
}

fn read(process: u32, file: &str) -> anyhow::Result<String> {
    let path = format!("/proc/{process}/{file}");
    fs::read_to_string(&path).with_context(|| format!("{path} cannot be read"))
}

/// Behind the name in brackets, which may hold anything, user and system time are the twelfth and
/// the thirteenth.
fn cpu(stat: &str) -> Option<Duration> {
    let mut facts = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: u64 = facts.next()?.parse().ok()?;
    let system: u64 = facts.next()?.parse().ok()?;
    let millis = (user + system) * 1_000 / clock_ticks_per_second().max(1);
    Some(Duration::from_millis(millis))
}
