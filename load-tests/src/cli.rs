//! The command line: `load` measures, `soak` breaks while it measures, and both become a `Run`;
//! `hostile` attacks, `compare` kills, `growth` compares.

mod burst;
mod compare;
mod elsewhere;
mod growth;
mod hostile;
mod values;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::ensure;
use clap::{Args, Parser, Subcommand, ValueEnum};

use self::{
    burst::BurstArguments,
    compare::CompareArguments,
    elsewhere::ElsewhereArguments,
    growth::GrowthArguments,
    hostile::HostileArguments,
    values::{above_0, own, share},
};
use crate::{
    dispatcher::Dispatcher,
    faults::{Kind, Plan},
    load::Load,
    people::People,
    place::{Ground, Place},
    run::{Run, Subject},
    sink::{Mood, Moods},
    typing::Typing,
};

/// Puts a system under load, breaks what it stands on, and checks that nobody was lost
///
/// Every run but growth and burst, which count the mails, ends with the conservation check: each
/// acknowledged account has one code and its mail, the code in the mail confirms it, and nobody got
/// anything that nobody asked for.
#[derive(Debug, Parser)]
#[command(
    name = "load-tests",
    max_term_width = 110,
    after_help = "Exit codes:
  0  everything is conserved
  1  something was lost, invented or doubled without a reason, or the run could not be made
  2  the command line was not understood
  3  too few samples: the run shows nothing"
)]
pub(crate) struct Cli {
    /// What the report looks like
    #[arg(long, global = true, value_enum, default_value_t = Format::Table)]
    pub(crate) output: Format,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Table,
    /// One JSON object, for programs
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Measure latencies under open-loop load, without faults
    ///
    /// Without --data or --mailbox-url a system of its own is started in a temporary folder, with
    /// the sink as its mail server.
    #[command(after_help = "Examples:
  load-tests load --rate 500 --seconds 30
  load-tests load --rate 50 --moods delay,slow --mood-share 0.5     # a mail server that takes its time

  USHER_MAIL_URL=smtp://127.0.0.1:2525 usher up                     # a system that runs already
  load-tests load --data data --sink 127.0.0.1:2525

A system that others run, as on a cluster, is reached by its addresses, and its mails are read in its mailbox:
  load-tests load --rate 20 --repeat-for 5s --accounts-url http://10.0.0.1:30051 \\
    --accounts-admin-url http://10.0.0.1:30151 --verification-url http://10.0.0.1:30052 \\
    --mailer-admin-url http://10.0.0.1:30153 --admin-token-file token --mailbox-url http://10.0.0.1:30025")]
    Load(LoadArguments),
    /// Break every part, connection and disk under load, then heal and check
    ///
    /// Starts a system of its own: each service, nats-server and Postgres as a process by itself,
    /// kept running as a process manager does, a proxy in each connection, a small disk under each
    /// store (only root can mount those; without, that is said and the rest is done). The plan of
    /// faults and the moods of the mail server follow from the seed: a seed that failed is run
    /// again. (When a fault meets a request is up to the machine, so run it more than once.)
    ///
    /// Of a run that failed the folder is kept, with databases and logs.
    #[command(after_help = "Examples:
  load-tests soak --seconds 300 --seed 7
  load-tests soak --database postgres                               # two replicas of each service
  load-tests soak --database up                                     # `usher up`, itself killed, too
  load-tests soak --places mailer --kinds kill --every 1s           # one place, one fault
  load-tests soak --kinds hole,swallow                              # the network alone
  load-tests soak --moods bare,latin                                # one kind of mail server
  load-tests soak --seconds 1800 --seed 7 --dry-run                 # the plan alone")]
    Soak(SoakArguments),
    /// Attack every listener while people sign up, and check that none of them notices
    ///
    /// Starts a system of its own and lets people sign up, first by themselves, then while one
    /// hostile client attacks each of the six listeners (each service's own and its operators') with
    /// everything at once: silent connections, streams without an end, answers that nobody takes,
    /// watches, slow bodies, rapid resets, 64 KiB of headers, and what inflates. Meanwhile probes
    /// and operators ask each service every second, over connections of their own.
    ///
    /// No sign-up, probe or admin call may fail, 99 of 100 sign-ups may take three times as long as
    /// without the attack, and no service may take more than 100 MiB. The table says what each attack
    /// did and how it was answered. Of a run that failed the folder is kept.
    #[command(after_help = "Examples:
  load-tests hostile                                                # a minute without, a minute with
  load-tests hostile --attacks silent,watches --seconds 20          # two kinds alone
  load-tests hostile --times 5                                      # five times as fast: what gives way?
  load-tests hostile --output json                                  # for programs

All of it stays on 127.0.0.1. A service's limits are settings: docs/settings.md names them.")]
    Hostile(HostileArguments),
    Compare(CompareArguments),
    Growth(GrowthArguments),
    Burst(BurstArguments),
    /// Be one hostile client, as standard input says (`hostile` starts these)
    #[command(hide = true)]
    Attack,
}

