//! Keeps child processes running: starts them, starts them again with growing pauses when they die, and ends
//! them in order. `system` says which.

use std::{
    collections::HashMap, ffi::OsString, fs, io, path::PathBuf, process::ExitStatus,
    process::Stdio, time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    process::{Child, ChildStdin, Command},
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use super::logs::{Level, Log};

/// Pause before the first restart; doubled for each further one, up to `LONGEST_PAUSE`.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A child that ran this long is healthy: its next death is a first one.
const HEALTHY_AFTER: Duration = Duration::from_secs(10);

/// What to run.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    /// Part's name: in logs, in notices.
    pub(crate) name: &'static str,
    /// Executable.
    pub(crate) binary: PathBuf,
    /// Its arguments.
    pub(crate) arguments: Vec<OsString>,
    /// What is set in its environment beside what this process has.
    pub(crate) environment: Vec<(&'static str, OsString)>,
    /// How it is asked to end.
    pub(crate) ending: Ending,
    /// Where its process id is written, for `orphan`: of a program that would outlive this process.
    pub(crate) pid_file: Option<PathBuf>,
}

/// How a child is asked to end, and how long it may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Our services: their standard input closes. The same happens when this process is killed.
    ClosedInput,
    /// Other programs: SIGTERM.
    Terminated,
}

/// A child as it is now.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct State {
    /// Its process id while it runs.
    pub(crate) pid: Option<u32>,
    /// How often it has been started.
    pub(crate) starts: u32,
}

/// The children of this process.
#[derive(Debug, Default)]
pub(crate) struct Supervisor {
    children: HashMap<&'static str, Kept>,
}

#[derive(Debug)]
struct Kept {
    ending: Ending,
    state: watch::Receiver<State>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Supervisor {
    /// Starts `program` and keeps it running.
    pub(crate) fn keep(&mut self, program: Program, log: Log) {
        let (sender, state) = watch::channel(State::default());
        let stop = CancellationToken::new();
        let (name, ending) = (program.name, program.ending);
        let task = tokio::spawn(run(program, log, sender, stop.clone()));
        self.children.insert(
            name,
            Kept {
                ending,
                state,
                stop,
                task,
            },
        );
    }

    /// How a child is now.
    pub(crate) fn state(&self, name: &str) -> State {
        self.children
            .get(name)
            .map(|child| *child.state.borrow())
            .unwrap_or_default()
    }

    /// Kills a child with SIGKILL, as a crash would; it is started again. Answers with the dead process's id.
    pub(crate) fn kill(&self, name: &str) -> Option<u32> {
        let number = self.state(name).pid?;
        kill_process(Pid::from_raw(i32::try_from(number).ok()?)?, Signal::KILL).ok()?;
        Some(number)
    }

    /// Ends all children: first our services, which still need the broker to drain, then everything else. Takes
    /// ten seconds at most; whoever is not done by then is killed.
    pub(crate) async fn stop(&mut self) {
        for ending in [Ending::ClosedInput, Ending::Terminated] {
            let (now, later) = std::mem::take(&mut self.children)
                .into_iter()
                .partition(|(_, child)| child.ending == ending);
            self.children = later;
            let now: HashMap<_, Kept> = now;
            now.values().for_each(|child| child.stop.cancel());
            for (_, child) in now {
                let _ = child.task.await;
            }
        }
    }
}

async fn run(program: Program, log: Log, state: watch::Sender<State>, stop: CancellationToken) {
    let mut pause = FIRST_PAUSE;
    while !stop.is_cancelled() {
        let started = Instant::now();
        let ended = match Running::spawn(&program, &log) {
            Ok(mut running) => {
                state.send_modify(|state| {
                    *state = State {
                        pid: running.child.id(),
                        starts: state.starts + 1,
                    }
                });
                tokio::select! {
                    ended = running.child.wait() => {
                        // First: its process id is free, and nobody may signal it any more.
                        state.send_modify(|state| state.pid = None);
                        running.last_lines().await;
                        describe(ended)
                    }
                    () = stop.cancelled() => return running.end(program.ending, &log).await,
                }
            }
            Err(error) => format!("cannot be started: {error}"),
        };
        if started.elapsed() > HEALTHY_AFTER {
            pause = FIRST_PAUSE;
        }
        log.notice(
            Level::Warn,
            format!("{ended}; starting again in {} ms", pause.as_millis()),
        );
        let _ = timeout(pause, stop.cancelled()).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

struct Running {
    child: Child,
    input: Option<ChildStdin>, // kept out of `child`, whose `wait` would close it
    copies: JoinSet<()>,
}

impl Running {
    fn spawn(program: &Program, log: &Log) -> io::Result<Self> {
        let mut command = Command::new(&program.binary);
        command
            .args(&program.arguments)
            .envs(program.environment.iter().map(|(key, value)| (key, value)))
            .stdin(if program.ending == Ending::ClosedInput {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A group of its own: Ctrl-C at the terminal reaches this process only, which then ends its children
            // in order.
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command.spawn()?;
        if let (Some(file), Some(pid)) = (&program.pid_file, child.id()) {
            fs::write(file, pid.to_string())?;
        }
        let mut copies = JoinSet::new();
        if let Some(output) = child.stdout.take() {
            copies.spawn(log.clone().copy(output));
        }
        if let Some(errors) = child.stderr.take() {
            copies.spawn(log.clone().copy(errors));
        }
        Ok(Self {
            input: child.stdin.take(),
            child,
            copies,
        })
    }

    async fn end(mut self, ending: Ending, log: &Log) {
        let patience = match ending {
            Ending::ClosedInput => {
                drop(self.input.take());
                Duration::from_secs(9)
            }
            Ending::Terminated => {
                let pid = self
                    .child
                    .id()
                    .and_then(|pid| i32::try_from(pid).ok())
                    .and_then(Pid::from_raw);
                // An error means that it has ended already.
                let _ = pid.map(|pid| kill_process(pid, Signal::TERM));
                Duration::from_millis(800)
            }
        };
        if timeout(patience, self.child.wait()).await.is_err() {
            log.notice(
                Level::Warn,
                format!(
                    "did not end within {} ms and is killed",
                    patience.as_millis()
                ),
            );
            let _ = self.child.kill().await;
        }
        self.last_lines().await;
    }

    /// Waits for what it wrote last to be copied; a grandchild may keep the pipe open, hence the limit.
    async fn last_lines(&mut self) {
        let copied = async { while self.copies.join_next().await.is_some() {} };
        let _ = timeout(Duration::from_millis(300), copied).await;
    }
}

fn describe(ended: io::Result<ExitStatus>) -> String {
    match ended {
        Ok(status) => format!("ended ({status})"),
        Err(error) => format!("cannot be waited for: {error}"),
    }
}
