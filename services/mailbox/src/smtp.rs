//! The SMTP listener: takes connections as long as there is room, and tells those that are open
//! when the mailbox stops.

mod login;
mod session;
mod wire;

use std::time::Duration;

use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

pub(crate) use login::Login;

use self::{session::Session, wire::Room};
use crate::store::Store;

/// Connections at once.
const CONNECTIONS: usize = 256;
/// Nothing is accepted for so long after an error of the system's.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop`, and then until every conversation has ended: whoever waits sets the limit.
pub(crate) async fn serve(
    listener: TcpListener,
    store: Store,
    login: Option<Login>,
    stop: CancellationToken,
) {
    let room = Room::default();
    // Dropped, it closes what is still open.
    let mut sessions = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            // Ended ones are taken out, or they would be kept for ever.
            Some(_) = sessions.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) if sessions.len() < CONNECTIONS => {
                let session = Session::new(
                    stream,
                    store.clone(),
                    login.clone(),
                    room.clone(),
                    stop.clone(),
                );
                sessions.spawn(session.run());
            }
            Ok((stream, _)) => turn_away(stream).await,
            // A client that left before it was served, or no descriptor being free: both pass.
            Err(_) => sleep(PAUSE).await,
        }
    }
    drop(listener);
    while sessions.join_next().await.is_some() {}
}

/// Without waiting: a new connection takes so few octets at once.
async fn turn_away(mut stream: TcpStream) {
    let answer = b"421 4.3.2 too many connections, try again later\r\n";
    let _ = timeout(PAUSE, stream.write_all(answer)).await;
}
