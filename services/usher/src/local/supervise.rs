//! Keeps child processes running: starts them, starts them again with growing pauses when they die,
//! and ends them in order. `system` says which.

use std::{collections::HashMap, ffi::OsString, io, path::PathBuf, process::Stdio, time::Duration};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    process::{Child, ChildStdin, Command},
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    endings::{self, Endings},
    logs::{Level, Log},
};

/// Pause before the first restart; doubled for each further one, up to `LONGEST_PAUSE`.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A child that ran this long is healthy: its next death is a first one.
const HEALTHY_AFTER: Duration = Duration::from_secs(10);

/// How long a process that is to be started again may take to end after each signal.
const ENDED_WITHIN: Duration = Duration::from_secs(3);

/// What to run.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    /// In logs and in notices.
    pub(crate) name: &'static str,
    pub(crate) binary: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    /// What is set beside what this process has in its own; an empty value unsets.
    pub(crate) environment: Vec<(String, OsString)>,
    pub(crate) ending: Ending,
    /// Where its process id is written, for `orphan`: of a program that would outlive this process.
    pub(crate) pid_file: Option<PathBuf>,
}

/// How a child is asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Our services: their standard input closes. The same happens when this process is killed.
    ClosedInput,
    /// Other programs: SIGTERM.
    Terminated,
}

impl Ending {
    /// How long the child may take. Both together stay below the ten seconds in which everything
    /// has ended.
    const fn patience(self) -> Duration {
        match self {
            Self::ClosedInput => Duration::from_secs(9),
            Self::Terminated => Duration::from_millis(800),
        }
    }
}

/// A child as it is now.
#[derive(Debug, Clone, Default)]
pub(crate) struct ChildState {
    /// While it runs.
    pub(crate) pid: Option<u32>,
    /// How often it has been started.
    pub(crate) starts: u32,
    /// How it has ended of late.
    pub(crate) endings: Endings,
    /// At its first start it refused its settings, and is not started again: they are this
    /// process's own.
    pub(crate) refused: bool,
}

/// The children of this process.
#[derive(Debug, Default)]
pub(crate) struct Supervisor {
    children: HashMap<&'static str, Supervised>,
}

#[derive(Debug)]
struct Supervised {
    ending: Ending,
    state: watch::Receiver<ChildState>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Supervisor {
    /// Starts `program` and keeps it running.
    pub(crate) fn keep(&mut self, program: Program, log: Log) {
        let (sender, state) = watch::channel(ChildState::default());
        let stop = CancellationToken::new();
        let (name, ending) = (program.name, program.ending);
        let task = tokio::spawn(keep_running(program, log, sender, stop.clone()));
        let child = Supervised {
            ending,
            state,
            stop,
            task,
        };
        self.children.insert(name, child);
    }

    pub(crate) fn state(&self, name: &str) -> ChildState {
        match self.children.get(name) {
            Some(child) => child.state.borrow().clone(),
            None => ChildState::default(),
        }
    }

    /// A child, for whoever may have to end it.
    pub(crate) fn process(&self, name: &str) -> Option<Process> {
        let child = self.children.get(name)?;
        Some(Process(child.state.clone()))
    }

    /// Kills a child with SIGKILL, as a crash would; it is started again. Answers with the dead
    /// process's id.
    pub(crate) fn kill(&self, name: &str) -> Option<u32> {
        let number = self.state(name).pid?;
        kill_process(pid(number)?, Signal::KILL).ok()?;
        Some(number)
    }

    /// Ends all children. Takes ten seconds at most; whoever is not done by then is killed.
    pub(crate) async fn stop(&mut self) {
        // First our services, which still need the broker to drain, then everything else.
        for ending in [Ending::ClosedInput, Ending::Terminated] {
            let same = |_: &&str, child: &mut Supervised| child.ending == ending;
            let ending_now: Vec<_> = self.children.extract_if(same).collect();
            // All are asked before the first one is waited for: they share the time.
            for (_, child) in &ending_now {
                child.stop.cancel();
            }
            for (_, child) in ending_now {
                let _ = child.task.await;
            }
        }
    }
}

/// A child that may be ended, so that it is started again.
#[derive(Debug)]
pub(crate) struct Process(watch::Receiver<ChildState>);

impl Process {
    /// How often it has been started.
    pub(crate) fn starts(&self) -> u32 {
        self.0.borrow().starts
    }

