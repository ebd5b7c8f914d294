//! The command `usher`: runs the whole system on one machine, operates it anywhere, and shows it in
//! a demo.
//!
//! In reading order: `cli` is the command tree, `parse` reads it and `help` says what clap has to
//! say, `completions` and `man` are made of it; `settings` is what environment and file say,
//! `config` shows it; `exit` is how commands end, `output` and `terminal` how they answer.
//! `service` names the three services; `local` runs everything as children of one process (`usher
//! up`), whose `logs` are told, `serve` is what such a child does. `target` and `session` find the
//! services for the client commands `account`, `mail`, `dlq`, `nats` and `doctor`, which use gRPC
//! and never a database, and `root_span` begins their traces; `migrate` alone opens a database, and
//! does so, as `nats provision` does its part, after a `wait` if it is asked to; `keys` changes a
//! key file once it has asked verification. `mailbox` catches mails, and reads them over HTTP.
//! `otlp` receives spans, `trace` draws them as journeys, and those that a Jaeger has; `web` asks who
//! speaks HTTP. `cluster` makes an installation's secrets and tries it; `person` signs up there and
//! in `demo`, which tells the story with all of it.

mod account;
mod broker;
mod cli;
mod cluster;
mod completions;
mod config;
mod demo;
mod dlq;
mod doctor;
mod exit;
mod help;
mod keys;
mod local;
mod logs;
mod mail;
mod mailbox;
mod man;
mod migrate;
mod nats;
pub mod otlp;
mod output;
mod parse;
mod person;
mod probe;
mod root_span;
mod serve;
mod service;
mod session;
mod settings;
mod signals;
mod target;
mod terminal;
mod trace;
mod version;
mod wait;
mod web;

use std::process::ExitCode;

use cli::{Cli, Command};
use exit::{Exit, Failure};
use output::Format;
use session::Session;
use target::DataFlag;
use version::VersionArguments;

/// Does what the command line says.
pub fn run() -> ExitCode {
    kit::files::keep_private();
    let (format, outcome) = match parse::parse() {
        Ok(cli) => (cli.format(), block_on(dispatch(cli))),
        Err((format, error)) => {
            let failure = Failure::new(Exit::Usage, exit::sentence(&error));
            (format, Err(failure))
        }
    };
    // Written before it is judged whether it could be.
    terminal::finish_output();
    let code = match outcome.and_then(|()| exit::was_heard()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nobody may be reading any more: that is no reason not to end.
            terminal::write_behind();
            match format {
                Format::Table | Format::Quiet => terminal::tell(failure.spoken()),
                Format::Json => {
                    terminal::tell(output::json(&serde_json::json!({ "error": failure })));
                }
            }
            ExitCode::from(failure.exit as u8)
        }
    };
    terminal::finish();
    code
}

/// One thread serves: a service waits more than it computes, and a second thread costs more than it
/// brings.
fn block_on(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build();
    runtime.map_err(anyhow::Error::from)?.block_on(work)
}

async fn dispatch(cli: Cli) -> Result<(), Failure> {
    let format = cli.format();
    let Cli {
        folder: DataFlag { data },
        command,
        ..
    } = cli;
    let session = |target| Session::new(target, &data, format);
    match command {
        Command::Accounts(arguments) => serve::accounts(*arguments, parse::slips()).await,
        Command::Verification(arguments) => serve::verification(*arguments, parse::slips()).await,
        Command::Mailer(arguments) => serve::mailer(*arguments, parse::slips()).await,
        Command::Up(arguments) => local::up::run(arguments, &data, format, parse::slips()).await,
        Command::Demo(arguments) => demo::run(arguments, &data, format).await,
        Command::Migrate(arguments) => migrate::run(arguments, &data, format).await,
        Command::Keys(client) => keys::run(client.command, &data, &session(client.target)?).await,
        Command::Config(arguments) => config::run(arguments, &data, format, &parse::slips()),
        Command::Mailbox(arguments) => mailbox::run(arguments, &data, format, parse::slips()).await,
        Command::Logs(arguments) => logs::run(&arguments, &data, format).await,
        Command::Completions(arguments) => {
            completions::run(&arguments, cli::command());
            Ok(())
        }
        Command::Man(arguments) => man::run(&arguments, cli::command(), format),
        Command::Version(VersionArguments {}) => {
            version::run(format);
            Ok(())
        }
        Command::Trace { command } => trace::run(command, format).await,
        Command::Cluster { command } => cluster::run(command, &data, format).await,
        Command::Doctor(arguments) => {
            doctor::run(&session(arguments.target)?, parse::slips()).await
        }
        Command::Dlq(client) => dlq::run(client.command, &session(client.target)?).await,
        Command::Nats(client) => nats::run(client.command, &session(client.target)?).await,
        Command::Account(client) => {
            let session = session(client.target)?;
            let work = account::run(client.command, &session);
            root_span::under("usher account", session.otlp_endpoint(), work).await
        }
        Command::Mail(client) => mail::run(client.command, &session(client.target)?).await,
    }
}
