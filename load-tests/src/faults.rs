//! What befalls the parts of a system, and when: `Plan` follows from a seed alone, so that a
//! failing run is run again, and is carried out against a system while `load` goes on.

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, Instant},
};

use clap::ValueEnum;
use rand::{RngExt as _, rngs::StdRng, seq::IndexedRandom as _};
use rustix::process::Signal;
use serde::Serialize;
use tokio::{task::JoinSet, time::sleep_until};

use crate::{
    chance::dice,
    system::{Part, System},
};
use kit::testing::signal;

/// How a part is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// SIGKILL: a crash; `usher up` starts it again
    Kill,
    /// SIGTERM: it drains and ends; `usher up` starts it again
    Stop,
    /// SIGSTOP, and SIGCONT after up to 12 s: it stands still, its connections open
    Pause,
}

/// One thing that befalls one part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// From the start of the load.
    pub at: Duration,
    /// Whom.
    pub part: Part,
    /// How.
    pub kind: Kind,
    /// With `Pause`: for how long.
    pub lasting: Duration,
}

/// All faults of a run, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan(pub Vec<Fault>);

impl Plan {
    /// Draws faults with `every` between them on average, for as long as `lasting`.
    pub fn draw(
        seed: u64,
        lasting: Duration,
        every: Duration,
        kinds: &[Kind],
        parts: &[Part],
    ) -> Self {
        let mut dice = dice(seed, "plan of faults");
        let mut faults = Vec::new();
        // The first ones come when there is something to lose.
        let mut at = Duration::from_secs(2);
        loop {
            at += every.mul_f64(waiting_time(&mut dice));
            let drawn = (weighted(kinds, &mut dice), parts.choose(&mut dice));
            // Drawn for every kind, so that which one it is does not shift all that follows.
            let seconds = dice.random_range(0.3..12.0);
            let (Some(kind), Some(part)) = drawn else {
                break;
            };
            if at >= lasting {
                break;
            }
            let pause = match kind {
                Kind::Pause => Duration::from_secs_f64(seconds),
                Kind::Kill | Kind::Stop => Duration::ZERO,
            };
            faults.push(Fault {
                at: millis(at),
                part: *part,
                kind,
                lasting: millis(pause),
            });
        }
        Self(faults)
    }

    /// Does what is planned, from `start` on, and returns when the last pause is over, with how
    /// often each kind met a part that ran. `done` is called after each fault.
    pub async fn carry_out(
        &self,
        system: &System,
        start: Instant,
        mut done: impl FnMut(&Fault),
    ) -> BTreeMap<Kind, u64> {
        let mut met = BTreeMap::new();
        let mut pauses = JoinSet::new();
        for fault in &self.0 {
            sleep_until((start + fault.at).into()).await;
            let Some(process) = system.process(fault.part) else {
                // It is being started again.
                continue;
            };
            // It may have ended since it was found: then nothing befell it, and it is not counted.
            if signal(process, fault.kind.signal()) {
                *met.entry(fault.kind).or_default() += 1;
                done(fault);
            }
            if fault.kind == Kind::Pause {
                let end = start + fault.at + fault.lasting;
                pauses.spawn(async move {
                    sleep_until(end.into()).await;
                    signal(process, Signal::CONT);
                });
            }
        }
        while pauses.join_next().await.is_some() {}
        // A part that was paused and then asked to stop is awake by now; so is every other one.
        system.wake();
        met
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for fault in &self.0 {
            writeln!(f, "  {fault}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (at, part) = (self.at.as_secs_f64(), self.part.name());
        let lasting = self.lasting.as_secs_f64();
        match self.kind {
            Kind::Kill => write!(f, "{at:8.3} s  kill   {part}"),
            Kind::Stop => write!(f, "{at:8.3} s  stop   {part}"),
            Kind::Pause => write!(f, "{at:8.3} s  pause  {part} for {lasting:.3} s"),
        }
    }
}

impl Kind {
    fn signal(self) -> Signal {
        match self {
            Self::Kill => Signal::KILL,
            Self::Stop => Signal::TERM,
            Self::Pause => Signal::STOP,
        }
    }

    fn weight(self) -> u32 {
        match self {
            Self::Kill => 3,
            Self::Stop | Self::Pause => 1,
        }
    }
}

fn weighted(kinds: &[Kind], dice: &mut StdRng) -> Option<Kind> {
    let chosen = kinds.choose_weighted(dice, |kind| kind.weight());
    chosen.ok().copied()
}

/// Of independent events, the time to the next one, its mean being 1.
fn waiting_time(dice: &mut StdRng) -> f64 {
    -(1.0 - dice.random::<f64>()).ln()
}

/// What is printed is what is done.
fn millis(duration: Duration) -> Duration {
    Duration::from_millis(duration.as_millis().try_into().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(seed: u64) -> Plan {
        Plan::draw(
            seed,
            Duration::from_secs(300),
            Duration::from_secs(2),
            Kind::value_variants(),
            Part::value_variants(),
        )
    }

    #[test]
    fn a_seed_repeats_its_plan_and_another_one_has_another() {
        assert_eq!(plan(1), plan(1));
        assert_ne!(plan(1), plan(2));
    }

    #[test]
    fn a_plan_has_about_as_many_faults_as_were_asked_for_of_each_kind_on_each_part() {
        let Plan(faults) = plan(3);
        assert!((100..200).contains(&faults.len()), "{}", faults.len());
        assert!(faults.is_sorted_by_key(|fault| fault.at));
        assert!(
            faults
                .iter()
                .all(|fault| fault.at < Duration::from_secs(300))
        );
        for kind in Kind::value_variants() {
            for part in Part::value_variants() {
                let met = |fault: &Fault| fault.kind == *kind && fault.part == *part;
                assert!(faults.iter().any(met), "{kind:?} {part:?}");
            }
        }
    }

    #[test]
    fn without_kinds_there_are_no_faults() {
        let (lasting, every) = (Duration::from_secs(60), Duration::from_secs(1));
        let none = Plan::draw(1, lasting, every, &[], Part::value_variants());
        assert_eq!(none, Plan(Vec::new()));
    }
}
