//! One process that is kept running, as a process manager does: whatever ends it, it is started
//! again.

use std::{
    ffi::OsString,
    fs::File,
    io::Write as _,
    path::PathBuf,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use kit::testing::{processes, signal};
use rustix::process::Signal;
use tokio::{
    process::{Child, Command},
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// Before it is started again; doubled while it ends by itself and does not last.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
const LASTS: Duration = Duration::from_secs(5);
/// Whoever was asked to end and has not by then is killed, as orchestrators do.
const GRACE: Duration = Duration::from_secs(30);
/// The same at the end of a run, when nothing stands in the way of a stop.
const LAST_GRACE: Duration = Duration::from_secs(15);

/// What to run.
#[derive(Debug)]
pub(super) struct Program {
    /// Command line.
    pub(super) line: Vec<OsString>,
    /// All that it has.
    pub(super) environment: Vec<(String, String)>,
    /// Where its output is kept, and what became of it.
    pub(super) log: PathBuf,
    /// By which it is asked to end.
    pub(super) asked_by: Signal,
    /// Whether its children are its own, so that they crash and stand still with it.
    pub(super) is_one_with_its_children: bool,
}

/// A process that is kept running; killed on drop.
#[derive(Debug)]
pub(super) struct Unit {
    asked_by: Signal,
    is_one_with_its_children: bool,
    facts: Arc<Facts>,
    process: watch::Receiver<Option<u32>>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// What the keeper and whoever signals the process tell each other.
#[derive(Debug, Default)]
struct Facts {
    /// Whether the end of the process that runs now is somebody's wish.
    doomed: AtomicBool,
    ended_by_itself: AtomicU64,
    overstayed: AtomicU64,
    /// In milliseconds.
    slowest_stop: AtomicU64,
}

impl Unit {
    pub(super) fn start(program: Program) -> Self {
        let (facts, stop) = (Arc::<Facts>::default(), CancellationToken::new());
        let (sender, process) = watch::channel(None);
        let (asked_by, is_one) = (program.asked_by, program.is_one_with_its_children);
        let kept = keep_running(program, Arc::clone(&facts), sender, stop.clone());
        Self {
            asked_by,
            is_one_with_its_children: is_one,
            facts,
            process,
            stop,
            task: tokio::spawn(kept),
        }
    }

    /// Its process id, while it runs.
    pub(super) fn process(&self) -> Option<u32> {
        *self.process.borrow()
    }

    /// Signals it, and its children if a server of several processes is what crashes.
    pub(super) fn signal(&self, what: Signal) -> bool {
        let Some(process) = self.process() else {
            return false;
        };
        if what == Signal::KILL {
            self.facts.doomed.store(true, Ordering::Relaxed);
        }
        let mut children = processes();
        children.retain(|one| one.parent == process && self.is_one_with_its_children);
        let taken = signal(process, what);
        for child in children {
            signal(child.id, what);
        }
        taken
    }

    /// Asks it to end, alone: its children are its own to end.
    pub(super) fn ask_to_end(&self) -> bool {
        let Some(process) = self.process() else {
            return false;
        };
        self.facts.doomed.store(true, Ordering::Relaxed);
        let taken = signal(process, self.asked_by);
        let (mut running, facts) = (self.process.clone(), Arc::clone(&self.facts));
        let asked = Instant::now();
        tokio::spawn(async move {
            let ended = running.wait_for(|now| *now != Some(process));
            if timeout(GRACE, ended).await.is_err() && signal(process, Signal::KILL) {
                facts.overstayed.fetch_add(1, Ordering::Relaxed);
            }
            let took = u64::try_from(asked.elapsed().as_millis()).unwrap_or(u64::MAX);
            facts.slowest_stop.fetch_max(took, Ordering::Relaxed);
        });
        taken
    }

    /// How often it ended without anybody's wish.
    pub(super) fn ended_by_itself(&self) -> u64 {
        self.facts.ended_by_itself.load(Ordering::Relaxed)
    }

    /// How often it had to be killed half a minute after it was asked to end.
    pub(super) fn overstayed(&self) -> u64 {
        self.facts.overstayed.load(Ordering::Relaxed)
    }

    /// The longest time from when it was asked to end, in the middle of a run, to its end.
    pub(super) fn slowest_stop(&self) -> Duration {
        Duration::from_millis(self.facts.slowest_stop.load(Ordering::Relaxed))
    }

    /// Ends it for good, and answers whether it did so when asked.
    pub(super) async fn stop(&mut self) -> bool {
        self.signal(Signal::CONT);
        self.stop.cancel();
        let ended = (&mut self.task).await;
        ended.is_ok() && self.overstayed() == 0
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        self.signal(Signal::CONT);
        self.task.abort();
    }
}

async fn keep_running(
    program: Program,
    facts: Arc<Facts>,
    process: watch::Sender<Option<u32>>,
    stop: CancellationToken,
) {
    let mut pause = FIRST_PAUSE;
    while !stop.is_cancelled() {
        let started = Instant::now();
        let (what, is_wish) = match program.spawn() {
            Ok(mut child) => {
                // Taken apart: to wait for the child would close it, which tells our services to
                // end.
                let _input = child.stdin.take();
                facts.doomed.store(false, Ordering::Relaxed);
                process.send_replace(child.id());
                tokio::select! {
                    ended = child.wait() => {
                        process.send_replace(None);
                        let is_wish = facts.doomed.load(Ordering::Relaxed);
                        facts.ended_by_itself.fetch_add(u64::from(!is_wish), Ordering::Relaxed);
                        let whose = if is_wish { "as was wished" } else { "by itself" };
                        let how = ended.map_or_else(|error| error.to_string(), |status| format!("ended {whose} ({status})"));
                        (how, is_wish)
                    }
                    () = stop.cancelled() => return program.end(child, &facts).await,
                }
            }
            Err(error) => (format!("cannot be started: {error}"), false),
        };
        // Whoever was killed did not fail, and need not prove that it lasts.
        if is_wish || started.elapsed() > LASTS {
            pause = FIRST_PAUSE;
        }
        program.note(&format!("{what}; started again in {pause:?}"));
        tokio::select! {
            () = sleep(pause) => {}
            () = stop.cancelled() => {}
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

impl Program {
    fn spawn(&self) -> std::io::Result<Child> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        let mut command = Command::new(&self.line[0]);
        command
            .args(&self.line[1..])
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            // A group of its own: Ctrl-C reaches this process, which then ends it in order.
            .process_group(0)
            .kill_on_drop(true);
        command.spawn()
    }

    async fn end(&self, mut child: Child, facts: &Facts) {
        if let Some(process) = child.id() {
            signal(process, self.asked_by);
        }
        if timeout(LAST_GRACE, child.wait()).await.is_err() {
            facts.overstayed.fetch_add(1, Ordering::Relaxed);
            self.note(&format!("did not end in {LAST_GRACE:?} and is killed"));
            let _ = child.kill().await;
        }
    }

    /// A line of ours between its own.
    fn note(&self, what: &str) {
        let log = File::options().create(true).append(true).open(&self.log);
        // Only for whoever reads the log later.
        let _ = log.and_then(|mut log| writeln!(log, "--- {what}"));
    }
}
