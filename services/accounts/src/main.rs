//! Runs accounts alone, set up by its environment, until SIGTERM or Ctrl-C. `usher accounts` does the same.

use accounts::{app::App, config::Config};
use anyhow::Context as _;
use kit::{clock::Clock, config, telemetry};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let config: Config = config::from_env("accounts")?;
    let telemetry = telemetry::init("accounts", &config.telemetry)?;
    let mut terminate = signal(SignalKind::terminate()).context("Signals cannot be received.")?;
    let app = App::build(config, Clock::default()).await?;
    tracing::info!(listen = %app.addr(), admin = %app.admin_addr(), "Accounts is up.");
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
