//! Processes as the operating system shows them: found and signalled.

use std::{fs, process::Command};

use rustix::process::{Pid, Signal, kill_process};

/// A process that runs now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// As `signal` takes it.
    pub id: u32,
    /// The id of the process that started it.
    pub parent: u32,
    /// Its command line, words separated by spaces.
    pub command: String,
}

/// Sends a signal to a process by its id, and answers whether there was one to take it.
pub fn signal(id: u32, signal: Signal) -> bool {
    let pid = i32::try_from(id).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| kill_process(pid, signal).is_ok())
}

/// The processes that run now: from /proc, else from `ps`.
///
/// # Panics
/// Where there is neither.
pub fn processes() -> Vec<Listed> {
    let Ok(proc) = fs::read_dir("/proc") else {
        return listed_by_ps();
    };
    let folders = proc.flatten().filter_map(|entry| {
        let id = entry.file_name().to_str()?.parse().ok()?;
        // Behind the name in brackets, which may hold anything: state and parent's id.
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        let mut facts = stat.rsplit_once(')')?.1.split_whitespace();
        let (state, parent) = (facts.next()?, facts.next()?.parse().ok()?);
        let command = fs::read(entry.path().join("cmdline")).ok()?;
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        let command = command.trim_end().to_owned();
        // A zombie has ended; only its parent has not asked yet.
        (state != "Z").then_some(Listed {
            id,
            parent,
            command,
        })
    });
    folders.collect()
}

fn listed_by_ps() -> Vec<Listed> {
    let listed = Command::new("ps")
        .args(["-A", "-ww", "-o", "pid=,ppid=,stat=,command="])
        .output();
    let listed = listed.expect("ps can be run");
    let process = |line: &str| {
        let mut words = line.split_whitespace();
        let (id, parent) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let is_zombie = words.next()?.starts_with('Z');
        let command = words.collect::<Vec<_>>().join(" ");
        (!is_zombie).then_some(Listed {
            id,
            parent,
            command,
        })
    };
    String::from_utf8_lossy(&listed.stdout)
        .lines()
        .filter_map(process)
        .collect()
}