    /// Ends the process that runs now: by SIGTERM, and by SIGKILL when it does not hear that.
    pub(crate) async fn end(&mut self) {
        let Some(number) = self.0.borrow_and_update().pid else {
            return; // it is being started again already
        };
        for by in [Signal::TERM, Signal::KILL] {
            // An error means that it has ended already.
            let _ = pid(number).map(|pid| kill_process(pid, by));
            let gone = self.0.wait_for(|state| state.pid != Some(number));
            if timeout(ENDED_WITHIN, gone).await.is_ok() {
                return;
            }
        }
    }
}

/// Starts the program again whenever it ends, until `stop`; then ends it.
async fn keep_running(
    program: Program,
    log: Log,
    state: watch::Sender<ChildState>,
    stop: CancellationToken,
) {
    let mut pause = FIRST_PAUSE;
    Endings::forget(log.folder(), program.name);
    while !stop.is_cancelled() {
        let started = Instant::now();
        log.words().begin();
        let (how, refused) = match Running::spawn(&program, &log) {
            Ok(mut running) => {
                state.send_modify(|state| {
                    state.pid = running.child.id();
                    state.starts += 1;
                });
                tokio::select! {
                    ended = running.child.wait() => {
                        // First of all: the system may give this process id to another program,
                        // which `kill` must not meet.
                        state.send_modify(|state| state.pid = None);
                        running.last_lines().await;
                        endings::read(&ended)
                    }
                    () = stop.cancelled() => return running.end(program.ending, &log).await,
                }
            }
            Err(error) => (format!("it cannot be started: {error}"), false),
        };
        let mut endings = state.borrow().endings.clone();
        endings.note(log.folder(), program.name, how, log.words().said());
        let told = endings.told();
        state.send_modify(|state| {
            state.endings = endings;
            state.refused = refused && state.starts == 1;
        });
        if state.borrow().refused {
            return stop.cancelled().await;
        }
        // A child that crashes at every start must not keep the machine busy; one that ran well and
        // died once should be back before anybody notices.
        if started.elapsed() > HEALTHY_AFTER {
            pause = FIRST_PAUSE;
        }
        let wait = pause.as_millis();
        log.notice(Level::Warn, format!("{told}; starting again in {wait} ms"));
        // A stop ends the pause, too.
        let _ = timeout(pause, stop.cancelled()).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// A process; killed when dropped.
struct Running {
    child: Child,
    /// Kept out of `child`, whose `wait` would close it.
    input: Option<ChildStdin>,
    copies: JoinSet<()>,
}

impl Running {
    fn spawn(program: &Program, log: &Log) -> io::Result<Self> {
        let input = match program.ending {
            Ending::ClosedInput => Stdio::piped(),
            Ending::Terminated => Stdio::null(),
        };
        let mut command = Command::new(&program.binary);
        for (key, value) in &program.environment {
            match value.is_empty() {
                true => command.env_remove(key),
                false => command.env(key, value),
            };
        }
        command
            .args(&program.arguments)
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A group of its own: Ctrl-C at the terminal reaches this process only, which then ends
            // its children in order.
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command.spawn()?;
        if let (Some(file), Some(pid)) = (&program.pid_file, child.id()) {
            // Who cannot be found later may not run: an error drops the child, which kills it.
            kit::files::replace(file, &pid.to_string())?;
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

    /// Asks the child to end, waits, and kills it when its time is over.
    async fn end(mut self, ending: Ending, log: &Log) {
        match ending {
            // Not SIGTERM: what ends a child in order is then the same that ends it when this
            // process is killed, and is tried every day.
            Ending::ClosedInput => drop(self.input.take()),
            Ending::Terminated => {
                if let Some(pid) = self.child.id().and_then(pid) {
                    // An error means that it has ended already.
                    let _ = kill_process(pid, Signal::TERM);
                }
            }
        }
        let patience = ending.patience();
        if timeout(patience, self.child.wait()).await.is_err() {
            let limit = patience.as_millis();
            let notice = format!("did not end within {limit} ms and is killed");
            log.notice(Level::Warn, notice);
            let _ = self.child.kill().await;
        }
        self.last_lines().await;
    }

    /// Waits for what it wrote last to be copied.
    async fn last_lines(&mut self) {
        let copied = async { while self.copies.join_next().await.is_some() {} };
        // A grandchild may keep the pipe open, hence the limit.
        let _ = timeout(Duration::from_millis(300), copied).await;
    }
}

fn pid(number: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(number).ok()?)
}
