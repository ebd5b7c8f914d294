//! Accounts as a process of its own, set up by its environment; `usher accounts` runs the same.

use std::process::ExitCode;

use kit::{config, files, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    files::keep_private();
    serve::ended(run().await)
}

async fn run() -> anyhow::Result<()> {
    accounts::app::run(config::from_env("accounts")?, serve::terminated()?).await
}
