//! What a name leads to, asked every few seconds and whenever a connection failed. No answer, an
//! empty one and a refusal change nothing: whatever was known last is better than nothing.

use std::{collections::BTreeSet, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use tokio::{
    sync::{Notify, watch},
    time::{sleep, timeout},
};
use tokio_util::task::AbortOnDropHandle;

use super::host_port::HostPort;
use crate::{random, words};

/// How often the name is asked for. Cluster DNS keeps an answer for five seconds: oftener would
/// only hear the same again.
const PERIOD: Duration = Duration::from_secs(3);
/// Between two questions at least, however many connections fail.
const SHORTEST_GAP: Duration = Duration::from_millis(500);
/// Who asks for a name that nothing is known of waits so long for the first answer.
const PROMPT: Duration = Duration::from_millis(800);
/// When a question is given up, and asked anew.
const LONGEST: Duration = Duration::from_secs(10);

/// What is known of a name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Resolved {
    /// Where it leads, or led when that was last heard; empty before the first answer.
    pub(super) addresses: BTreeSet<SocketAddr>,
    /// Why the newest question was not answered.
    pub(super) trouble: Option<String>,
}

/// Asks for a name until it is dropped.
#[derive(Debug)]
pub(super) struct Resolver {
    known: watch::Receiver<Resolved>,
    ask: Arc<Notify>,
    _asking: AbortOnDropHandle<()>,
}

impl Resolver {
    pub(super) fn start(name: HostPort) -> Self {
        let (sender, known) = watch::channel(Resolved::default());
        let ask = Arc::new(Notify::new());
        let asking = tokio::spawn(ask_for(name, sender, Arc::clone(&ask)));
        Self {
            known,
            ask,
            _asking: AbortOnDropHandle::new(asking),
        }
    }

    /// What is known from now on.
    pub(super) fn known(&self) -> watch::Receiver<Resolved> {
        self.known.clone()
    }

    /// Notified, it asks at once.
    pub(super) fn ask(&self) -> Arc<Notify> {
        Arc::clone(&self.ask)
    }
}

async fn ask_for(name: HostPort, known: watch::Sender<Resolved>, ask: Arc<Notify>) {
    loop {
        let mut answer = pin!(name.look_up());
        let in_time = match timeout(PROMPT, &mut answer).await {
            Ok(answer) => answer,
            Err(_) => {
                // Said before the question is given up: callers are not to wait for so long.
                take_in(&name, &known, Err(io::ErrorKind::TimedOut.into()));
                let late = timeout(LONGEST, &mut answer).await;
                late.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            }
        };
        take_in(&name, &known, in_time);
        sleep(SHORTEST_GAP).await;
        // Replicas that were started together do not ask together.
        let wait = PERIOD.mul_f64(0.8 + 0.2 * random::fraction());
        tokio::select! {
            () = sleep(wait) => {}
            () = ask.notified() => {}
        }
    }
}

fn take_in(
    name: &HostPort,
    known: &watch::Sender<Resolved>,
    answer: io::Result<BTreeSet<SocketAddr>>,
) {
    known.send_if_modified(|known| {
        let before = known.clone();
        match answer {
            Ok(addresses) if !addresses.is_empty() => {
                *known = Resolved {
                    addresses,
                    trouble: None,
                };
            }
            Ok(_) => known.trouble = Some("the answer names no address".to_owned()),
            Err(error) => known.trouble = Some(words::of_io(&error)),
        }
        tell(name, &before, known);
        *known != before
    });
}

/// Says that a trouble begins, and that it is over, however often the name is asked for meanwhile.
fn tell(name: &HostPort, before: &Resolved, now: &Resolved) {
    let name = name.host();
    match (&before.trouble, &now.trouble) {
        (None, Some(why)) if now.addresses.is_empty() => tracing::warn!(
            name,
            "A name leads to no address: {why}. Calls to it fail until it does; it is asked for every few seconds. Check \
             that it is spelt right, and that a replica behind it is ready."
        ),
        (None, Some(why)) => tracing::warn!(
            name,
            addresses = now.addresses.len(),
            "A name could not be resolved anew: {why}. The addresses that it led to stay in use; it is asked for every few \
             seconds."
        ),
        (Some(_), None) => tracing::info!(
            name,
            addresses = now.addresses.len(),
            "The name is resolved again."
        ),
        _ => {}
    }
}
