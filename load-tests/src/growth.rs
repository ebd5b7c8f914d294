//! Growth: what an account costs must not depend on how many there are already. Systems that differ
//! in nothing else take the same sign-ups in turn, and what the services took of a processor for an
//! account is compared.
//!
//! `rows` are those of the people who signed up before; `report` tells.

pub mod report;
mod rows;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use kit::{clock::Clock, testing::run_sql};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{
    load::{Asked, Load},
    people::People,
    place::SERVICES,
    sink::{Moods, Sink},
    system::System,
    taken,
    terminal::{bar, unless_interrupted},
};
use report::{Grown, sum};
use rows::Settled;

/// Sign-ups that nobody measures: the first ones find everything cold.
const WARM_UP: u64 = 200;
/// The mail of whoever signed up is there by then.
const PATIENCE: Duration = Duration::from_secs(60);
/// What is done behind an account's mail, as its event's row is marked: it is counted, too.
const BEHIND: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(20);

/// Everything that decides about such a run.
#[derive(Debug, Clone)]
pub struct Growth {
    /// The command `usher`.
    pub usher: PathBuf,
    /// How many people there are before; the first size is what the others are compared with.
    pub sizes: Vec<u64>,
    /// How many sign up in each round.
    pub accounts: u64,
    /// How many of them a second.
    pub rate: f64,
    /// How often each system has its turn.
    pub rounds: usize,
    /// How many times as much as with the first size an account may take.
    pub bound: f64,
    /// Decides who signs up.
    pub seed: u64,
}

/// One system with its mail server.
struct Populated {
    size: u64,
    system: System,
    sink: Sink,
    /// Microseconds for an account, of each service, one a round.
    rounds: Vec<[f64; 3]>,
}

impl Growth {
    /// Does it; nothing is reported of what Ctrl-C ended.
    ///
    /// # Errors
    /// When a system cannot be started or filled, or somebody who signs up gets no mail.
    pub async fn start(&self) -> anyhow::Result<Option<Grown>> {
        unless_interrupted(self.measure()).await
    }

    async fn measure(&self) -> anyhow::Result<Grown> {
        let turns = self.sizes.len() * self.rounds;
        let bar = bar(u64::try_from(self.sizes.len() + turns)?);
        let mut grounds = Vec::new();
        for size in &self.sizes {
            bar.set_message(format!("{size} accounts are put into a system"));
            grounds.push(self.ground(*size).await?);
            bar.inc(1);
        }
        // In turn, so that what else the machine does meets all of them.
        for round in 1..=self.rounds {
            for ground in &mut grounds {
                bar.set_message(format!(
                    "round {round}: {} accounts were there",
                    ground.size
                ));
                let taken = self.round(ground, round).await?;
                ground.rounds.push(taken);
                bar.inc(1);
            }
        }
        bar.finish_and_clear();
        for ground in &mut grounds {
            ground.system.stop().await?;
        }
        let sizes = grounds
            .iter()
            .map(|ground| (ground.size, median(&ground.rounds)));
        Ok(Grown {
            sizes: sizes.collect(),
            bound: self.bound,
        })
    }

    async fn ground(&self, size: u64) -> anyhow::Result<Populated> {
        let sink = Sink::listen(([127, 0, 0, 1], 0).into(), Moods::none()).await?;
        let system = System::up(&self.usher, &sink.url(), None, &[]).await?;
        let mut ground = Populated {
            size,
            system,
            sink,
            rounds: Vec::new(),
        };
        // Their rows are what the others' are copied from.
        self.sign_up(&mut ground, "first", 10).await?;
        sleep(BEHIND).await; // until the events of these are marked as published
        let settled = Settled {
            people: size,
            until: Clock::default().now().0 - 60_000_000,
        };
        for filling in settled.fillings(&ground.system.data()) {
            let filled = run_sql(&filling.file, filling.statements).await;
            filled.with_context(|| format!("{} cannot be filled", filling.file.display()))?;
        }
        self.sign_up(&mut ground, "warm", WARM_UP).await?;
        sleep(BEHIND).await;
        Ok(ground)
    }

    async fn round(&self, ground: &mut Populated, round: usize) -> anyhow::Result<[f64; 3]> {
        let before = cpu(&ground.system)?;
        self.sign_up(ground, &format!("round{round}"), self.accounts)
            .await?;
        sleep(BEHIND).await;
        let after = cpu(&ground.system)?;
        let mut each = [0.0; 3];
        for (each, (before, after)) in each.iter_mut().zip(before.iter().zip(after)) {
            *each = micros(after.saturating_sub(*before)) / accounts(self.accounts);
        }
        Ok(each)
    }

    /// Lets so many sign up, and waits for their mails.
    async fn sign_up(&self, ground: &mut Populated, tag: &str, number: u64) -> anyhow::Result<()> {
        let load = Load {
            rate: self.rate,
            lasting: Duration::from_secs_f64(accounts(number) / self.rate),
            connections: 4,
            repeating: Duration::ZERO,
        };
        let people = People {
            seed: self.seed,
            tag: tag.to_owned(),
            gone: 0.0,
            scattered: true,
        };
        let mails = ground.sink.count();
        let (urls, to_the_end) = (
            &ground.system.target().accounts_urls,
            CancellationToken::new(),
        );
        let asked = load.run(urls, &people, &to_the_end, |_| {}).await?;
        let is_refused = |one: &&Asked| !one.answer.is_acknowledged();
        if let Some(refused) = asked.iter().find(is_refused) {
            anyhow::bail!(
                "With {} accounts there a sign-up was answered {:?}: a lower --rate may help.",
                ground.size,
                refused.answer
            );
        }
        let (all, begin) = (mails + asked.len(), Instant::now());
        while ground.sink.count() < all {
            ensure!(
                begin.elapsed() < PATIENCE,
                "With {} accounts there {} mails are missing a minute after the last sign-up.",
                ground.size,
                all - ground.sink.count()
            );
            sleep(LOOK).await;
        }
        Ok(())
    }
}

/// Of each service, so far.
fn cpu(system: &System) -> anyhow::Result<[Duration; 3]> {
    let mut each = [Duration::ZERO; 3];
    for (each, service) in each.iter_mut().zip(SERVICES) {
        *each = taken::by_service(system, service)?.cpu;
    }
    Ok(each)
}

/// The round in the middle, as a whole; of two the dearer one.
fn median(rounds: &[[f64; 3]]) -> [f64; 3] {
    let mut rounds = rounds.to_vec();
    rounds.sort_unstable_by(|one, other| sum(*one).total_cmp(&sum(*other)));
    rounds.get(rounds.len() / 2).copied().unwrap_or_default()
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 accounts")]
fn accounts(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_rounds_the_one_in_the_middle_counts_as_a_whole() {
        let rounds = [[9.0; 3], [1.0, 9.0, 1.0], [3.0, 3.0, 3.0], [4.0, 4.0, 4.0]];
        assert_eq!(median(&rounds[..3]), [1.0, 9.0, 1.0]);
        assert_eq!(median(&rounds), [4.0; 3]);
        assert_eq!(median(&rounds[..1]), [9.0; 3]);
    }
}
