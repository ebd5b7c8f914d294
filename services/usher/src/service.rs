//! `usher accounts`, `usher verification`, `usher mailer`: one service in this process, as its own binary runs it,
//! until a signal comes or, for a child of `usher up`, standard input closes.

use clap::Args;
use kit::serve;

use crate::{
    exit::Failure,
    signals::{STOP_WITH_STDIN, stdin_closed},
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

/// Runs accounts.
pub(crate) async fn accounts(
    arguments: Arguments<accounts::config::Config>,
) -> Result<(), Failure> {
    let shutdown = asked_to_stop(arguments.stop_with_stdin)?;
    Ok(accounts::app::run(arguments.config, shutdown).await?)
}

/// Runs verification.
pub(crate) async fn verification(
    arguments: Arguments<verification::config::Config>,
) -> Result<(), Failure> {
    let shutdown = asked_to_stop(arguments.stop_with_stdin)?;
    Ok(verification::app::run(arguments.config, shutdown).await?)
}

/// Runs mailer.
pub(crate) async fn mailer(arguments: Arguments<mailer::config::Config>) -> Result<(), Failure> {
    let shutdown = asked_to_stop(arguments.stop_with_stdin)?;
    Ok(mailer::app::run(arguments.config, shutdown).await?)
}

fn asked_to_stop(with_stdin: bool) -> Result<impl Future<Output = ()>, Failure> {
    let terminated = serve::terminated()?;
    Ok(async move {
        match with_stdin {
            true => tokio::select! { () = terminated => {}, () = stdin_closed() => {} },
            false => terminated.await,
        }
    })
}
