//! `usher account import`: signs up everybody in a file, on one stream. `lines` reads the file,
//! `stream` asks, `refused` keeps what was refused.

mod lines;
mod newcomer;
mod refused;
mod stream;
mod table;

use std::{path::PathBuf, time::Instant};

use clap::Args;
use serde::Serialize;
use tonic_types::StatusExt as _;

use self::{
    lines::{InputLine, Lines},
    refused::RefusedLines,
    stream::LineOutcome,
};
use crate::{
    exit::{Exit, Failure},
    output::{Format, facts},
    session::Session,
    terminal::{CODE, GOOD, Step, WARN, say},
};

/// Sign up everybody in a file
///
/// One person a line, as JSON or as CSV under a heading; which of them is seen by the first line.
/// Fields are email, display_name, locale and idempotency_key; all but email may be missing.
///
/// A line that is refused stops no other: it is kept with its number and the reason in a file that
/// can be mended and imported itself. What is broken off can be run again: under the same
/// idempotency key nobody is signed up twice for 24 hours. A line without one gets it from its number
/// and the whole of its file, so that a file that was changed, or standard input, is another one.
#[derive(Debug, Args)]
#[command(after_help = "Formats:
  {\"email\": \"ada@example.com\", \"display_name\": \"Ada\", \"locale\": \"de\"}

  email,display_name,locale            with commas, semicolons or tabs
  ada@example.com,Ada,de

Examples:
  usher account import people.csv
  usher account import people.ndjson --output json > results.ndjson
  jq -c '.users[] | {email, display_name: .name}' export.json | usher account import -
  usher account import people.csv.refused.ndjson       # what was refused, once it is mended

It exits with 0 when everybody is signed up, with 4 when lines were refused, with 5 when accounts does
not answer any more; then run it again.")]
pub(crate) struct ImportArguments {
    /// The file; `-` for standard input
    file: PathBuf,
    /// Where lines that are refused go, as JSON; a file that is there is written anew [default:
    /// FILE.refused.ndjson]
    #[arg(long, value_name = "FILE")]
    refused: Option<PathBuf>,
}

/// What `--output json` says, a line each.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum ToldLine<'a> {
    SignedUp {
        line: u64,
        account_id: &'a str,
    },
    Refused {
        line: u64,
        message: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<&'a str>,
    },
    Imported(&'a Imported),
}

/// What has become of the lines so far.
#[derive(Debug, Default, Serialize)]
struct Imported {
    signed_up: u64,
    refused: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused_file: Option<PathBuf>,
}

pub(super) async fn run(arguments: ImportArguments, session: &Session) -> Result<(), Failure> {
    let lines = Lines::open(&arguments.file)?;
    let kept = arguments
        .refused
        .unwrap_or_else(|| refused::beside(&arguments.file));
    let mut import = ImportReport {
        format: session.format,
        began: Instant::now(),
        all: lines.count,
        step: session.format.progress().step("Signing up …"),
        refused: RefusedLines::new(kept),
        imported: Imported::default(),
    };
    let ended = stream::sign_up(session, lines, |outcome| import.tell(outcome)).await;
    import.finish(ended, &session.usher)
}

struct ImportReport {
    format: Format,
    began: Instant,
    /// Lines that there are; nobody knows of standard input.
    all: Option<u64>,
    step: Step,
    refused: RefusedLines,
    imported: Imported,
}

impl ImportReport {
    fn tell(&mut self, outcome: LineOutcome) -> Result<(), Failure> {
        let LineOutcome { line, answer } = outcome;
        match answer {
            Ok(account_id) => {
                self.imported.signed_up += 1;
                self.say(&ToldLine::SignedUp {
                    line: line.number,
                    account_id: &account_id,
                });
                if self.format == Format::Quiet {
                    say(&account_id);
                }
            }
            Err(status) => {
                let details = status.get_error_details();
                let reason = details.error_info().map(|info| info.reason.clone());
                self.refuse(&line, status.message(), reason.as_deref())?;
            }
        }
        self.step.now(&self.so_far());
        Ok(())
    }

    fn refuse(
        &mut self,
        line: &InputLine,
        message: &str,
        reason: Option<&str>,
    ) -> Result<(), Failure> {
        self.refused.keep(line, message, reason)?;
        self.imported.refused += 1;
        self.imported.refused_file = Some(self.refused.path().to_owned());
        self.say(&ToldLine::Refused {
            line: line.number,
            message,
            reason,
        });
        Ok(())
    }

    fn say(&self, told: &ToldLine<'_>) {
        if self.format == Format::Json {
            self.format.print_version(told, |_| String::new());
        }
    }

    fn so_far(&self) -> String {
        let Imported {
            signed_up, refused, ..
        } = self.imported;
        let of = self.all.map(|all| format!(" of {all}")).unwrap_or_default();
        let seconds = self.began.elapsed().as_secs_f64().max(0.001);
        let rate = (signed_up + refused) as f64 / seconds;
        format!("{signed_up}{of} signed up, {refused} refused, {rate:.0} a second")
    }

    fn finish(self, ended: Result<(), Failure>, usher: &str) -> Result<(), Failure> {
        let so_far = self.so_far();
        self.say(&ToldLine::Imported(&self.imported));
        let Imported {
            signed_up,
            refused,
            refused_file,
        } = self.imported;
        if let Err(failure) = ended {
            drop(self.step);
            return Err(match failure.exit {
                Exit::Unavailable => failure.hint(format!(
                    "{so_far}. Run the same command again: who is signed up is not signed up twice. \
                     `{usher} doctor` says what is wrong."
                )),
                _ => failure,
            });
        }
        drop(self.step);
        if self.format == Format::Table {
            let file = refused_file
                .as_deref()
                .map(|file| file.display().to_string());
            let numbers = facts(&[
                ("signed up", signed_up.to_string()),
                ("refused", refused.to_string()),
                ("kept in", file.unwrap_or_default()),
            ]);
            let style = if refused == 0 { GOOD } else { WARN };
            say(format!(
                "{style}Imported.{style:#} The mails with the codes are on their way.\n{numbers}\
                 Next: {CODE}{usher} account list{CODE:#}"
            ));
        }
        if refused == 0 {
            return Ok(());
        }
        let file = refused_file.unwrap_or_default();
        let message = format!("{refused} of {} lines were refused.", signed_up + refused);
        Err(Failure::new(Exit::Refused, message).hint(format!(
            "{} holds each with its number and the reason; mended, it can be imported itself.",
            file.display()
        )))
    }
}
