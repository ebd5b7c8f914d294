//! Load tests: what Usher is measured with, and broken with. Whatever is measured, nobody may be
//! lost.
//!
//! In reading order: `run` is one run from the first sign-up to the verdict. `people` says who
//! signs up, `load` sends the sign-ups when they are due, `system` takes them (`target` is where it
//! listens, `place` what it consists of), `faults` befall it (`befall`), `sink` is its mail server,
//! and `typing` are those who confirm their codes at once. Of a system that others run `mailbox` is
//! read, and `phases` are what they do to it meanwhile; `mails` are those of either.
//! `compare` is a run for each `dispatcher` while services are killed. `check` asks everybody at the
//! end and judges, `report` tells. `chance` makes a seed repeat all of it; `cli` is the command line.
//!
//! Three more runs have a measure of their own: `hostile` attacks, `growth` compares what an account
//! costs beside few and beside many others, `burst` sees what memory many at once take (`taken` is
//! what a process takes of the machine).

mod befall;
pub mod burst;
mod chance;
pub mod check;
mod cli;
pub mod compare;
pub mod dispatcher;
pub mod faults;
pub mod growth;
pub mod hostile;
pub mod load;
pub mod mailbox;
pub mod mails;
pub mod people;
pub mod phases;
pub mod place;
pub mod report;
pub mod run;
pub mod sink;
pub mod system;
mod taken;
pub mod target;
mod terminal;
pub mod typing;

use std::{fmt, process::ExitCode};

use clap::Parser as _;

use burst::report::Borne;
use cli::{Cli, Command, Format};
use compare::Comparison;
use growth::report::Grown;
use hostile::{client::Client, report::Siege};
use report::Report;
use serde_json::Value;
use terminal::{say, tell};

/// Does what the command line says.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    if matches!(cli.command, Command::Attack) {
        return ended(Client::run().map(|()| ExitCode::SUCCESS));
    }
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.enable_all().build();
    let done = runtime
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(carry_out(cli)));
    ended(done)
}

fn ended(done: anyhow::Result<ExitCode>) -> ExitCode {
    done.unwrap_or_else(|error| {
        tell(&format!("error: {error:#}"));
        ExitCode::FAILURE
    })
}

async fn carry_out(cli: Cli) -> anyhow::Result<ExitCode> {
    let format = cli.output;
    let (run, is_dry) = match cli.command {
        Command::Attack => return Ok(ExitCode::SUCCESS), // it was done before
        Command::Compare(arguments) => {
            let compare = arguments.run()?;
            if format == Format::Table {
                say(&compare.to_string());
            }
            let code = |it: &Comparison| it.outcome().code();
            return Ok(told(compare.start().await?, format, Comparison::json, code));
        }
        Command::Hostile(arguments) => {
            let siege = arguments.run()?.start().await?;
            return Ok(told(siege, format, Siege::json, |it| {
                failed(it.is_passed())
            }));
        }
        Command::Burst(arguments) => {
            let borne = arguments.run()?.start().await?;
            return Ok(told(borne, format, Borne::json, |it| {
                failed(it.is_passed())
            }));
        }
        Command::Growth(arguments) => {
            let grown = arguments.run()?.start().await?;
            return Ok(told(grown, format, Grown::json, |it| {
                failed(it.is_passed())
            }));
        }
        Command::Load(arguments) => (arguments.run()?, false),
        Command::Soak(arguments) => {
            let is_dry = arguments.dry_run;
            (arguments.run()?, is_dry)
        }
    };
    if is_dry || (format == Format::Table && !run.plan.0.is_empty()) {
        let (seed, plan) = (run.people.seed, &run.plan);
        say(&format!("Seed {seed}, faults planned:\n{plan}"));
    }
    if is_dry {
        return Ok(ExitCode::SUCCESS);
    }
    let code = |it: &Report| it.outcome().code();
    Ok(told(run.start().await?, format, Report::json, code))
}

/// Says what a run showed, and how the command ends by that.
fn told<R: fmt::Display>(
    report: Option<R>,
    format: Format,
    json: impl FnOnce(&R) -> Value,
    code: impl FnOnce(&R) -> u8,
) -> ExitCode {
    let Some(report) = report else {
        // By Ctrl-C, after whatever this program had started was ended.
        tell(
            "interrupted: everything that was started has ended, and a part of a run is not judged",
        );
        return ExitCode::from(130);
    };
    match format {
        Format::Table => say(&report.to_string()),
        Format::Json => say(&json(&report).to_string()),
    }
    ExitCode::from(code(&report))
}

fn failed(is_passed: bool) -> u8 {
    u8::from(!is_passed)
}
