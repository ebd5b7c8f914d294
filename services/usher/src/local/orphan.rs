//! Ends programs that an `usher up` which could not clean up left running: they have no parent to
//! watch. Their process ids lie in the data folder.

use std::{fs, path::Path, process::Command, time::Duration};

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep};

/// How long the program may take to end after each signal.
const PATIENCE: Duration = Duration::from_secs(2);

/// Ends the program whose process id stands in `pid_file`, if its command line names `mark`.
/// Answers with that id if there was one.
pub(super) async fn end(name: &str, pid_file: &Path, mark: &Path) -> anyhow::Result<Option<u32>> {
    let Ok(text) = fs::read_to_string(pid_file) else {
        return Ok(None);
    };
    let Ok(number) = text.trim().parse::<i32>() else {
        return Ok(None);
    };
    let Some(pid) = Pid::from_raw(number) else {
        return Ok(None);
    };
    let mark = mark.to_string_lossy();
    // A zombie that nobody reaps has no command line either, so this also tells when it has ended.
    let is_ours = || command_line(number).contains(&*mark);
    // Process ids are used again by other programs: the file alone proves nothing.
    if !is_ours() {
        return Ok(None);
    }
    for signal in [Signal::TERM, Signal::KILL] {
        // An error means that it has ended since it was looked at; the next look says so.
        let _ = kill_process(pid, signal);
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            // It is no child of ours: nobody tells when it ends, so it is looked at again and
            // again.
            if !is_ours() {
                return Ok(u32::try_from(number).ok());
            }
            sleep(Duration::from_millis(40)).await;
        }
    }
    anyhow::bail!(
        "A {name} that an earlier run left behind (process {number}) holds this folder and does not end. End it \
         (`kill -9 {number}`), and start again."
    )
}

/// What a process was started with; empty where there is none.
fn command_line(pid: i32) -> String {
    if let Ok(arguments) = fs::read(format!("/proc/{pid}/cmdline")) {
        return String::from_utf8_lossy(&arguments).into_owned();
    }
    // Where there is no /proc, as on macOS.
    let mut ps = Command::new("ps");
    ps.args(["-ww", "-o", "command=", "-p", &pid.to_string()]);
    match ps.output() {
        Ok(listed) => String::from_utf8_lossy(&listed.stdout).into_owned(),
        Err(_) => String::new(),
    }
}
