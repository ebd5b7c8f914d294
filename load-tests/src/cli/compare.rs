//! What `compare` is told.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum as _};

use super::values::{above_0, own};
use crate::{compare::Compare, dispatcher::Dispatcher, load::Load, people::People};

/// Kill accounts, then verification, with each dispatcher, and count what it loses
///
/// For each of `inline`, `background` and `jetstream` a system of its own is started, each service
/// as a process by itself on its SQLite file. People sign up, once while accounts and once while
/// verification gets SIGKILL at random instants and is started again. When everything has healed
/// and nothing is queued any more, everybody is looked for.
///
/// `jetstream` may lose nobody. What the other two lose is measured, and no failure: accounts that
/// verification never heard of. Anything else that is wrong is one, with each of them.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  load-tests compare                                         # takes ten minutes
  load-tests compare --kills 60 --seconds 180 --seed 7       # more of it
  load-tests compare --dispatchers jetstream --seconds 20    # one alone
  load-tests compare --output json                           # with the whole report of each run

Columns:
  no answer   sign-ups whose callers do not know whether there is an account
  lost        accounts whose callers were answered, without a mail
  told so     the same, but the answer said that nobody knows of the mail (UNKNOWN)
  unmailed    accounts whose callers had no answer, without a mail
  doubled     mails beyond an account's first, without a reason
  unknowable  the same after an attempt whose outcome nobody could know")]
pub(crate) struct CompareArguments {
    /// Sign-ups a second
    #[arg(long, default_value_t = 50.0, value_parser = above_0)]
    rate: f64,
    /// For how long people sign up, each time
    #[arg(long, default_value_t = 60.0, value_parser = above_0)]
    seconds: f64,
    /// How often a service is killed in that time
    #[arg(long, default_value_t = 20, value_name = "NUMBER")]
    kills: u32,
    /// Which ones [default: all of these]
    #[arg(long, value_enum, value_delimiter = ',')]
    dispatchers: Option<Vec<Dispatcher>>,
    /// Decides when kills come, and who signs up
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Connections that sign-ups are spread over
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// How long nothing may get better after the kills while something is owed
    #[arg(long, default_value = "60s", value_name = "DURATION", value_parser = humantime::parse_duration)]
    patience: Duration,
    /// The command usher to start [default: this program, which is usher, too]
    #[arg(long, env = "USHER_BINARY", value_name = "FILE")]
    usher: Option<PathBuf>,
}

impl CompareArguments {
    pub(crate) fn run(self) -> anyhow::Result<Compare> {
        let all = || Dispatcher::value_variants().to_vec();
        Ok(Compare {
            usher: own(self.usher.as_deref())?,
            load: Load {
                rate: self.rate,
                lasting: Duration::from_secs_f64(self.seconds),
                connections: self.connections,
                repeating: Duration::ZERO,
            },
            people: People {
                seed: self.seed,
                tag: "compare".to_owned(),
                gone: 0.0,
                scattered: false,
            },
            kills: self.kills,
            dispatchers: self.dispatchers.unwrap_or_else(all),
            patience: self.patience,
        })
    }
}
