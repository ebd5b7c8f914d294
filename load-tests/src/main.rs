//! The binary: everything is in the library.

use std::process::ExitCode;

/// It is `usher` as well: the services that a run starts, be it as children of `usher up`, are then
/// built from the sources beside it, never a binary that was forgotten.
/// `--usher` names another one.
fn main() -> ExitCode {
    let command = std::env::args().nth(1).unwrap_or_default();
    match command.as_str() {
        "up" | "accounts" | "verification" | "mailer" | "mailbox" | "migrate" | "nats" => {
            usher::run()
        }
        _ => load_tests::run(),
    }
}
