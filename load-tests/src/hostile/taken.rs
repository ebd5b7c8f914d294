//! What a process takes of the machine, as the operating system counts it.

use std::{fs, time::Duration};

use anyhow::Context as _;
use rustix::param::clock_ticks_per_second;

/// Of one process.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taken {
    /// KiB of memory in use: resident set size, the pages of its program with it.
    pub(super) memory: u64,
    /// Time of a processor.
    pub(super) cpu: Duration,
}

pub(super) fn by(process: u32) -> anyhow::Result<Taken> {
    let status = read(process, "status")?;
    let value = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        number.with_context(|| format!("the status of process {process} has no {name}"))
    };
    Ok(Taken {
        memory: value("VmRSS:")?,
        cpu: cpu(&read(process, "stat")?).context("/proc/PID/stat is not as it was")?,
    })
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
