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

use std::process::ExitCode;

use clap::Parser as _;

use burst::Burst;
use cli::{Cli, Command, Format};
use compare::Compare;
use growth::Growth;
use hostile::{Hostile, client::Client};
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
        Command::Compare(arguments) => return compared(&arguments.run()?, format).await,
        Command::Hostile(arguments) => return attacked(&arguments.run()?, format).await,
        Command::Burst(arguments) => return borne(&arguments.run()?, format).await,
        Command::Growth(arguments) => return grown(&arguments.run()?, format).await,
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
    let Some(report) = run.start().await? else {
        return Ok(interrupted());
    };
    match format {
        Format::Table => say(&report.to_string()),
        Format::Json => say(&report.json().to_string()),
    }
    Ok(ExitCode::from(report.outcome().code()))
}

/// By Ctrl-C, after whatever this program had started was ended.
fn interrupted() -> ExitCode {
    tell("interrupted: everything that was started has ended, and a part of a run is not judged");
    ExitCode::from(130)
}

async fn compared(compare: &Compare, format: Format) -> anyhow::Result<ExitCode> {
    if format == Format::Table {
        say(&compare.to_string());
    }
    let Some(comparison) = compare.start().await? else {
        return Ok(interrupted());
    };
    match format {
        Format::Table => say(&comparison.to_string()),
        Format::Json => say(&comparison.json().to_string()),
    }
    Ok(ExitCode::from(comparison.outcome().code()))
}

async fn borne(burst: &Burst, format: Format) -> anyhow::Result<ExitCode> {
    let Some(borne) = burst.start().await? else {
        return Ok(interrupted());
    };
    match format {
        Format::Table => say(&borne.to_string()),
        Format::Json => say(&borne.json().to_string()),
    }
    Ok(ended_as(borne.is_passed()))
}

async fn grown(growth: &Growth, format: Format) -> anyhow::Result<ExitCode> {
    let Some(grown) = growth.start().await? else {
        return Ok(interrupted());
    };
    match format {
        Format::Table => say(&grown.to_string()),
        Format::Json => say(&grown.json().to_string()),
    }
    Ok(ended_as(grown.is_passed()))
}

async fn attacked(hostile: &Hostile, format: Format) -> anyhow::Result<ExitCode> {
    let Some(report) = hostile.start().await? else {
        return Ok(interrupted());
    };
    match format {
        Format::Table => say(&report.to_string()),
        Format::Json => say(&report.json().to_string()),
    }
    Ok(ended_as(report.is_passed()))
}

fn ended_as(is_passed: bool) -> ExitCode {
    match is_passed {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
