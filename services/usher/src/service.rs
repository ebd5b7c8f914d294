//! `usher accounts`, `usher verification`, `usher mailer`: one service in this process, as its own binary runs it,
//! until a signal comes or, for a child of `usher up`, standard input closes.

use clap::Args;
use kit::{clock::Clock, telemetry};

use crate::{
    exit::Failure,
    signals::{STOP_WITH_STDIN, Signals, stdin_closed},
};

/// A service's settings, and how it stops.
#[derive(Debug, Args)]
pub(crate) struct Arguments<C: Args> {
    #[command(flatten)]
    config: C,
    /// Stop when standard input closes, besides SIGTERM and Ctrl-C: so that a child ends with its parent
    #[arg(long, env = STOP_WITH_STDIN, value_parser = clap::builder::FalseyValueParser::new())]
    stop_with_stdin: bool,
}

/// What the mailer's own binary is told.
#[derive(Debug, Args)]
pub(crate) struct MailerSettings {
    #[command(flatten)]
    mailer: mailer::config::Config,
    #[command(flatten)]
    telemetry: telemetry::Settings,
}

/// Runs accounts.
pub(crate) async fn accounts(arguments: Arguments<accounts::config::Config>) -> Result<(), Failure> {
    let telemetry = telemetry::init("accounts", &arguments.config.telemetry)?;
    let app = accounts::app::App::build(arguments.config, Clock::default()).await?;
    tracing::info!(listen = %app.addr(), admin = %app.admin_addr(), "Accounts is up.");
    let ended = app.run_until(asked_to_stop(arguments.stop_with_stdin)?).await;
    telemetry.shutdown().await;
    Ok(ended?)
}

/// Runs verification.
pub(crate) async fn verification(arguments: Arguments<verification::config::Config>) -> Result<(), Failure> {
    let telemetry = telemetry::init("verification", &arguments.config.telemetry)?;
    let app = verification::app::App::build(arguments.config, Clock::default()).await?;
    tracing::info!(listen = %app.addr(), admin = %app.admin_addr(), "Verification is up.");
    let ended = app.run_until(asked_to_stop(arguments.stop_with_stdin)?).await;
    telemetry.shutdown().await;
    Ok(ended?)
}

/// Runs mailer.
pub(crate) async fn mailer(arguments: Arguments<MailerSettings>) -> Result<(), Failure> {
    let telemetry = telemetry::init("mailer", &arguments.config.telemetry)?;
    let app = mailer::app::App::build(arguments.config.mailer, Clock::default()).await?;
    tracing::info!(listen = %app.addr(), admin = %app.admin_addr(), "Mailer is up.");
    let ended = app.run_until(asked_to_stop(arguments.stop_with_stdin)?).await;
    telemetry.shutdown().await;
    Ok(ended?)
}

fn asked_to_stop(with_stdin: bool) -> Result<impl Future<Output = ()>, Failure> {
    let mut signals = Signals::listen().map_err(anyhow::Error::from)?;
    Ok(async move {
        match with_stdin {
            true => tokio::select! { () = signals.next() => {}, () = stdin_closed() => {} },
            false => signals.next().await,
        }
    })
}
