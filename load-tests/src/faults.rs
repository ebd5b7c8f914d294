//! What befalls a system, and when: a `Plan` follows from a seed alone, so that a failing run is run
//! again. `befall` carries it out.

use std::{collections::HashMap, fmt, ops::Range, time::Duration};

use clap::ValueEnum;
use rand::{RngExt as _, rngs::StdRng, seq::IndexedRandom as _};
use serde::Serialize;

use crate::{
    chance::dice,
    place::{Nature, Place, Spot},
};

/// How a place is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A process gets SIGKILL: a crash; it is started again
    Kill,
    /// A process gets SIGTERM: it drains and ends; it is started again
    Stop,
    /// A process gets SIGSTOP, and SIGCONT after up to 12 s: it stands still, its connections open
    Pause,
    /// Connections are reset, and refused for up to 5 s
    Cut,
    /// Of each connection's next bytes a part arrives, then it ends
    Halve,
    /// Connections fall silent for good; new ones work
    Swallow,
    /// Connections fall silent for good, new ones too, for up to 20 s
    Hole,
    /// Bytes take their time, for up to 20 s
    Slow,
    /// A disk has no free block, for up to 10 s
    Full,
}

/// One thing that befalls one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// From the start of the load.
    pub at: Duration,
    /// Where.
    pub spot: Spot,
    /// How.
    pub kind: Kind,
    /// For how long; zero where it is over at once.
    pub lasting: Duration,
}

/// All faults of a run, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan(pub Vec<Fault>);

impl Plan {
    /// Draws faults with `every` between them on average, for as long as `lasting`.
    pub(crate) fn draw(
        seed: u64,
        lasting: Duration,
        every: Duration,
        kinds: &[Kind],
        spots: &[Spot],
    ) -> Self {
        let mut dice = dice(seed, "plan of faults");
        let can_be = |kind: &&Kind| spots.iter().any(|spot| kind.befalls(*spot));
        let kinds: Vec<Kind> = kinds.iter().filter(can_be).copied().collect();
        let mut busy: HashMap<Spot, Duration> = HashMap::new();
        let mut faults = Vec::new();
        // The first ones come when there is something to lose.
        let mut at = Duration::from_secs(2);
        loop {
            at = millis(at + every.mul_f64(waiting_time(&mut dice)));
            let Some(kind) = weighted(&kinds, &mut dice) else {
                break;
            };
            let mut spots = spots.to_vec();
            spots.retain(|spot| kind.befalls(*spot));
            let (spot, part) = (spots.choose(&mut dice), dice.random::<f64>());
            let Some(spot) = spot.copied().filter(|_| at < lasting) else {
                break;
            };
            // What lasts is not ended by what comes next, but a process that stands still may be
            // killed.
            let until = busy.entry(spot).or_default();
            if *until > at && !matches!(kind, Kind::Kill | Kind::Stop) {
                continue;
            }
            *until = (*until).max(at + kind.lasting(part));
            faults.push(Fault {
                at,
                spot,
                kind,
                lasting: kind.lasting(part),
            });
        }
        Self(faults)
    }

    /// Draws so many kills of `place`, each at a random instant of its own part of `lasting`, so that
    /// few come before the process is up again.
    pub(crate) fn kills(seed: u64, place: Place, times: u32, lasting: Duration) -> Self {
        let mut dice = dice(seed, &format!("kills of {}", place.name()));
        let part = lasting / times.max(1);
        let kills = (0..times).map(|nth| Fault {
            at: millis(part * nth + part.mul_f64(dice.random::<f64>())),
            spot: place.into(),
            kind: Kind::Kill,
            lasting: Duration::ZERO,
        });
        Self(kills.collect())
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
        let (at, kind) = (self.at.as_secs_f64(), format!("{:?}", self.kind));
        let kind = kind.to_lowercase();
        write!(f, "{at:8.3} s  {kind:7} {}", self.spot)?;
        if !self.lasting.is_zero() {
            write!(f, " for {:.3} s", self.lasting.as_secs_f64())?;
        }
        Ok(())
    }
}

