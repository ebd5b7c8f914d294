//! What `growth` is told.

use std::path::PathBuf;

use clap::Args;

use super::values::{above_0, own};
use crate::growth::Growth;

const EXAMPLES: &str = "Examples:
  load-tests growth --usher target/static/usher                     # the binary that people run
  load-tests growth --sizes 1000,100000 --accounts 1000 --rounds 1  # a first look, in two minutes
  load-tests growth --output json                                   # for programs

A million accounts take some minutes to write, and 4 GB of the temporary folder (TMPDIR).";

/// Compare what an account costs beside few and beside many others
///
/// Starts one system a size and puts that many accounts into its databases, each with all rows
/// that an account leaves behind, under addresses in no order. Then people sign up there at an
/// even rate, in one system after the other, round after round. What the three services took of
/// a processor meanwhile (user and system time, as the operating system counts it) is divided by
/// the number of sign-ups; the median of a size's rounds counts.
///
/// Ends with 1 where an account takes more than --ratio times what it takes beside the fewest.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct GrowthArguments {
    /// How many accounts there are before; the first number is what the others are compared with
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "1000,100000,1000000",
        value_name = "NUMBERS"
    )]
    sizes: Vec<u64>,
    /// How many sign up in each round
    #[arg(long, default_value_t = 4_000, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    accounts: u64,
    /// How many of them a second
    #[arg(long, default_value_t = 200.0, value_parser = above_0)]
    rate: f64,
    /// How often each system has its turn; the median of its rounds counts
    #[arg(long, default_value_t = 3, value_name = "NUMBER", value_parser = clap::value_parser!(u8).range(1..))]
    rounds: u8,
    /// How many times as much CPU as with the first size an account may take
    #[arg(long, default_value_t = 1.4, value_name = "NUMBER", value_parser = above_0)]
    ratio: f64,
    /// Decides who signs up
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The command usher to start [default: this program, which is usher, too]
    #[arg(long, env = "USHER_BINARY", value_name = "FILE")]
    usher: Option<PathBuf>,
}

impl GrowthArguments {
    pub(crate) fn run(self) -> anyhow::Result<Growth> {
        Ok(Growth {
            usher: own(self.usher.as_deref())?,
            sizes: self.sizes,
            accounts: self.accounts,
            rate: self.rate,
            rounds: usize::from(self.rounds),
            bound: self.ratio,
            seed: self.seed,
        })
    }
}
