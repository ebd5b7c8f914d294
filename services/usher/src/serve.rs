//! `usher accounts`, `usher verification`, `usher mailer`: one service in this process, as its own
//! binary runs it, until a signal comes or, for a child of `usher up`, standard input closes.

use clap::Args;
use kit::serve;

use crate::{
    exit::Failure,
    signals::{STOP_WITH_STDIN, stdin_closed},
};

/// A service's settings, and how it stops.
#[derive(Debug, Args)]
pub(crate) struct ServeArguments<C: Args> {
    #[command(flatten)]
    config: C,
    /// Stop when standard input closes, besides SIGTERM and Ctrl-C: so that a child ends with its
    /// parent
    #[arg(long, env = STOP_WITH_STDIN, value_parser = clap::builder::FalseyValueParser::new())]
    stop_with_stdin: bool,
}

pub(crate) async fn accounts(
    arguments: ServeArguments<accounts::config::Config>,
    warnings: Vec<String>,
) -> Result<(), Failure> {
    let shutdown = asked_to_stop(arguments.stop_with_stdin)?;
    let mut config = arguments.config;
    config.service.telemetry.warnings = warnings;
    Ok(accounts::app::run(config, shutdown).await?)
}

pub(crate) async fn verification(
    arguments: ServeArguments<verification::config::Config>,
    warnings: Vec<String>,
) -> Result<(), Failure> {
    let shutdown = asked_to_stop(arguments.stop_with_stdin)?;
    let mut config = arguments.config;
    config.service.telemetry.warnings = warnings;
    Ok(verification::app::run(config, shutdown).await?)
}

pub(crate) async fn mailer(
    arguments: ServeArguments<mailer::config::Config>,
    warnings: Vec<String>,
) -> Result<(), Failure> {
    let shutdown = asked_to_stop(arguments.stop_with_stdin)?;
    let mut config = arguments.config;
    config.service.telemetry.warnings = warnings;
    Ok(mailer::app::run(config, shutdown).await?)
}

fn asked_to_stop(with_stdin: bool) -> Result<impl Future<Output = ()>, Failure> {
    // Listens from now on: a signal that comes while the service is still being built must not end
    // the process.
    let terminated = serve::terminated()?;
    Ok(async move {
        if with_stdin {
            tokio::select! { () = terminated => {}, () = stdin_closed() => {} }
        } else {
            terminated.await;
        }
    })
}
