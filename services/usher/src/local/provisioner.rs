//! Keeps the broker of `usher up` as it should be: makes the streams at the start and again every
//! few seconds, because whoever deletes one at run time would otherwise stop the journey, and
//! starts a nats-server again whose JetStream is dead: one whose disk was full once stays so.

use std::time::Duration;

use kit::{
    bus::{self, Bus},
    words,
};
use tokio::{
    task::AbortHandle,
    time::{Instant, MissedTickBehavior, interval, sleep},
};

use super::{
    logs::{Level, Log},
    run_file::RunFile,
    supervise::Process,
};
use crate::{broker, exit::Failure, probe};

const EVERY: Duration = Duration::from_secs(5);
/// A nats-server is up in 11 to 34 ms; with a large store it reads that first.
const FIRST_WITHIN: Duration = Duration::from_secs(20);
/// Looks in a row that find it ailing before it is started again: what passes by itself may pass.
const AILING: u32 = 3;
/// Pause before it is started once more; doubled each time, up to `LONGEST_PAUSE`.
const FIRST_PAUSE: Duration = Duration::from_secs(60);
const LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);

/// JetStream's word for a stream that takes no more until somebody has read it.
const FULL: &str = "maximum ";

/// The repetition; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Provisioner(AbortHandle);

impl Provisioner {
    /// Waits for the broker, makes the streams and goes on looking after it.
    pub(crate) async fn start(run: &RunFile, process: Process, log: Log) -> Result<Self, Failure> {
        let bus = Bus::connect(&run.broker(), "usher").await?;
        // The client connects again by itself until the server that was just started listens.
        let deadline = Instant::now() + FIRST_WITHIN;
        while !bus.is_connected() && Instant::now() < deadline {
            sleep(Duration::from_millis(10)).await;
        }
        if let Err(error) = bus::provision(&bus, Some(1)).await {
            return Err(broker::not_provisioned(&bus, &error).await);
        }
        let keeper = BrokerKeeper {
            bus,
            admin_urls: [&run.services.accounts, &run.services.verification]
                .map(|service| service.admin_url.clone()),
            process,
            log,
            said: None,
        };
        Ok(Self(tokio::spawn(keeper.run()).abort_handle()))
    }
}

impl Drop for Provisioner {
    fn drop(&mut self) {
        self.0.abort();
    }
}

struct BrokerKeeper {
    bus: Bus,
    /// Of the services that publish and pull.
    admin_urls: [String; 2],
    process: Process,
    log: Log,
    /// What was said of the streams last.
    said: Option<String>,
}

impl BrokerKeeper {
    async fn run(mut self) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await; // the first tick is at once
        let (mut ailing, mut not_before, mut pause) = (0, Instant::now(), FIRST_PAUSE);
        let mut starts = self.process.starts();
        loop {
            ticks.tick().await;
            if starts != self.process.starts() {
                // It may still read a large store.
                starts = self.process.starts();
                ailing = 0;
                not_before = not_before.max(Instant::now() + FIRST_PAUSE);
            }
            let (why, may_help) = self.look().await;
            let Some(why) = why else {
                ailing = 0;
                continue;
            };
            ailing += 1;
            if ailing < AILING || !may_help || Instant::now() < not_before {
                continue;
            }
            if Instant::now() > not_before + LONGEST_PAUSE {
                pause = FIRST_PAUSE; // what ailed it then is over
            }
            let notice =
                format!("it {why}; `usher up` starts it again now, and events wait meanwhile");
            self.log.notice(Level::Warn, notice);
            self.process.end().await;
            ailing = 0;
            not_before = Instant::now() + pause;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// What ails the broker, and whether a restart may help: not while a disk or a stream is full,
    /// nor against what somebody made of its streams.
    async fn look(&mut self) -> (Option<String>, bool) {
        if !self.bus.is_connected() {
            return (Some("does not answer".to_owned()), true);
        }
        let provisioned = bus::provision(&self.bus, Some(1)).await;
        let Err(error) = provisioned else {
            self.said = None;
            let complaint = self.complaint().await;
            let is_full = complaint.as_ref().is_some_and(|why| why.contains(FULL));
            return (complaint, !is_full);
        };
        let said = format!(
            "its streams cannot be checked, and events may wait: {}",
            words::of_chain(&error)
        );
        if self.said.as_ref() != Some(&said) {
            self.log.notice(Level::Warn, said.clone());
            self.said = Some(said); // once, and not every few seconds
        }
        match bus::look(&self.bus).await {
            Some(sight) if sight.is_dead() => (Some(sight.told().reason), true),
            Some(sight) => (Some(sight.told().reason), false),
            None => (self.complaint().await, false),
        }
    }

    /// What a service says of the broker.
    async fn complaint(&self) -> Option<String> {
        for admin_url in &self.admin_urls {
            if let Ok(readiness) = probe::readiness(admin_url).await
                && let Some(told) = readiness.degraded.get("broker")
            {
                let reason = told.reason.trim_start_matches("the broker ");
                return Some(reason.to_owned());
            }
        }
        None
    }
}
