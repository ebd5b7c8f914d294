//! What `burst` is told.

use std::{path::PathBuf, time::Duration};

use clap::Args;

use super::values::own;
use crate::burst::Burst;

const EXAMPLES: &str = "Examples:
  load-tests burst --usher target/static/usher                      # a hundred thousand, for ten minutes
  load-tests burst --accounts 5000                                  # a first look
  load-tests burst --answer 2s --mail-connections 16                # a mail server that takes its time
  load-tests burst --output json                                    # for programs

What a service takes in without refusing is a setting: docs/settings.md names USHER_CALLS and the queues.";

/// Let many sign up at once before a slow mail server, and see what memory that takes
///
/// Starts a system of its own. Whoever is refused comes again when the hint says so, until all
/// have signed up and all mails have gone. The most that each service took (its proportional set
/// size, from /proc/PID/smaps_rollup, four times a second) may not exceed --memory, and stands
/// beside what it took when somebody was first refused. Somebody must be; each refusal must say
/// when to come again; no mail may be missing. Ends with 1 otherwise.
///
/// It lasts as long as the mail server takes: 100,000 mails of 300 ms over 64 connections are eight
/// minutes.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct BurstArguments {
    /// How many sign up
    #[arg(long, default_value_t = 100_000, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    accounts: u64,
    /// How many of them at once
    #[arg(long, default_value_t = 4_096, value_name = "NUMBER")]
    at_once: usize,
    /// Connections that they are spread over
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// How long the mail server takes for a mail
    #[arg(long, default_value = "300ms", value_name = "DURATION", value_parser = humantime::parse_duration)]
    answer: Duration,
    /// Connections that the mailer opens to it
    #[arg(long, default_value_t = 64, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(2..))]
    mail_connections: u16,
    /// MiB of memory that a service may take
    #[arg(long, default_value_t = 80, value_name = "MIB")]
    memory: u64,
    /// Decides who signs up
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The command usher to start [default: this program, which is usher, too]
    #[arg(long, env = "USHER_BINARY", value_name = "FILE")]
    usher: Option<PathBuf>,
}

impl BurstArguments {
    pub(crate) fn run(self) -> anyhow::Result<Burst> {
        Ok(Burst {
            usher: own(self.usher.as_deref())?,
            accounts: self.accounts,
            at_once: self.at_once.max(1),
            connections: self.connections,
            answer: self.answer,
            mail_connections: self.mail_connections,
            memory: self.memory,
            seed: self.seed,
        })
    }
}
