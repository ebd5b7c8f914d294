//! A name that leads to addresses, `HOST:PORT`, and one question about it.

use std::{
    collections::BTreeSet,
    io,
    net::{SocketAddr, ToSocketAddrs as _},
    thread,
};

use http::Uri;
use tokio::sync::oneshot;

use crate::config::named_host;

#[derive(Debug, Clone)]
pub(super) struct HostPort {
    host: String,
    port: u16,
}

impl HostPort {
    /// Of `dns:///HOST:PORT`.
    pub(super) fn parse(url: &str) -> Option<Self> {
        named_host(url).map(|(host, port)| Self { host, port })
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// What calls are for, whichever address answers them.
    pub(super) fn uri(&self) -> Result<Uri, http::uri::InvalidUri> {
        let Self { host, port } = self;
        match host.contains(':') {
            true => format!("http://[{host}]:{port}").parse(),
            false => format!("http://{host}:{port}").parse(),
        }
    }

    /// Every address that it leads to. The operating system's resolver is asked, so that
    /// `/etc/hosts`, search domains and a changed `resolv.conf` count as they do for every program;
    /// it tells no lifetimes, hence the question every few seconds.
    pub(super) async fn look_up(&self) -> io::Result<BTreeSet<SocketAddr>> {
        #[cfg(feature = "testing")]
        if let Some(answer) = super::name::answer_for(&self.host).await {
            return answer;
        }
        let place = (self.host.clone(), self.port);
        let (sender, answer) = oneshot::channel();
        // A thread of its own, which nobody waits for: a question that no server answers takes the
        // system half a minute, and a runtime does not end before what blocks its own threads.
        thread::Builder::new()
            .name("dns".to_owned())
            .spawn(move || {
                let found = place.to_socket_addrs();
                let _ = sender.send(found.map(Iterator::collect));
            })?;
        let unanswered = |_| Err(io::ErrorKind::TimedOut.into());
        answer.await.unwrap_or_else(unanswered)
    }
}
