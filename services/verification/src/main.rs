//! Verification as a process of its own, set up by its environment; `usher verification` runs the
//! same.

use std::process::ExitCode;

use kit::{config, files, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    files::keep_private();
    serve::ended(run().await)
}

async fn run() -> anyhow::Result<()> {
    verification::app::run(config::from_env("verification")?, serve::terminated()?).await
}
