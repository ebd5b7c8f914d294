//! Processes as the operating system shows them: found, signalled, waited for.

use std::{
    fs,
    process::{Child, Command, ExitStatus},
    sync::mpsc,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

/// `usher up` and `usher demo` stop within this time, I18.
pub(crate) const STOP: Duration = Duration::from_secs(10);

/// Sends a signal to a process by its id.
pub(crate) fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(pid.try_into().expect("process ids are small"))
        .expect("a process id is not 0");
    kill_process(pid, signal).expect("the process takes the signal");
}

/// Waits for a process to end.
pub(crate) fn ends_within(mut child: Child, deadline: Duration) -> ExitStatus {
    let (ended, end) = mpsc::channel();
    std::thread::spawn(move || ended.send(child.wait()));
    end.recv_timeout(deadline)
        .expect("the process ends in time")
        .expect("the process can be waited for")
}

/// The processes that run now, as (id, parent's id, command line): from /proc, else from `ps`.
pub(crate) fn processes() -> Vec<(u32, u32, String)> {
    let Ok(proc) = fs::read_dir("/proc") else {
        return listed_by_ps();
    };
    let folders = proc.flatten().filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        // Behind the name in brackets, which may hold anything: state and parent's id.
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        let mut facts = stat.rsplit_once(')')?.1.split_whitespace();
        let (state, parent) = (facts.next()?, facts.next()?.parse().ok()?);
        let command = fs::read(entry.path().join("cmdline")).ok()?;
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        // A zombie has ended; only its parent has not asked yet.
        (state != "Z").then(|| (pid, parent, command.trim_end().to_owned()))
    });
    folders.collect()
}

fn listed_by_ps() -> Vec<(u32, u32, String)> {
    let listed = Command::new("ps")
        .args(["-A", "-ww", "-o", "pid=,ppid=,stat=,command="])
        .output();
    let listed = listed.expect("ps can be run");
    let process = |line: &str| {
        let mut words = line.split_whitespace();
        let (pid, parent) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let is_zombie = words.next()?.starts_with('Z');
        (!is_zombie).then(|| (pid, parent, words.collect::<Vec<_>>().join(" ")))
    };
    String::from_utf8_lossy(&listed.stdout)
        .lines()
        .filter_map(process)
        .collect()
}
