//! Hostile and friendly together: people sign up at an even rate, first by themselves, then while
//! one hostile client attacks each listener with everything at once. Nobody who is friendly may
//! notice.
//!
//! In reading order: `attack` lists the kinds, one file each: `silent`, `streams`, `windows`,
//! `watches`, `bodies`, `resets`, `headers`, `bombs`. A `front` is where one of them meets one
//! `listener`; `fill` and `frames` are the two ways to speak HTTP/2 there, by the rules and without,
//! and a `tally` counts. `client` runs them all against one listener; `friends` ask meanwhile,
//! what was `taken` of the machine is looked at, and `report` tells.

pub mod attack;
mod bodies;
mod bombs;
pub(crate) mod client;
mod fill;
mod frames;
pub mod friends;
mod front;
mod headers;
mod listener;
pub mod report;
mod resets;
mod silent;
mod streams;
pub mod tally;
mod watches;
mod windows;

use std::{
    cell::OnceCell,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use futures::future::{join_all, try_join_all};
use tokio::time::{interval, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::{
    check::{Check, Typed, Verdict},
    load::{Answer, Asked, Load},
    mails::Mails,
    people::People,
    place::SERVICES,
    sink::{Moods, Sink},
    system::System,
    taken,
    target::{RunFile, Target},
    terminal::{tell, unless_interrupted},
};
use attack::Attack;
use client::{Client, Done};
use friends::Questions;
use listener::Listener;
use report::{Bounds, Row, Service, Siege, SignUps};

/// The first sign-ups find everything cold, and are nobody's measure.
const WARM_UP: Duration = Duration::from_secs(5);
/// What the check waits for when nothing gets better.
const PATIENCE: Duration = Duration::from_secs(60);
/// Codes that it tries at most.
const GUESSES: usize = 1_000;
/// Between two looks at their memory.
const LOOK: Duration = Duration::from_millis(250);

/// Everything that decides about such a run.
#[derive(Debug, Clone)]
pub struct Hostile {
    /// The command `usher`.
    pub usher: PathBuf,
    /// Sign-ups a second.
    pub rate: f64,
    /// Connections that they are spread over.
    pub connections: usize,
    /// Who signs up.
    pub people: People,
    /// How long they do before the attack.
    pub before: Duration,
    /// How long it lasts.
    pub lasting: Duration,
    /// What is done to each listener.
    pub attacks: Vec<Attack>,
    /// How many times as fast as usual.
    pub times: f64,
    /// What may not be exceeded.
    pub bounds: Bounds,
}

/// What was seen while it lasted.
struct Course {
    rows: Vec<Row>,
    hostile_cpu: Duration,
    services: Vec<Service>,
    begin: Instant,
    end: Instant,
}

impl Hostile {
    /// Does it; nothing is reported of what Ctrl-C ended.
    ///
    /// # Errors
    /// When the system cannot be started, ends by itself, or does not stop in order.
    pub async fn start(&self) -> anyhow::Result<Option<Siege>> {
        let moods = Moods {
            seed: self.people.seed,
            share: 0.0,
            list: Vec::new(),
        };
        let sink = Sink::listen(([127, 0, 0, 1], 0).into(), moods).await?;
        let mut system = System::up(&self.usher, &sink.url(), None, &[]).await?;
        let mails = Mails::Sink(sink);
        let measured = unless_interrupted(self.measure(&system, &mails)).await;
        let stopped = system.stop().await;
        let is_broken =
            !matches!(&measured, Ok(report) if report.as_ref().is_none_or(Siege::is_passed));
        if stopped.is_err() || is_broken {
            tell(&format!("kept: {}", system.keep().display()));
        }
        let report = measured?;
        stopped?;
        Ok(report)
    }

    async fn measure(&self, system: &System, mails: &Mails) -> anyhow::Result<Siege> {
        let run = RunFile::read(&system.data())?;
        let target = system.target();
        let load = Load {
            rate: self.rate,
            lasting: WARM_UP + self.before + self.lasting,
            connections: self.connections,
            repeating: Duration::ZERO,
        };
        let start = Instant::now();
        let account_id = OnceCell::new();
        let to_the_end = CancellationToken::new();
        let load = load.run(&target.accounts_urls, &self.people, &to_the_end, |asked| {
            if let Answer::Acknowledged { account_id: id, .. } = &asked.answer {
                let _ = account_id.set(id.clone()); // the first is as good as any
            }
        });
        let attack = async {
            sleep_until((start + WARM_UP + self.before).into()).await;
            let account_id = account_id.get().context("Nobody could sign up.")?;
            self.attack(system, &listeners(&run, account_id)?).await
        };
        let (asked, seen) = tokio::join!(load, attack);
        let (asked, seen) = (asked?, seen?);
        let verdict = self.check(target, &asked, mails).await?;
        Ok(Siege {
            sign_ups: sign_ups(&asked, start, &seen),
            rows: seen.rows,
            services: seen.services,
            hostile_cpu: seen.hostile_cpu,
            lasting: self.lasting,
            bounds: self.bounds,
            verdict,
        })
    }

    async fn attack(&self, system: &System, listeners: &[Listener]) -> anyhow::Result<Course> {
        let processes = SERVICES.map(|service| system.process_of(service));
        let quiet = SERVICES.map(|service| taken::by_service(system, service));
        let begin = Instant::now();
        let mut clients = Vec::new();
        for listener in listeners {
            let client = Client {
                listener: listener.clone(),
                attacks: self.attacks.clone(),
                times: self.times,
                lasting: self.lasting,
            };
            clients.push(client.start().await?);
        }
        let over = CancellationToken::new();
        let peaks = peaks(system, processes, &over);
        let ending = async {
            let done = try_join_all(clients.into_iter().map(Client::done)).await;
            over.cancel();
            done
        };
        let friends = friends(system.target(), listeners, &over);
        let (friends, peaks, done) = tokio::join!(friends, peaks, ending);
        let (end, done) = (Instant::now(), done?);
        let mut services = Vec::new();
        let each = SERVICES.into_iter().zip(quiet).zip(processes);
        for (((service, quiet), process), ((probes, operators), peak)) in
            each.zip(friends.into_iter().zip(peaks))
        {
            let (quiet, now) = (quiet?, taken::by_service(system, service)?);
            services.push(Service {
                name: service.name(),
                quiet: quiet.memory,
                peak: peak.max(now.memory),
                cpu: now.cpu.saturating_sub(quiet.cpu),
                is_the_same: system.process_of(service) == process,
                probes,
                operators,
            });
        }
        Ok(Course {
            rows: rows(listeners, &done),
            hostile_cpu: done.iter().map(|done| done.cpu).sum(),
            services,
            begin,
            end,
        })
    }

    async fn check(
        &self,
        target: &Target,
        asked: &[Asked],
        mails: &Mails,
    ) -> anyhow::Result<Verdict> {
        let check = Check {
            target,
            people: &self.people,
            whole: true,
            faultless: true,
            forgetful: false,
            patience: PATIENCE,
            limit: PATIENCE,
            guesses: GUESSES,
            typed: &Typed::new(),
        };
        check.run(asked, mails).await
    }
}

/// What they asked of each service.
async fn friends(
    target: &Target,
    listeners: &[Listener],
    over: &CancellationToken,
) -> Vec<(Questions, Questions)> {
    let (each, _) = listeners.as_chunks();
    let each = each
        .iter()
        .map(|[public, admin]| friends::ask(target, public, admin, over));
    join_all(each).await
}

/// The most memory that each service had.
async fn peaks(
    system: &System,
    mut processes: [Option<u32>; 3],
    over: &CancellationToken,
) -> [u64; 3] {
    let mut peaks = [0; 3];
    let mut ticks = interval(LOOK);
    while over.run_until_cancelled(ticks.tick()).await.is_some() {
        for ((peak, process), service) in peaks.iter_mut().zip(&mut processes).zip(SERVICES) {
            match process.and_then(|process| taken::by(process).ok()) {
                Some(taken) => *peak = taken.memory.max(*peak),
                // Of one that does not run it is told that it was started again. Only then is it
                // looked for: that reads what every process of the machine is.
                None => *process = system.process_of(service),
            }
        }
    }
    peaks
}

/// Of each service the public one, then the operators'.
fn listeners(run: &RunFile, account_id: &str) -> anyhow::Result<Vec<Listener>> {
    let mut listeners = Vec::new();
    for service in SERVICES {
        for (is_admin, url) in run.listeners(service).into_iter().enumerate() {
            let addr = url.trim_start_matches("http://");
            listeners.push(Listener {
                service,
                is_admin: is_admin == 1,
                addr: addr
                    .parse()
                    .with_context(|| format!("{url} is no address"))?,
                account_id: account_id.to_owned(),
            });
        }
    }
    Ok(listeners)
}

fn rows(listeners: &[Listener], done: &[Done]) -> Vec<Row> {
    let each = listeners.iter().zip(done).flat_map(|(listener, done)| {
        let row = |(attack, deeds): &(Attack, tally::Deeds)| Row {
            listener: listener.name(),
            attack: *attack,
            deeds: deeds.clone(),
        };
        done.deeds.iter().map(row)
    });
    each.collect()
}

fn sign_ups(asked: &[Asked], start: Instant, seen: &Course) -> [SignUps; 2] {
    let due = |from: Instant, until: Instant| {
        asked
            .iter()
            .filter(move |one| (from..until).contains(&one.due))
    };
    [
        SignUps::of(due(start + WARM_UP, seen.begin)),
        SignUps::of(due(seen.begin, seen.end)),
    ]
}
