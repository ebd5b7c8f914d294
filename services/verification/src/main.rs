//! Verification as a process of its own, set up by its environment; `usher verification` runs the
//! same.

use kit::{config, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    verification::app::run(config::from_env("verification")?, serve::terminated()?).await
}