/// What both have.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// For how long people sign up
    #[arg(long, default_value_t = 60.0)]
    seconds: f64,
    /// Decides everything that is left to chance
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Connections that sign-ups are spread over
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// Which part of first attempts meets a mood of the mail server, 0 to 1
    #[arg(long, default_value_t = 0.2, value_name = "PART", value_parser = share)]
    mood_share: f64,
    /// Which part of the mailboxes does not exist, 0 to 1: 550 5.1.1 for good
    #[arg(long, default_value_t = 0.01, value_name = "PART", value_parser = share)]
    gone: f64,
    /// Acknowledged sign-ups without which the run is no pass [default: half of all]
    #[arg(long, value_name = "NUMBER")]
    at_least: Option<usize>,
    /// Codes from mails that are tried at most
    #[arg(long, default_value_t = 10_000, value_name = "NUMBER")]
    guesses: usize,
    /// How long nothing may get better after the faults while something is owed
    #[arg(long, default_value = "60s", value_name = "DURATION", value_parser = humantime::parse_duration)]
    patience: Duration,
    /// How long a mail that is tried again later is waited for
    #[arg(long, default_value = "5m", value_name = "DURATION", value_parser = humantime::parse_duration)]
    limit: Duration,
    /// The command usher to start [default: this program, which is usher, too]
    #[arg(long, env = "USHER_BINARY", value_name = "FILE")]
    usher: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct LoadArguments {
    /// Sign-ups a second
    #[arg(long, default_value_t = 100.0, value_parser = above_0)]
    rate: f64,
    /// How the mail server behaves meanwhile; nothing: it accepts everything at once
    #[arg(long, value_enum, value_delimiter = ',')]
    moods: Vec<Mood>,
    /// Data folder of an `usher up` that runs already
    #[arg(long, value_name = "DIR", requires = "sink")]
    data: Option<PathBuf>,
    /// Where that one sends its mails: the sink listens there
    #[arg(long, value_name = "ADDRESS", requires = "data")]
    sink: Option<SocketAddr>,
    /// For how long a sign-up that was not answered is repeated, under one idempotency key [default: not]
    #[arg(long, default_value = "0s", hide_default_value = true, value_name = "DURATION", value_parser = humantime::parse_duration)]
    repeat_for: Duration,
    /// Let each line of standard input begin a phase of that name, and its end end the load
    #[arg(long)]
    phases: bool,
    #[command(flatten)]
    elsewhere: ElsewhereArguments,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
pub(crate) struct SoakArguments {
    /// Sign-ups a second
    #[arg(long, default_value_t = 30.0, value_parser = above_0)]
    rate: f64,
    /// How the mail server behaves meanwhile [default: all of these]
    #[arg(long, value_enum, value_delimiter = ',')]
    moods: Option<Vec<Mood>>,
    /// What the system stands on
    #[arg(long, value_enum, default_value_t = Ground::Sqlite)]
    database: Ground,
    /// What befalls it [default: all of these]
    #[arg(long, value_enum, value_delimiter = ',')]
    kinds: Option<Vec<Kind>>,
    /// Where [default: all of these that the system has]
    #[arg(long, value_enum, value_delimiter = ',')]
    places: Option<Vec<Place>>,
    /// Which part of the people types the code of its mail at once, 0 to 1
    #[arg(long, default_value_t = 0.5, value_name = "PART", value_parser = share)]
    confirm: f64,
    /// Print the plan of faults and leave
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Between two faults, on average
    #[arg(long, default_value = "2s", value_name = "DURATION", value_parser = humantime::parse_duration)]
    every: Duration,
    #[command(flatten)]
    common: Common,
}

impl LoadArguments {
    pub(crate) fn run(self) -> anyhow::Result<Run> {
        let subject = match (self.data, self.sink, self.elsewhere.given()) {
            (_, _, Some(elsewhere)) => Subject::Elsewhere(elsewhere),
            (Some(data), Some(sink), None) => Subject::Running { data, sink },
            _ => self.common.own(Ground::Up)?,
        };
        // A system that runs already knows the people of earlier runs.
        let tag = match subject {
            Subject::Own { .. } => "load".to_owned(),
            Subject::Running { .. } | Subject::Elsewhere(_) => {
                let bytes: [u8; 8] = kit::random::bytes();
                format!("load{:016x}", u64::from_le_bytes(bytes))
            }
        };
        let plan = Plan(Vec::new());
        let mut run = self
            .common
            .run(subject, tag, self.rate, self.moods, plan, 0.0);
        run.load.repeating = self.repeat_for;
        run.phased = self.phases;
        if matches!(run.subject, Subject::Elsewhere(_)) {
            run.people.gone = 0.0; // a mailbox refuses nobody
        }
        Ok(run)
    }
}

impl SoakArguments {
    pub(crate) fn run(self) -> anyhow::Result<Run> {
        let all = |moods: Option<_>| moods.unwrap_or_else(|| Mood::value_variants().to_vec());
        let kinds = self
            .kinds
            .unwrap_or_else(|| Kind::value_variants().to_vec());
        let ground = self.database;
        let places = self.places.unwrap_or_else(|| ground.places());
        let spots = ground.spots(&places);
        ensure!(
            !spots.is_empty(),
            "No system of this kind has one of these places."
        );
        let common = self.common;
        let plan = Plan::draw(common.seed, common.lasting(), self.every, &kinds, &spots);
        let (subject, tag) = (common.own(ground)?, "soak".to_owned());
        Ok(common.run(subject, tag, self.rate, all(self.moods), plan, self.confirm))
    }
}

impl Common {
    fn own(&self, ground: Ground) -> anyhow::Result<Subject> {
        let usher = own(self.usher.as_deref())?;
        Ok(Subject::Own {
            usher,
            ground,
            dispatcher: Dispatcher::Jetstream,
        })
    }

    fn lasting(&self) -> Duration {
        Duration::from_secs_f64(self.seconds.max(0.0))
    }

    fn run(
        self,
        subject: Subject,
        tag: String,
        rate: f64,
        moods: Vec<Mood>,
        plan: Plan,
        share: f64,
    ) -> Run {
        let load = Load {
            rate,
            lasting: self.lasting(),
            connections: self.connections,
            repeating: Duration::ZERO,
        };
        let half = usize::try_from(load.requests() / 2).unwrap_or(usize::MAX);
        Run {
            subject,
            load,
            people: People {
                seed: self.seed,
                tag,
                gone: self.gone,
                scattered: false,
            },
            plan,
            phased: false,
            moods: Moods {
                seed: self.seed,
                share: self.mood_share,
                list: moods,
            },
            typing: Typing {
                seed: self.seed,
                share,
            },
            at_least: self.at_least.unwrap_or(half).max(1),
            guesses: self.guesses,
            patience: self.patience,
            limit: self.limit,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_seed_makes_the_same_run_and_a_failing_one_replays() {
        let run = || {
            let cli = Cli::parse_from(["load-tests", "soak", "--seed", "7", "--usher", "usher"]);
            match cli.command {
                Command::Soak(arguments) => arguments.run().unwrap(),
                _ => unreachable!("it says soak"),
            }
        };
        assert_eq!(format!("{:?}", run()), format!("{:?}", run()));
    }
}
