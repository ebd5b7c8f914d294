//! The mailer as a process of its own, set up by its environment; `usher mailer` runs the same.

use std::process::ExitCode;

use kit::{config, files, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    files::keep_private();
    serve::ended(run().await)
}

async fn run() -> anyhow::Result<()> {
    mailer::app::run(config::from_env("mailer")?, serve::terminated()?).await
}
