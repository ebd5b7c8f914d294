//! Runs the mail catcher until it is told to stop: opens the folder, binds both listeners, and
//! ends them in order.

use std::{path::PathBuf, time::Duration};

use anyhow::anyhow;
use kit::{clock::Clock, serve, telemetry};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::{
    config::Config,
    http,
    smtp::{self, Login},
    store::Store,
};

/// How long mails may take whose sending had begun, of the five seconds that a stop has.
const FINISH: Duration = Duration::from_secs(2);
/// And answers over HTTP.
const ANSWER: Duration = Duration::from_secs(1);

/// Runs it as a process, with telemetry of its own, until `shutdown`. `usual` is where mails go if
/// no folder is named.
///
/// # Errors
/// When the folder cannot be used, or an address is taken, as a sentence.
pub async fn run(
    config: Config,
    usual: PathBuf,
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let telemetry = telemetry::init("mailbox", &config.telemetry)?;
    let served = serve_until(config, usual, serve::at_most_ten_seconds(shutdown)).await;
    telemetry.shutdown().await;
    served
}

async fn serve_until(
    config: Config,
    usual: PathBuf,
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let folder = config.folder.unwrap_or(usual);
    let store = Store::open(&folder, config.keep, Clock::default())?;
    let login = config.login_file.map(Login::new);
    let (smtp, http) = (
        serve::listen_on(config.smtp).await?,
        serve::listen_on(config.http).await?,
    );
    tracing::info!(
        smtp = %smtp.local_addr()?,
        http = %http.local_addr()?,
        mails = store.count(),
        "Listening."
    );
    // HTTP ends last: probes are to see the stop.
    let (stop, silent) = (CancellationToken::new(), CancellationToken::new());
    let app = http::router(store.clone(), login.clone(), stop.clone());
    let mut taking = tokio::spawn(smtp::serve(smtp, store, login, stop.clone()));
    let mut answering = tokio::spawn(serve::plain_http("mailbox", http, app, silent.clone()));
    tokio::select! {
        () = shutdown => {}
        ended = &mut taking => return Err(anyhow!("The SMTP listener ended: {ended:?}.")),
        ended = &mut answering => return Err(anyhow!("The HTTP listener ended: {ended:?}.")),
    }
    tracing::info!("Shutting down: taking nothing new, keeping what was being sent.");
    stop.cancel();
    if timeout(FINISH, &mut taking).await.is_err() {
        tracing::warn!("Some mails were still being sent; they were not answered by 250.");
        taking.abort();
    }
    silent.cancel();
    if timeout(ANSWER, &mut answering).await.is_err() {
        answering.abort();
    }
    Ok(())
}
