//! How a command ends: the exit codes, stated once, and the failure that carries one from any
//! command to `lib::run`, which prints it.

use std::{error::Error as _, io, time::Duration};

use kit::{config::RefusedSetting, files::FileRefused, words};
use serde::Serialize;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::terminal::{self, BAD, DIM, Lost};

/// Of a call that was not answered.
const MAY_BE_DONE: &str = "What was asked for may have been done all the same: look before you repeat it. `usher doctor` \
     tells which part is slow or away.";

/// Exit codes. `--help` and the documentation print [`help`], so that there is one list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Exit {
    Failed = 1,
    Usage = 2,
    NotFound = 3,
    Refused = 4,
    Unavailable = 5,
    Interrupted = 130,
}

impl Exit {
    const ALL: [(u8, &str); 7] = [
        (0, "done"),
        (
            Exit::Failed as u8,
            "failed for a reason of its own, or `doctor` found something to be done",
        ),
        (
            Exit::Usage as u8,
            "the command line was not understood, or a setting is refused",
        ),
        (Exit::NotFound as u8, "there is nothing with this id"),
        (
            Exit::Refused as u8,
            "refused: invalid input, a wrong code, an address taken, too soon, no token",
        ),
        (
            Exit::Unavailable as u8,
            "a service, the broker or the database does not answer",
        ),
        (
            Exit::Interrupted as u8,
            "interrupted by Ctrl-C before it was done",
        ),
    ];
}

/// The list of exit codes as `--help` shows it.
pub(crate) fn help() -> String {
    let mut lines = String::new();
    for (code, meaning) in Exit::ALL {
        lines.push_str(&format!("  {code:>3}  {meaning}\n"));
    }
    lines
}

/// Why a command did not do what it was asked.
#[derive(Debug, Serialize)]
pub(crate) struct Failure {
    /// What the process exits with.
    pub(crate) exit: Exit,
    /// One sentence.
    pub(crate) message: String,
    /// Each refused field with its reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) fields: Vec<Field>,
    /// The machine-readable reason, such as `ADDRESS_TAKEN`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// When it may work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retry_after_seconds: Option<u64>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hint: Option<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Field {
    field: String,
    problem: String,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            fields: Vec::new(),
            reason: None,
            retry_after_seconds: None,
            hint: None,
        }
    }

    /// The same with what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What `service` at `url` answered, in words a person can act on.
    pub(crate) fn from_status(service: &str, url: &str, status: &tonic::Status) -> Self {
        let exit = match status.code() {
            Code::NotFound => Exit::NotFound,
            Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled => Exit::Unavailable,
            _ if broke_off(status) => Exit::Unavailable,
            Code::InvalidArgument
            | Code::AlreadyExists
            | Code::FailedPrecondition
            | Code::OutOfRange
            | Code::ResourceExhausted
            | Code::PermissionDenied
            | Code::Unauthenticated => Exit::Refused,
            _ => Exit::Failed,
        };
        let mut failure = Self::new(exit, status.message());
        let details = status.get_error_details();
        if let Some(refused) = details.bad_request() {
            for violation in &refused.field_violations {
                failure.fields.push(Field {
                    field: violation.field.clone(),
                    problem: violation.description.clone(),
                });
            }
        }
        failure.reason = details.error_info().map(|info| info.reason.clone());
        let retry = details.retry_info().and_then(|retry| retry.retry_delay);
        failure.retry_after_seconds = retry.map(round_up);
        if broke_off(status) {
            failure.message = format!("{service} at {url} broke the connection off.");
            return failure.hint(MAY_BE_DONE);
        }
        failure.explained(service, url, status.code())
    }

    fn explained(mut self, service: &str, url: &str, code: Code) -> Self {
        match code {
            // The transport's own text ("tcp connect error") says less than this.
            Code::Unavailable if self.reason.is_none() && self.retry_after_seconds.is_none() => {
                self.message = format!("{service} does not answer at {url}.");
                self.hint("`usher doctor` looks at every part; on this machine `usher up` starts them all.")
            }
            Code::DeadlineExceeded | Code::Cancelled => {
                self.message = format!("{service} at {url} did not answer in time.");
                self.hint(MAY_BE_DONE)
            }
            Code::Unauthenticated | Code::PermissionDenied => self.hint(
                "Operators' commands need the admin token: name its file with --admin-token-file or \
                 USHER_ADMIN_TOKEN_FILE, or the folder of `usher up` with --data.",
            ),
            Code::Unimplemented if self.message.is_empty() => {
                self.message = format!("{service} at {url} does not know this call.");
                self.hint(
                    "It is an older version (`usher doctor` shows versions), or its public and its admin address are \
                     mixed up.",
                )
            }
            _ => self,
        }
    }

    /// Several lines for people.
    pub(crate) fn spoken(&self) -> String {
        let mut text = format!("{BAD}error:{BAD:#} ");
        // Services put all fields into the message, too, for clients that do not read details.
        match &self.fields[..] {
            [] => text.push_str(&self.message),
            [Field { field, problem }] => text.push_str(&format!("{field}: {problem}")),
            several => {
                text.push_str("There is something wrong with each of these:");
                for Field { field, problem } in several {
                    text.push_str(&format!("\n  {field}: {problem}"));
                }
            }
        }
        if let Some(seconds) = self.retry_after_seconds {
            text.push_str(&format!("\n  Try again in {}.", wait(seconds)));
        }
        if let Some(hint) = &self.hint {
            text.push_str(&format!("\n{DIM}hint:{DIM:#} {hint}"));
        }
        text
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        let error = match error.downcast::<FileRefused>() {
            Ok(refused) => return refused.into(),
            Err(error) => error,
        };
        // Whoever starts it again and again is to know that this would not help.
        let is_setting = error.is::<RefusedSetting>();
        let exit = if is_setting {
            Exit::Usage
        } else {
            Exit::Failed
        };
        Self::new(exit, sentence(&error))
    }
}

/// A file or folder that is not used.
impl From<FileRefused> for Failure {
    fn from(refused: FileRefused) -> Self {
        // The command stands alone, to be copied.
        Self::new(Exit::Refused, format!("{}.", refused.what())).hint(refused.mend())
    }
}

/// An error and its causes as one sentence: each of them may end with a full stop of its own.
pub(crate) fn sentence(error: &anyhow::Error) -> String {
    format!("{}.", words::of_chain(error))
}

/// Whether everything that the command said could be written.
///
/// # Errors
/// When it could not, but for a reader that had enough (`usher … | head -1`): that is how it ends
/// in ripgrep and cargo, too, so that no `pipefail` stops a script.
pub(crate) fn was_heard() -> Result<(), Failure> {
    match terminal::lost() {
        Some(Lost { kind, why }) if *kind != io::ErrorKind::BrokenPipe => {
            let message = format!("What was done could not be written to standard output: {why}.");
            Err(Failure::new(Exit::Failed, message))
        }
        _ => Ok(()),
    }
}

/// Whether the connection ended while an answer was waited for: no code of gRPC says so.
fn broke_off(status: &tonic::Status) -> bool {
    let cause = status.source();
    status.code() == Code::Unknown
        && cause.is_some_and(<dyn std::error::Error>::is::<tonic::transport::Error>)
}

fn round_up(delay: Duration) -> u64 {
    delay.as_secs() + u64::from(delay.subsec_nanos() > 0)
}

fn wait(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds.div_ceil(60)),
        _ => format!("{} h", seconds.div_ceil(3600)),
    }
}
