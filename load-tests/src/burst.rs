//! A burst: many sign up at once before a mail server that takes its time. Whoever is one too many is
//! refused and told when to come again, so that what waits waits in databases, and memory stays
//! bounded. `callers` are those who sign up, `report` tells.

mod callers;
pub mod report;

use std::{path::PathBuf, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::{Instant, interval, sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    people::People,
    place::Place,
    sink::{Moods, Sink},
    system::System,
    taken,
};
use callers::{Callers, Counts};
use report::{Borne, Memory};

/// Between two looks at their memory.
const LOOK: Duration = Duration::from_millis(250);
/// How long no mail may come while some are owed.
const PATIENCE: Duration = Duration::from_secs(60);
const SERVICES: [Place; 3] = [Place::Accounts, Place::Verification, Place::Mailer];

/// Everything that decides about such a run.
#[derive(Debug, Clone)]
pub struct Burst {
    /// The command `usher`.
    pub usher: PathBuf,
    /// How many sign up.
    pub accounts: u64,
    /// How many of them at once.
    pub at_once: usize,
    /// Connections that they are spread over.
    pub connections: usize,
    /// How long the mail server takes for a mail.
    pub answer: Duration,
    /// Connections that it takes.
    pub mail_connections: u16,
    /// MiB that a service may take.
    pub memory: u64,
    /// Decides who signs up.
    pub seed: u64,
}

impl Burst {
    /// Does it; nothing is reported of what Ctrl-C ended.
    ///
    /// # Errors
    /// When the system cannot be started, or does not stop in order.
    pub async fn start(&self) -> anyhow::Result<Option<Borne>> {
        let sink = Sink::listen(([127, 0, 0, 1], 0).into(), Moods::none()).await?;
        sink.answer_after(self.answer);
        let connections = self.mail_connections.to_string();
        let settings = [("USHER_MAIL_CONNECTIONS", connections.as_str())];
        let mut system = System::up(&self.usher, &sink.url(), None, &settings).await?;
        let borne = tokio::select! {
            borne = self.bear(&system, &sink) => borne.map(Some),
            interrupted = tokio::signal::ctrl_c() => {
                interrupted?;
                Ok(None)
            }
        };
        let stopped = system.stop().await;
        let borne = borne?;
        stopped?;
        Ok(borne)
    }

    async fn bear(&self, system: &System, sink: &Sink) -> anyhow::Result<Borne> {
        let bar = progress(self.accounts);
        let counts = Counts::default();
        let callers = Callers {
            people: People {
                seed: self.seed,
                tag: "burst".to_owned(),
                gone: 0.0,
                scattered: true,
            },
            accounts: self.accounts,
            at_once: self.at_once,
            connections: self.connections,
        };
        let quiet = memory(system)?;
        let (begin, over) = (Instant::now(), CancellationToken::new());
        let burst = async {
            let called = callers.call(&system.target().accounts_urls, &counts).await;
            let lasting = begin.elapsed();
            let mails = mails(sink, counts.acknowledged()).await;
            over.cancel();
            called.map(|()| (lasting, mails))
        };
        let tell = || {
            bar.set_position(u64::try_from(sink.count()).unwrap_or_default());
            bar.set_message(counts.to_string());
        };
        let (ended, peaks) = tokio::join!(burst, peaks(system, quiet, &over, tell));
        bar.finish_and_clear();
        let (lasting, mails) = ended?;
        let services = SERVICES.iter().zip(quiet).zip(peaks?);
        let services = services.map(|((service, quiet), peak)| Memory {
            name: service.name(),
            quiet,
            peak,
        });
        Ok(Borne {
            services: services.collect(),
            asked: self.accounts,
            acknowledged: counts.acknowledged(),
            refused: counts.refused(),
            without_hint: counts.without_hint(),
            mails,
            lasting,
            until_the_last_mail: begin.elapsed(),
            bound: self.memory,
        })
    }
}

/// Waits for the mails of all who were acknowledged, as long as there are more, and counts them.
async fn mails(sink: &Sink, all: u64) -> u64 {
    let (mut count, mut since) = (0, Instant::now());
    loop {
        let now = u64::try_from(sink.count()).unwrap_or_default();
        if now > count {
            (count, since) = (now, Instant::now());
        }
        if count >= all || since.elapsed() > PATIENCE {
            return count;
        }
        sleep(LOOK).await;
    }
}

/// The most KiB that each service had until it was `over`; `tell` is called at each look.
async fn peaks(
    system: &System,
    mut peaks: [u64; 3],
    over: &CancellationToken,
    tell: impl Fn(),
) -> anyhow::Result<[u64; 3]> {
    let mut ticks = interval(LOOK);
    while over.run_until_cancelled(ticks.tick()).await.is_some() {
        for (peak, now) in peaks.iter_mut().zip(memory(system)?) {
            *peak = now.max(*peak);
        }
        tell();
    }
    Ok(peaks)
}

/// KiB of each service.
fn memory(system: &System) -> anyhow::Result<[u64; 3]> {
    let mut each = [0; 3];
    for (each, service) in each.iter_mut().zip(SERVICES) {
        *each = taken::share_of_memory(system, service)?;
    }
    Ok(each)
}

fn progress(accounts: u64) -> ProgressBar {
    let style =
        ProgressStyle::with_template("{elapsed_precise} {bar:30} {pos}/{len} mailed, {msg}");
    let bar = ProgressBar::new(accounts);
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
