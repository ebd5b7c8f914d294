//! A burst: many sign up at once before a mail server that takes its time. Whoever is one too many is
//! refused and told when to come again, so that what waits waits in databases, and memory stays
//! bounded. `callers` are those who sign up, `report` tells.

mod callers;
pub mod report;

use std::{path::PathBuf, time::Duration};

use tokio::time::{Instant, interval, sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    people::People,
    place::SERVICES,
    sink::{Moods, Sink},
    system::System,
    taken,
    terminal::{bar, unless_interrupted},
};
use callers::{Callers, Counts};
use report::{Borne, Memory};

/// Between two looks at their memory.
const LOOK: Duration = Duration::from_millis(250);
/// How long no mail may come while some are owed.
const PATIENCE: Duration = Duration::from_secs(60);

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
        let borne = unless_interrupted(self.bear(&system, &sink)).await;
        let stopped = system.stop().await;
        let borne = borne?;
        stopped?;
        Ok(borne)
    }

    async fn bear(&self, system: &System, sink: &Sink) -> anyhow::Result<Borne> {
        let bar = bar(self.accounts);
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
        let mut looks = Looks::begin(memory(system)?);
        let (begin, over) = (Instant::now(), CancellationToken::new());
        let burst = async {
            let called = callers.call(&system.target().accounts_urls, &counts).await;
            let lasting = begin.elapsed();
            let mails = mails(sink, counts.acknowledged()).await;
            over.cancel();
            called.map(|()| (lasting, mails))
        };
        let look = async {
            let mut ticks = interval(LOOK);
            while over.run_until_cancelled(ticks.tick()).await.is_some() {
                // In this order: what they take now was taken after the first refusal.
                let is_refusing = counts.refused() > 0;
                looks.note(memory(system)?, is_refusing);
                bar.set_position(u64::try_from(sink.count()).unwrap_or_default());
                bar.set_message(format!("mailed, {counts}"));
            }
            anyhow::Ok(())
        };
        let (ended, looked) = tokio::join!(burst, look);
        bar.finish_and_clear();
        let (lasting, mails) = ended?;
        looked?;
        Ok(Borne {
            services: looks.tell(),
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

/// KiB of each service, as it was seen.
#[derive(Debug)]
struct Looks {
    quiet: [u64; 3],
    first_refused: Option<[u64; 3]>,
    peaks: [u64; 3],
}

impl Looks {
    fn begin(quiet: [u64; 3]) -> Self {
        Self {
            quiet,
            first_refused: None,
            peaks: quiet,
        }
    }

    fn note(&mut self, now: [u64; 3], is_refusing: bool) {
        for (peak, now) in self.peaks.iter_mut().zip(now) {
            *peak = now.max(*peak);
        }
        if is_refusing {
            self.first_refused.get_or_insert(now);
        }
    }

    fn tell(&self) -> Vec<Memory> {
        let each = SERVICES.iter().enumerate();
        let each = each.map(|(at, service)| Memory {
            name: service.name(),
            quiet: self.quiet[at],
            first_refused: self.first_refused.map(|each| each[at]),
            peak: self.peaks[at],
        });
        each.collect()
    }
}

/// KiB of each service.
fn memory(system: &System) -> anyhow::Result<[u64; 3]> {
    let mut each = [0; 3];
    for (each, service) in each.iter_mut().zip(SERVICES) {
        *each = taken::share_of_memory(system, service)?;
    }
    Ok(each)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_all_looks_the_most_is_kept_and_the_first_at_which_somebody_had_been_refused() {
        let mut looks = Looks::begin([5; 3]);
        looks.note([6, 9, 4], false);
        looks.note([7, 8, 4], true);
        looks.note([8, 7, 4], true);
        let told = looks.tell();
        let of_all = |of: fn(&Memory) -> Option<u64>| told.iter().map(of).collect::<Vec<_>>();
        assert_eq!(of_all(|it| Some(it.peak)), [8, 9, 5].map(Some));
        assert_eq!(of_all(|it| it.first_refused), [7, 8, 4].map(Some));
        assert_eq!(of_all(|it| Some(it.quiet)), [5; 3].map(Some));
    }
}
