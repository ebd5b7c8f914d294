//! Runs verification alone, set up by its environment, until SIGTERM or Ctrl-C. `usher verification` does the same.

use anyhow::Context as _;
use kit::{clock::Clock, config, telemetry};
use tokio::signal::unix::{SignalKind, signal};
use verification::{app::App, config::Config};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let config: Config = config::from_env("verification")?;
    let telemetry = telemetry::init("verification", &config.telemetry)?;
    let mut terminate = signal(SignalKind::terminate()).context("Signals cannot be received.")?;
    let app = App::build(config, Clock::default()).await?;
    tracing::info!(listen = %app.addr(), admin = %app.admin_addr(), "Verification is up.");
    let ended = app
        .run_until(async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        })
        .await;
    telemetry.shutdown().await;
    ended
}
