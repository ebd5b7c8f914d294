//! `usher logs`: what the parts of `usher up` wrote, as one story in the order of time. `tail`
//! reads the files, `entry` what a line says of itself.

mod entry;
mod tail;

use std::{path::Path, time::Duration};

use clap::{Args, builder::PossibleValuesParser};
use kit::clock::{Clock, Timestamp};
use serde::Serialize;
use tokio::time::sleep;

use crate::{
    exit::{Exit, Failure},
    output::Format,
    terminal::{self, BAD, DIM, GOOD, WARN, say, tell},
};
use entry::{Entry, LogLevel};
use tail::Tail;

/// Whoever may write a log, in the order of the journey.
const PARTS: [&str; 5] = [
    "accounts",
    "verification",
    "mailer",
    "nats-server",
    "jaeger",
];
/// How often files are looked at while they are followed.
const LOOK: Duration = Duration::from_millis(200);

/// Show what the parts of the running or last `usher up` logged, in the order of time
///
/// With --output json each line is one entry; with --quiet each is as it was logged. RUST_LOG says
/// what the services log at all.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usher logs --since 10m --level warn
  usher logs mailer --follow
  usher logs --output json | jq -r 'select(.level == \"error\") | .line'")]
pub(crate) struct LogsArguments {
    /// Only of these parts [default: all]
    #[arg(value_name = "PART", value_parser = PossibleValuesParser::new(PARTS))]
    parts: Vec<String>,
    /// Go on with what is logged from now on, until Ctrl-C; through restarts, too
    #[arg(short, long)]
    follow: bool,
    /// Only what was logged within this time, such as 90s, 10m or 2h
    #[arg(long, value_name = "AGE", value_parser = humantime::parse_duration)]
    since: Option<Duration>,
    /// Only what is as serious as this, or more
    #[arg(long, value_enum)]
    level: Option<LogLevel>,
    /// Only the last so many lines, before anything that follows
    #[arg(long, value_name = "N")]
    tail: Option<usize>,
}

/// A line of a part's log.
#[derive(Debug, Serialize)]
struct Logged {
    part: &'static str,
    #[serde(flatten)]
    entry: Entry,
}

pub(crate) async fn run(
    arguments: &LogsArguments,
    data: &Path,
    format: Format,
) -> Result<(), Failure> {
    let folder = data.join("logs");
    let is_meant = |part: &&str| {
        arguments.parts.is_empty() || arguments.parts.iter().any(|meant| meant == part)
    };
    let parts = PARTS.into_iter().filter(is_meant);
    let mut tails = Vec::from_iter(parts.map(|part| (part, Tail::new(&folder, part))));
    if !tails.iter().any(|(_, tail)| tail.exists()) {
        let message = format!("There are no such logs in {}.", folder.display());
        if !arguments.follow {
            let hint = "`usher up` writes them; --data names the folder that it runs on.";
            return Err(Failure::new(Exit::NotFound, message).hint(hint));
        }
        tell(format!("{DIM}{message} Waiting for the first line.{DIM:#}"));
    }
    let since = arguments.since.map(|age| Clock::default().now() - age);
    let mut lines = read(&mut tails, arguments, since, Tail::all)?;
    if let Some(number) = arguments.tail {
        lines.drain(..lines.len().saturating_sub(number));
    }
    show(&lines, format);
    while arguments.follow && terminal::lost().is_none() {
        sleep(LOOK).await;
        show(&read(&mut tails, arguments, since, Tail::news)?, format);
    }
    Ok(())
}

/// The lines that are meant, in the order of time.
fn read(
    tails: &mut [(&'static str, Tail)],
    arguments: &LogsArguments,
    since: Option<Timestamp>,
    from: fn(&mut Tail) -> std::io::Result<Vec<Entry>>,
) -> anyhow::Result<Vec<Logged>> {
    let mut lines = Vec::new();
    for (part, tail) in tails {
        for entry in from(tail)? {
            if since.is_none_or(|since| entry.at >= since)
                && arguments.level.is_none_or(|level| entry.level >= level)
            {
                lines.push(Logged { part, entry });
            }
        }
    }
    // Stable: lines of one moment keep the order in which their part wrote them.
    lines.sort_by_key(|line| line.entry.at);
    Ok(lines)
}

fn show(lines: &[Logged], format: Format) {
    for line in lines {
        if terminal::lost().is_some() {
            return; // nobody reads on
        }
        match format {
            Format::Quiet => say(&line.entry.line),
            _ => format.print_version(line, spoken),
        }
    }
}

fn spoken(line: &Logged) -> String {
    let Logged { part, entry } = line;
    let style = match entry.level {
        LogLevel::Error => BAD,
        LogLevel::Warn => WARN,
        _ => GOOD,
    };
    terminal::of_part(style, part, &entry.line)
}
