//! A listener of plain HTTP alone, with the limits that operators' listeners have.

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{
    ListenerSettings,
    capacity::Capacity,
    listener::{self, Versions},
};
use crate::config::from_pairs;

/// Serves until `stop`, and then until every connection has ended: whoever waits sets the limit.
/// `name` is what the log calls it.
///
/// # Errors
/// When this process may open too few files.
pub async fn plain_http(
    name: &'static str,
    listener: TcpListener,
    app: Router,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let usual: ListenerSettings = from_pairs(&[])?;
    let (_, limits) = usual.limits()?;
    listener::serve(
        listener.into(),
        Capacity::new(name, limits),
        Versions::Both,
        app,
        stop,
    )
    .await;
    Ok(())
}
