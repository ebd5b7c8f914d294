//! Time as Usher counts it: `Timestamp` is what tables hold and messages carry, `Clock` is how
//! tests move it.

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime},
};

use sea_orm::DeriveValueType;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::{ContextV7, Uuid};

/// A moment: microseconds since the Unix epoch, UTC. The unit is Postgres' own resolution, so a
/// value comes back from either database as it went in, and compares as the integer that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, DeriveValueType)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// How much later `self` is than `earlier`; zero if it is not later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// A new UUID of version 7 (RFC 9562 §5.7) of this moment; `context` decides between those of
    /// the same one.
    pub(crate) fn uuid_v7(
        self,
        context: impl uuid::ClockSequence<Output = impl Into<u128>>,
    ) -> Uuid {
        let seconds = u64::try_from(self.0.div_euclid(1_000_000)).unwrap_or(0);
        let nanos = u32::try_from(self.0.rem_euclid(1_000_000) * 1_000).unwrap_or(0);
        Uuid::new_v7(uuid::Timestamp::from_unix(context, seconds, nanos))
    }

    /// The moment that `Display` writes; nothing where it is no RFC 3339.
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        i64::try_from(at.unix_timestamp_nanos() / 1_000)
            .ok()
            .map(Self)
    }

    /// The same moment out of a message; `None` where Protobuf's rules for a Timestamp are broken.
    pub fn from_proto(proto: &prost_types::Timestamp) -> Option<Self> {
        // Years 1 to 9999, as Protobuf says; what lies beyond would overflow further down.
        let valid = (0..1_000_000_000).contains(&proto.nanos)
            && (-62_135_596_800..=253_402_300_799).contains(&proto.seconds);
        valid.then(|| Self(proto.seconds * 1_000_000 + i64::from(proto.nanos) / 1_000))
    }
}

impl From<Timestamp> for prost_types::Timestamp {
    fn from(at: Timestamp) -> Self {
        let nanos = i32::try_from(at.0.rem_euclid(1_000_000) * 1_000).unwrap_or(0);
        Self {
            seconds: at.0.div_euclid(1_000_000),
            nanos,
        }
    }
}

impl From<SystemTime> for Timestamp {
    fn from(at: SystemTime) -> Self {
        let since_epoch = at
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Self(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(micros(by)))
    }
}

impl std::ops::Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(micros(by)))
    }
}

/// RFC 3339, in UTC.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000);
        match at.ok().and_then(|at| at.format(&Rfc3339).ok()) {
            Some(text) => f.write_str(&text),
            None => write!(f, "{} µs after 1970", self.0),
        }
    }
}

/// The injected clock: the real one plus an offset, 0 in production. Clones share the offset.
///
/// What a rule depends on is read from the database (`Db::now`), which adds the same offset; this
/// clock alone serves where there is no database at hand.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    offset: Arc<AtomicI64>,
    /// Of this machine's clock alone.
    fast: Arc<AtomicI64>,
    ids: Arc<Mutex<ContextV7>>,
}

impl Clock {
    /// Moves the clock forward, for every clone.
    pub fn advance(&self, by: Duration) {
        self.offset.fetch_add(micros(by), Ordering::SeqCst);
    }

    /// Moves the clock back, for every clone.
    pub fn rewind(&self, by: Duration) {
        self.offset.fetch_sub(micros(by), Ordering::SeqCst);
    }

    /// Lets this machine's clock be fast by so much, for every clone, and the database's be right.
    pub fn be_fast(&self, by: Duration) {
        self.fast.store(micros(by), Ordering::SeqCst);
    }

    /// Lets this machine's clock be slow by so much, for every clone, and the database's be right.
    pub fn be_slow(&self, by: Duration) {
        self.fast.store(-micros(by), Ordering::SeqCst);
    }

    /// Now, by this machine's clock and the offset.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock that everything else is to use"
    )]
    pub fn now(&self) -> Timestamp {
        let machine = Timestamp::from(SystemTime::now());
        let fast = self.fast.load(Ordering::SeqCst);
        self.shift(Timestamp(machine.0.saturating_add(fast)))
    }

    /// A new UUID of version 7 (RFC 9562 §5.7), larger than the ones before it from this clock.
    pub fn uuid_v7(&self) -> Uuid {
        // Of one clock's ids each is larger than the one before, so that rows are appended to their
        // index, and lists by id are in the order in which they were made.
        let context = self
            .ids
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        self.now().uuid_v7(&*context)
    }

    /// `at` as this clock sees it.
    pub(crate) fn shift(&self, at: Timestamp) -> Timestamp {
        Timestamp(at.0.saturating_add(self.offset.load(Ordering::SeqCst)))
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
