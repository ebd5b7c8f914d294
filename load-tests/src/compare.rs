//! What each dispatcher loses when a service is killed: a run for each, before a mail server that
//! accepts everything, with kills alone. What came of them goes to `table`.

mod table;

use std::{fmt, path::PathBuf, time::Duration};

use futures::FutureExt as _;
use tokio::signal::unix::{SignalKind, signal};

pub use self::table::{Comparison, KilledRun};
use crate::{
    dispatcher::Dispatcher,
    faults::Plan,
    load::Load,
    people::People,
    place::{Ground, Place},
    run::{Run, Subject},
    sink::Moods,
    terminal::tell,
    typing::Typing,
};

/// Whom a crash may cost the news of an account: who has it, and who is told.
const KILLED: [Place; 2] = [Place::Accounts, Place::Verification];
/// How long a mail that is tried again later is waited for.
const LIMIT: Duration = Duration::from_secs(60);
/// Codes that it tries at most.
const GUESSES: usize = 1_000;

/// Everything that decides about a comparison.
#[derive(Debug, Clone)]
pub struct Compare {
    /// The command `usher`.
    pub usher: PathBuf,
    /// How many sign up, and when.
    pub load: Load,
    /// Who signs up; the seed draws the kills, too.
    pub people: People,
    /// How often a service is killed.
    pub kills: u32,
    /// Which ones are compared.
    pub dispatchers: Vec<Dispatcher>,
    /// How long nothing may get better while something is owed.
    pub patience: Duration,
}

impl Compare {
    /// Does it; nothing is reported of what Ctrl-C ended.
    ///
    /// # Errors
    /// When a system cannot be started, does not answer after the healing, or does not stop in
    /// order.
    pub async fn start(&self) -> anyhow::Result<Option<Comparison>> {
        let mut interrupted = signal(SignalKind::interrupt())?;
        let mut rows = Vec::new();
        let all = self.dispatchers.len() * KILLED.len();
        for dispatcher in &self.dispatchers {
            for killed in KILLED {
                let (nth, name) = (rows.len() + 1, dispatcher.name());
                tell(&format!("{nth}/{all}: {name}, {} is killed", killed.name()));
                let run = self.run(*dispatcher, killed);
                let report = run.start().await?;
                // A run does not hear it while it stops its system.
                let is_interrupted = interrupted.recv().now_or_never().is_some();
                let Some(report) = report.filter(|_| !is_interrupted) else {
                    return Ok(None);
                };
                rows.push(KilledRun {
                    dispatcher: *dispatcher,
                    killed,
                    report,
                });
            }
        }
        Ok(Some(Comparison(rows)))
    }

    fn run(&self, dispatcher: Dispatcher, killed: Place) -> Run {
        let seed = self.people.seed;
        // Whoever signs up while accounts is away has no answer.
        let at_least = usize::try_from(self.load.requests() / 4).unwrap_or(usize::MAX);
        Run {
            subject: Subject::Own {
                usher: self.usher.clone(),
                ground: Ground::Sqlite,
                dispatcher,
            },
            load: self.load,
            people: self.people.clone(),
            plan: self.plan(killed),
            phased: false,
            moods: Moods {
                seed,
                share: 0.0,
                list: Vec::new(),
            },
            typing: Typing { seed, share: 0.0 },
            at_least: at_least.max(1),
            guesses: GUESSES,
            patience: self.patience,
            limit: LIMIT,
        }
    }

    fn plan(&self, killed: Place) -> Plan {
        Plan::kills(self.people.seed, killed, self.kills, self.load.lasting)
    }
}

/// What is going to be done.
impl fmt::Display for Compare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.dispatchers.iter().map(|one| one.name()).collect();
        let (names, rate) = (names.join(", "), self.load.rate);
        let (seconds, seed) = (self.load.lasting.as_secs_f64(), self.people.seed);
        writeln!(
            f,
            "{names}: {rate} sign-ups a second for {seconds} s each time, seed {seed}"
        )?;
        for killed in KILLED {
            let Plan(kills) = self.plan(killed);
            let at: Vec<_> = kills
                .iter()
                .map(|kill| format!("{:.1}", kill.at.as_secs_f64()))
                .collect();
            writeln!(f, "{} is killed at {} s", killed.name(), at.join(", "))?;
        }
        Ok(())
    }
}
