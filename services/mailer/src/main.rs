//! The mailer as a process of its own; `usher mailer` runs the same.

use kit::{clock::Clock, config::from_env, telemetry};
use mailer::{app::App, config::Config};
use tokio::signal::unix::{SignalKind, signal};

/// Everything that the process is told.
#[derive(clap::Args, Debug)]
struct Settings {
    #[command(flatten)]
    mailer: Config,
    #[command(flatten)]
    telemetry: telemetry::Settings,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let settings: Settings = from_env("mailer")?;
    let telemetry = telemetry::init("mailer", &settings.telemetry)?;
    let app = App::build(settings.mailer, Clock::default()).await?;
    tracing::info!(listen = %app.addr(), admin = %app.admin_addr(), "The mailer is up.");
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let shutdown = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let served = app.run_until(shutdown).await;
    telemetry.shutdown().await;
    served
}
