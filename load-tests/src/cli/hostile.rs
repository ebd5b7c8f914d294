//! What `hostile` is told.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum as _};

use super::values::{above_0, own};
use crate::{
    hostile::{Hostile, attack::Attack, report::Bounds},
    people::People,
};

#[derive(Debug, Args)]
pub(crate) struct HostileArguments {
    /// Sign-ups a second
    #[arg(long, default_value_t = 50.0, value_parser = above_0)]
    rate: f64,
    /// For how long they are attacked
    #[arg(long, default_value_t = 60.0, value_parser = above_0)]
    seconds: f64,
    /// For how long people sign up undisturbed before
    #[arg(long, default_value = "60s", value_name = "DURATION", value_parser = humantime::parse_duration)]
    before: Duration,
    /// What is done to each listener [default: all of these]
    #[arg(long, value_enum, value_delimiter = ',')]
    attacks: Option<Vec<Attack>>,
    /// How many times as fast as usual the attacks are
    #[arg(long, default_value_t = 1.0, value_name = "NUMBER", value_parser = above_0)]
    times: f64,
    /// MiB that a service may take at most
    #[arg(long, default_value_t = 100, value_name = "MIB")]
    memory: u64,
    /// How many times as long as before 99 of 100 sign-ups may take
    #[arg(long, default_value_t = 3.0, value_name = "NUMBER", value_parser = above_0)]
    ratio: f64,
    /// Decides who signs up
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Connections that sign-ups are spread over
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// The command usher to start [default: this program, which is usher, too]
    #[arg(long, env = "USHER_BINARY", value_name = "FILE")]
    usher: Option<PathBuf>,
}

impl HostileArguments {
    pub(crate) fn run(self) -> anyhow::Result<Hostile> {
        let all = || Attack::value_variants().to_vec();
        Ok(Hostile {
            usher: own(self.usher.as_deref())?,
            rate: self.rate,
            connections: self.connections,
            people: People {
                seed: self.seed,
                tag: "hostile".to_owned(),
                gone: 0.0,
                scattered: false,
            },
            before: self.before,
            lasting: Duration::from_secs_f64(self.seconds),
            attacks: self.attacks.unwrap_or_else(all),
            times: self.times,
            bounds: Bounds {
                memory: self.memory,
                ratio: self.ratio,
            },
        })
    }
}
