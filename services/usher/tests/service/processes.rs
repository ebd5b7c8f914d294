//! Processes that are signalled and waited for.

use std::{
    process::{Child, ExitStatus},
    sync::mpsc,
    time::Duration,
};

use rustix::process::Signal;

/// `usher up` and `usher demo` stop within this time, I18.
pub(crate) const STOP: Duration = Duration::from_secs(10);

/// Sends a signal to a process that runs.
pub(crate) fn signal(pid: u32, signal: Signal) {
    assert!(
        kit::testing::signal(pid, signal),
        "{pid} takes no {signal:?}"
    );
}

/// Waits for a process to end.
pub(crate) fn ends_within(mut child: Child, deadline: Duration) -> ExitStatus {
    let (ended, end) = mpsc::channel();
    std::thread::spawn(move || ended.send(child.wait()));
    end.recv_timeout(deadline)
        .expect("the process ends in time")
        .expect("the process can be waited for")
}