impl Kind {
    fn befalls(self, spot: Spot) -> bool {
        let nature = match self {
            Self::Kill | Self::Stop | Self::Pause => Nature::Process,
            Self::Cut | Self::Halve | Self::Swallow | Self::Hole | Self::Slow => Nature::Connection,
            Self::Full => Nature::Disk,
        };
        nature == spot.place.nature()
    }

    fn weight(self) -> u32 {
        match self {
            Self::Kill => 4,
            Self::Stop | Self::Pause | Self::Hole | Self::Full => 2,
            Self::Cut | Self::Halve | Self::Swallow | Self::Slow => 1,
        }
    }

    /// Seconds; none where it is over at once.
    fn lasts(self) -> Range<f64> {
        match self {
            Self::Kill | Self::Stop | Self::Halve | Self::Swallow => 0.0..0.0,
            Self::Pause => 0.3..12.0,
            Self::Cut => 0.1..5.0,
            Self::Hole => 0.5..20.0,
            Self::Slow => 1.0..20.0,
            Self::Full => 1.0..10.0,
        }
    }

    fn lasting(self, part: f64) -> Duration {
        let Range { start, end } = self.lasts();
        millis(Duration::from_secs_f64(start + (end - start) * part))
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
    use crate::place::Ground;

    const LONG: Duration = Duration::from_secs(3_600);

    fn plan(seed: u64, ground: Ground) -> Plan {
        let (every, spots) = (Duration::from_secs(2), ground.spots(&ground.places()));
        Plan::draw(seed, LONG, every, Kind::value_variants(), &spots)
    }

    #[test]
    fn a_seed_repeats_its_plan_and_another_one_has_another() {
        assert_eq!(plan(1, Ground::Sqlite), plan(1, Ground::Sqlite));
        assert_ne!(plan(1, Ground::Sqlite), plan(2, Ground::Sqlite));
    }

    #[test]
    fn a_plan_has_about_as_many_faults_as_were_asked_for_and_spares_nothing() {
        for ground in Ground::value_variants() {
            let Plan(faults) = plan(3, *ground);
            assert!((1_300..2_200).contains(&faults.len()), "{}", faults.len());
            assert!(faults.is_sorted_by_key(|fault| fault.at));
            assert!(faults.iter().all(|fault| fault.at < LONG));
            for spot in ground.spots(&ground.places()) {
                let kinds = Kind::value_variants().iter();
                for kind in kinds.filter(|kind| kind.befalls(spot)) {
                    let met = |fault: &Fault| fault.kind == *kind && fault.spot == spot;
                    assert!(faults.iter().any(met), "{ground:?} {kind:?} {spot}");
                }
            }
        }
    }

    #[test]
    fn what_lasts_is_over_before_its_spot_meets_the_next_unless_that_kills_it() {
        let Plan(faults) = plan(4, Ground::Postgres);
        let mut until: HashMap<Spot, Duration> = HashMap::new();
        let kills = |fault: &&Fault| matches!(fault.kind, Kind::Kill | Kind::Stop);
        for fault in faults.iter().filter(|fault| !kills(fault)) {
            let before = until.insert(fault.spot, fault.at + fault.lasting);
            assert!(before.is_none_or(|before| before <= fault.at), "{fault}");
        }
    }

    #[test]
    fn kills_are_as_many_as_were_asked_for_and_a_seed_repeats_them() {
        let kills = |seed| Plan::kills(seed, Place::Accounts, 20, LONG);
        let Plan(faults) = kills(1);
        assert_eq!(faults.len(), 20);
        assert!(faults.is_sorted_by_key(|fault| fault.at));
        assert!(faults.iter().all(|fault| fault.at < LONG));
        assert_eq!(kills(1), Plan(faults));
        assert_ne!(kills(1), kills(2));
    }

    #[test]
    fn without_kinds_there_are_no_faults() {
        let spots = Ground::Sqlite.spots(&Ground::Sqlite.places());
        let none = Plan::draw(1, LONG, Duration::from_secs(1), &[], &spots);
        assert_eq!(none, Plan(Vec::new()));
    }
}
