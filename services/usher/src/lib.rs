//! The command `usher`: runs the whole system on one machine, operates it anywhere, and shows it in a demo.
//!
//! In reading order: `cli` is the command tree, `exit` how commands end, `output` and `terminal` how they answer.
//! `local` runs everything as children of one process (`usher up`); `service` is what such a child does. `target`
//! and `session` find the services for the client commands `account`, `mail`, `nats` and `doctor`, which use gRPC
//! and never a database; `migrate` alone opens one, and `keys` a key file. `trace` draws journeys; `demo` tells the
//! story with all of it.

mod account;
mod cli;
mod demo;
mod doctor;
mod exit;
mod http;
mod keys;
mod local;
mod mail;
mod migrate;
mod nats;
pub mod otlp;
mod output;
mod service;
mod session;
mod signals;
mod target;
mod terminal;
mod trace;

use std::process::ExitCode;

use cli::{Cli, Command};
use exit::Failure;
use kit::telemetry::{self, LogFormat, Settings, span};
use opentelemetry::{Context, trace::FutureExt as _};
use output::Format;
use session::Session;

/// Does what the command line says.
pub fn run() -> ExitCode {
    let (format, outcome) = match cli::parse() {
        Ok(cli) => (cli.output, block_on(dispatch(cli))),
        Err(error) => (
            Format::Table,
            Err(Failure::new(exit::Exit::Usage, exit::sentence(&error))),
        ),
    };
    let Err(failure) = outcome else {
        return ExitCode::SUCCESS;
    };
    match format {
        Format::Table => terminal::tell(failure.spoken()),
        Format::Json => terminal::tell(output::json(&serde_json::json!({ "error": failure }))),
    }
    ExitCode::from(failure.exit as u8)
}

/// One thread serves: a service waits more than it computes, and a second thread costs more than it brings.
fn block_on(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.map_err(anyhow::Error::from)?.block_on(work)
}

async fn dispatch(cli: Cli) -> Result<(), Failure> {
    let Cli {
        data,
        output: format,
        command,
    } = cli;
    match command {
        Command::Accounts(arguments) => service::accounts(*arguments).await,
        Command::Verification(arguments) => service::verification(*arguments).await,
        Command::Mailer(arguments) => service::mailer(*arguments).await,
        Command::Up(arguments) => local::up::run(arguments, &data, format).await,
        Command::Demo(arguments) => demo::run(arguments, &data, format).await,
        Command::Migrate(arguments) => migrate::run(arguments, &data, format).await,
        Command::Keys(command) => keys::run(command, &data, format),
        Command::Doctor(arguments) => {
            doctor::run(&Session::new(arguments.target, &data, format)).await
        }
        Command::Nats(client) => {
            nats::run(client.command, &Session::new(client.target, &data, format)).await
        }
        Command::Account(client) => {
            let session = Session::new(client.target, &data, format);
            traced(
                "usher account",
                &session,
                account::run(client.command, &session),
            )
            .await
        }
        Command::Mail(client) => {
            mail::run(client.command, &Session::new(client.target, &data, format)).await
        }
    }
}

/// Runs a client command under a root span of its own, exported where the running `usher up` exports, so that a
/// journey begins at its caller.
async fn traced(
    name: &'static str,
    session: &Session,
    work: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    let telemetry = telemetry::init("usher", &client_telemetry(session.otlp_endpoint()))?;
    let root = span::internal(name, &Context::new(), []);
    let outcome = work.with_context(root.clone()).await;
    span::end(&root);
    telemetry.shutdown().await;
    outcome
}

/// Commands answer by their output; what is logged beside it are warnings.
pub(crate) fn client_telemetry(endpoint: Option<String>) -> Settings {
    let log_filter = std::env::var("RUST_LOG").unwrap_or_else(|_| "warn".to_owned());
    Settings {
        log_format: LogFormat::Text,
        log_filter,
        endpoint,
    }
}
