//! A system of a run's own, in a temporary folder, with the sink as its mail server: `up` starts it
//! as one `usher up`, `apart` each part by itself. What befalls it is done here.

mod apart;
mod unit;
mod up;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::ensure;
use kit::testing::{Proxy, SmallDisk, processes, signal};
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::task::JoinSet;

pub(crate) use apart::Apart;

use crate::{
    faults::{Fault, Kind},
    place::{Place, Spot},
    target::Target,
};
use unit::Unit;

/// What the start may take.
const START: Duration = Duration::from_secs(60);
/// In the folder of one that `usher up` runs.
const DATA: &str = "data";
const LOOK: Duration = Duration::from_millis(20);
/// What each chunk waits on a connection that is slow, more or less.
const SLOW: Duration = Duration::from_millis(150);

/// A running system; killed on drop.
#[derive(Debug)]
pub struct System {
    parts: Parts,
    /// Ends with it.
    _followers: JoinSet<()>,
    target: Target,
    folder: Option<TempDir>,
}

/// What faults befall. Dropped in this order: whoever writes, then what is written to.
#[derive(Debug, Default)]
struct Parts {
    units: BTreeMap<Spot, Unit>,
    links: BTreeMap<Spot, Vec<Proxy>>,
    disks: BTreeMap<Place, SmallDisk>,
}

impl Parts {
    fn ended_by_themselves(&self) -> u64 {
        self.units.values().map(Unit::ended_by_itself).sum()
    }
}

impl System {
    /// Where it listens, whatever befalls it.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Lets a fault begin, and answers whether it met something: a part may be on its way up.
    pub fn begin(&self, fault: &Fault) -> bool {
        match fault.kind {
            Kind::Kill => self.signal(fault.spot, Signal::KILL),
            Kind::Stop => self.ask_to_end(fault.spot),
            Kind::Pause => self.signal(fault.spot, Signal::STOP),
            Kind::Cut => self.each_link(fault.spot, Proxy::cut),
            Kind::Halve => self.each_link(fault.spot, Proxy::halve),
            Kind::Swallow => self.each_link(fault.spot, Proxy::swallow),
            Kind::Hole => self.each_link(fault.spot, Proxy::hole),
            Kind::Slow => self.each_link(fault.spot, |link| link.delay(SLOW)),
            Kind::Full => {
                let disk = self.parts.disks.get(&fault.spot.place);
                disk.map(SmallDisk::fill).is_some()
            }
        }
    }

    /// Ends it.
    pub fn end(&self, fault: &Fault) {
        match fault.kind {
            Kind::Kill | Kind::Stop => {}
            Kind::Pause => {
                self.signal(fault.spot, Signal::CONT);
            }
            Kind::Cut | Kind::Halve | Kind::Swallow | Kind::Hole | Kind::Slow => {
                self.each_link(fault.spot, Proxy::pass);
            }
            Kind::Full => {
                if let Some(disk) = self.parts.disks.get(&fault.spot.place) {
                    disk.free();
                }
                if fault.spot.place == Place::NatsDisk {
                    // A nats-server whose disk was full goes on without JetStream until it is
                    // started again: its liveness probe is there for that.
                    self.ask_to_end(Place::NatsServer.into());
                }
            }
        }
    }

    /// Which parts ended without anybody's wish, and how often; and which had to be killed half a
    /// minute after they were asked to end.
    pub fn surprises(&self) -> BTreeMap<String, u64> {
        let mut surprises = BTreeMap::new();
        for (spot, unit) in &self.parts.units {
            surprises.insert(format!("{spot} ended by itself"), unit.ended_by_itself());
            surprises.insert(format!("{spot} did not end when asked"), unit.overstayed());
        }
        surprises.retain(|_, count| *count > 0);
        surprises
    }

    /// The longest time that a part took to end when it was asked to, in the middle of the run.
    pub fn slowest_stop(&self) -> Duration {
        let stops = self.parts.units.values().map(Unit::slowest_stop);
        stops.max().unwrap_or_default()
    }

    /// Stops it: services first, as they need the others to drain.
    ///
    /// # Errors
    /// When a part does not end in time.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        let mut late = Vec::new();
        let is_server = |spot: &Spot| matches!(spot.place, Place::NatsServer | Place::Postgres);
        for servers in [false, true] {
            let units = self.parts.units.iter_mut();
            let these = units.filter(|(spot, _)| is_server(spot) == servers);
            let stops = these.map(async |(spot, unit)| (spot.to_string(), unit.stop().await));
            for (name, in_time) in futures::future::join_all(stops).await {
                if !in_time {
                    late.push(name);
                }
            }
        }
        let late = late.join(", ");
        ensure!(late.is_empty(), "did not end when asked: {late}");
        Ok(())
    }

    /// Its folder with everything that is known of it; from now on nobody deletes it.
    pub fn keep(&mut self) -> PathBuf {
        for (place, disk) in &self.parts.disks {
            let copied = Command::new("cp")
                .arg("-a")
                .arg(disk.folder())
                .arg(self.folder().join(place.name()))
                .status();
            drop(copied); // it may be too large; what else there is is kept
        }
        self.folder.take().map(TempDir::keep).unwrap_or_default()
    }

    /// The data folder of its `usher up`.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder().join(DATA)
    }

    fn folder(&self) -> &Path {
        self.folder.as_ref().map_or(Path::new(""), TempDir::path)
    }

    fn each_link(&self, spot: Spot, what: impl Fn(&Proxy)) -> bool {
        let Some(links) = self.parts.links.get(&spot) else {
            return false;
        };
        links.iter().for_each(what);
        true
    }

    fn signal(&self, spot: Spot, what: Signal) -> bool {
        match self.parts.units.get(&spot) {
            Some(unit) => unit.signal(what),
            None => self
                .process_of(spot.place)
                .is_some_and(|id| signal(id, what)),
        }
    }

    fn ask_to_end(&self, spot: Spot) -> bool {
        match self.parts.units.get(&spot) {
            Some(unit) => unit.ask_to_end(),
            None => self.signal(spot, Signal::TERM),
        }
    }

    /// Process id of a part that `usher up` runs.
    pub(crate) fn process_of(&self, place: Place) -> Option<u32> {
        let up = self.parts.units.get(&Place::Up.into())?.process()?;
        let mut ours = processes();
        ours.retain(|process| process.parent == up);
        let mut ours = ours.into_iter().filter(|process| match place {
            Place::NatsServer => process.command.contains("nats.conf"),
            _ => process.command.ends_with(&format!(" {}", place.name())),
        });
        ours.next().map(|process| process.id)
    }
}
