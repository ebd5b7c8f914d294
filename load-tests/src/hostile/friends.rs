//! Who asks beside the sign-ups: probes, as an orchestrator sends them, and operators. Each asks
//! over a connection of its own, as both do.

use std::{net::SocketAddr, time::Duration};

use proto::{
    accounts::{ListAccountsRequest, accounts_admin_client::AccountsAdminClient},
    letters::ListDeadLettersRequest,
    mailer::{ListMailsRequest, mailer_admin_client::MailerAdminClient},
    verification::verification_admin_client::VerificationAdminClient,
};
use serde::Serialize;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::listener::Listener;
use crate::{load::channel, place::Place, target::Target};

const EVERY: Duration = Duration::from_secs(1);
/// What Kubernetes waits for a probe, where nobody says otherwise.
const PROBE: Duration = Duration::from_secs(1);
const CALL: Duration = Duration::from_secs(5);

/// Questions of one kind.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Questions {
    /// How many there were.
    pub asked: u64,
    /// How many got what they asked for.
    pub answered: u64,
    /// How long the slowest of them took, in seconds.
    pub slowest: f64,
    /// What the last one got that did not.
    pub trouble: Option<String>,
}

impl Questions {
    async fn ask(
        &mut self,
        what: &str,
        patience: Duration,
        question: impl Future<Output = anyhow::Result<()>>,
    ) {
        let since = Instant::now();
        let answer = timeout(patience, question).await;
        let answer = answer.unwrap_or_else(|_| Err(anyhow::anyhow!("no answer in {patience:?}")));
        self.asked += 1;
        match answer {
            Ok(()) => {
                self.answered += 1;
                self.slowest = self.slowest.max(since.elapsed().as_secs_f64());
            }
            Err(error) => self.trouble = Some(format!("{what}: {error:#}")),
        }
    }

    /// Whether every one was answered.
    pub fn is_all_answered(&self) -> bool {
        self.asked > 0 && self.asked == self.answered
    }
}

/// Asks a service every second until `over`: its probes, and its operators' listener.
pub(super) async fn ask(
    target: &Target,
    public: &Listener,
    admin: &Listener,
    over: &CancellationToken,
) -> (Questions, Questions) {
    let probes = async {
        let mut probes = Questions::default();
        let mut ticks = ticks();
        while over.run_until_cancelled(ticks.tick()).await.is_some() {
            for path in ["/livez", "/readyz", "/metrics"] {
                probes.ask(path, PROBE, http(admin.addr, path)).await;
            }
            let health = health(public.addr);
            probes.ask("grpc.health.v1", PROBE, health).await;
        }
        probes
    };
    let operators = async {
        let mut operators = Questions::default();
        let mut ticks = ticks();
        while over.run_until_cancelled(ticks.tick()).await.is_some() {
            let listed = list(target, admin);
            operators.ask("a list", CALL, listed).await;
        }
        operators
    };
    tokio::join!(probes, operators)
}

fn ticks() -> tokio::time::Interval {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

async fn http(addr: SocketAddr, path: &str) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(addr).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {addr}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await?;
    let line = reply.lines().next().unwrap_or_default();
    anyhow::ensure!(line.contains(" 200 "), "answered {line:?}");
    Ok(())
}

async fn health(addr: SocketAddr) -> anyhow::Result<()> {
    let mut health = HealthClient::new(channel(&format!("http://{addr}"))?);
    health.check(HealthCheckRequest::default()).await?;
    Ok(())
}

async fn list(target: &Target, admin: &Listener) -> anyhow::Result<()> {
    let channel = channel(&format!("http://{}", admin.addr))?;
    match admin.service {
        Place::Accounts => {
            let request = target.as_operator(ListAccountsRequest::default());
            AccountsAdminClient::new(channel)
                .list_accounts(request)
                .await?;
        }
        Place::Verification => {
            let request = target.as_operator(ListDeadLettersRequest::default());
            let mut admin = VerificationAdminClient::new(channel);
            admin.list_dead_letters(request).await?;
        }
        _ => {
            let request = target.as_operator(ListMailsRequest::default());
            MailerAdminClient::new(channel).list_mails(request).await?;
        }
    }
    Ok(())
}
