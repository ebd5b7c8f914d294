//! A mail server in the process that does what a test tells it: refuse, stall, hang up or talk
//! nonsense at any step. It plays the outside world; what it accepted is kept for the test to look
//! at.

mod login;
mod script;
mod session;
mod shared;
mod tls;
mod wire;

use std::{sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinSet},
    time::timeout,
};

use script::Script;
pub use script::{On, Phase};
use session::Session;
use shared::Shared;
pub use shared::{Certificate, Mail, Pipelining, Setup, Tls};
use tls::Identity;

use super::SOON;

/// A running mail server; gone on drop, with all its connections.
#[derive(Debug)]
pub struct SmtpServer {
    port: u16,
    setup: Setup,
    identity: Identity,
    shared: Arc<Shared>,
    task: AbortHandle,
}

impl SmtpServer {
    /// Starts a server without TLS and login that accepts everything.
    pub async fn start() -> Self {
        Self::with(Setup::default()).await
    }

    /// Starts a server as `setup` says, on a free port.
    ///
    /// # Panics
    /// When no port can be had.
    pub async fn with(setup: Setup) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .expect("a port can be had");
        let port = listener
            .local_addr()
            .expect("a listener has an address")
            .port();
        let (identity, shared) = (
            Identity::new(setup.certificate),
            Arc::new(Shared::default()),
        );
        let task = tokio::spawn(accept(
            listener,
            setup.clone(),
            identity.clone(),
            shared.clone(),
        ));
        Self {
            port,
            setup,
            identity,
            shared,
            task: task.abort_handle(),
        }
    }

    /// What goes into `USHER_MAIL_URL`, without a login.
    pub fn url(&self) -> String {
        let scheme = if self.setup.tls == Tls::Implicit {
            "smtps"
        } else {
            "smtp"
        };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The authority that signed its certificate, as PEM; the certificate itself if nobody else
    /// signed it.
    pub fn ca_pem(&self) -> &str {
        self.identity.ca_pem()
    }

    /// Begins a rule for one step of the conversation:
    /// `server.on(Phase::Rcpt).to("a@b").times(2).answer(…)`. Of several that fit, the oldest acts
    /// until it is used up.
    pub fn on(&self, phase: Phase) -> On<'_> {
        On::new(&self.shared.script, phase)
    }

    /// Forgets all rules: the server behaves again. Conversations that hang keep hanging.
    pub fn behave(&self) {
        *self.shared.script() = Script::default();
    }

    /// All mails accepted so far, in that order.
    pub fn mails(&self) -> Vec<Mail> {
        self.shared.state().mails.clone()
    }

    /// Waits until at least `count` mails were accepted, and returns all of them.
    ///
    /// # Panics
    /// When the deadline passes before.
    pub async fn wait_for(&self, count: usize, deadline: Duration) -> Vec<Mail> {
        let enough = self.changes_until(|server| server.shared.state().mails.len() >= count);
        let waited = timeout(deadline, enough).await;
        let mails = self.mails();
        assert!(
            waited.is_ok(),
            "waited {deadline:?} for {count} mails, {} came",
            mails.len()
        );
        mails
    }

    /// Waits until its mails and connections are as `holds` says.
    ///
    /// # Panics
    /// When they do not become so, with `what` was waited for.
    pub async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let waited = timeout(SOON, self.changes_until(holds)).await;
        assert!(waited.is_ok(), "waited {SOON:?} in vain for {what}");
    }

    async fn changes_until(&self, holds: impl Fn(&Self) -> bool) {
        // Before the first look: what changes between the two is not missed.
        let mut changes = self.shared.changed.subscribe();
        while !holds(self) {
            changes
                .changed()
                .await
                .expect("the server keeps the sender");
        }
    }

    /// Final dots that have come so far, whether answered or not.
    pub fn final_dots(&self) -> usize {
        self.shared.state().final_dots
    }

    /// Connections ever opened.
    pub fn connections(&self) -> usize {
        self.shared.state().opened
    }

    /// Connections that are open now.
    pub fn open_connections(&self) -> usize {
        self.shared.state().open
    }

    /// Most connections that were open at once.
    pub fn peak_connections(&self) -> usize {
        self.shared.state().peak
    }
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, setup: Setup, identity: Identity, shared: Arc<Shared>) {
    // The sessions, in the set, are aborted with it: a test that ends leaves no connection open.
    let mut sessions = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (setup, identity, shared) = (setup.clone(), identity.clone(), shared.clone());
        sessions.spawn(serve(stream, setup, identity, shared));
    }
}

async fn serve(stream: TcpStream, setup: Setup, identity: Identity, shared: Arc<Shared>) {
    let _open = Open::count(shared.clone());
    // Without it each reply would wait for the peer's delayed acknowledgement.
    if stream.set_nodelay(true).is_ok() {
        Session::new(stream, setup, identity, shared).run().await;
    }
}

/// Counts a connection for as long as it lives.
struct Open(Arc<Shared>);

impl Open {
    fn count(shared: Arc<Shared>) -> Self {
        let mut state = shared.state();
        state.opened += 1;
        state.open += 1;
        state.peak = state.peak.max(state.open);
        drop(state);
        shared.changed.send_replace(());
        Self(shared)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.state().open -= 1;
        self.0.changed.send_replace(());
    }
}
