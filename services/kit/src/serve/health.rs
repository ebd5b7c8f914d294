//! Whether a service is ready: its own database answers and takes writes, the tables are current,
//! each worker is at work, and it is not draining. What else it needs may be away without harm,
//! because its work waits; that shows as *degraded*.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use opentelemetry::KeyValue;
use sea_orm_migration::MigratorTrait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tonic_health::server::HealthReporter;

use super::pulse::Pulses;
use crate::{
    db::{Db, Trouble},
    telemetry::{self, names},
};

/// A database that takes writes is asked again after this long; one that does not, after `AGAIN`.
const WRITE_CHECKS: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_millis(500);
/// How long an answer may take. For a write a little longer than a lock is waited for, so that the
/// reason shows.
const READ_ANSWER: Duration = Duration::from_secs(2);
const WRITE_ANSWER: Duration = Duration::from_millis(2_500);

type Fact = Arc<dyn Fn() -> Value + Send + Sync>;
type Dependency = Arc<dyn Fn() -> Option<Degraded> + Send + Sync>;

/// Why a service cannot use what it depends on, after its name: "broker" "is not connected". Work
/// waits meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Degraded {
    /// What is known of it.
    pub reason: String,
    /// What to do about it, as sentences.
    pub advice: String,
}

impl Degraded {
    /// A reason and what to do about it.
    pub fn new(reason: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            advice: advice.into(),
        }
    }
}

/// A service's health. Clones share it.
#[derive(Clone)]
pub struct Health(Arc<Facts>);

struct Facts {
    db: Db,
    pending_migrations: Box<dyn Fn(Db) -> futures::future::BoxFuture<'static, bool> + Send + Sync>,
    dependencies: Mutex<BTreeMap<&'static str, Dependency>>,
    /// What else the service says of itself.
    said: Mutex<BTreeMap<&'static str, Fact>>,
    /// What became of the newest write check; nothing before the first.
    writes: watch::Sender<Option<Result<(), Trouble>>>,
    draining: AtomicBool,
    ended_worker: OnceLock<&'static str>,
    pulses: OnceLock<Pulses>,
}

/// Why a service is not ready.
#[derive(Debug, Clone, Copy)]
enum NotReady {
    Draining,
    WorkerEnded(&'static str),
    WorkerStands(&'static str),
    Database(Trouble),
}

impl fmt::Display for NotReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Draining => f.write_str("draining"),
            Self::WorkerEnded(name) => write!(f, "the worker `{name}` has ended"),
            Self::WorkerStands(name) => write!(f, "the worker `{name}` stands still"),
            Self::Database(trouble) => trouble.fmt(f),
        }
    }
}

impl NotReady {
    fn advice(self) -> Option<&'static str> {
        match self {
            Self::Draining => None,
            Self::WorkerEnded(_) => Some("It ends and is to be started again; its log says why."),
            Self::WorkerStands(_) => Some(
                "Restart the service: it goes on where it was. Keep its log, because this should not happen.",
            ),
            Self::Database(trouble) => Some(trouble.advice()),
        }
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Health")
    }
}

/// The body of `/readyz`.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) ready: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<&'static str>,
    /// What it depends on and cannot use.
    degraded: BTreeMap<&'static str, Degraded>,
    /// What else the service says of itself, by name.
    #[serde(flatten)]
    said: BTreeMap<&'static str, Value>,
}

impl Health {
    /// The health of a service whose database is `db` and whose tables are `M`'s.
    pub fn new<M: MigratorTrait + 'static>(db: Db) -> Self {
        let pending_migrations = Box::new(|db: Db| -> futures::future::BoxFuture<'static, bool> {
            Box::pin(async move {
                !matches!(db.pending_migrations::<M>().await, Ok(pending) if pending.is_empty())
            })
        });
        Self(Arc::new(Facts {
            db,
            pending_migrations,
            dependencies: Mutex::default(),
            said: Mutex::default(),
            writes: watch::Sender::new(None),
            draining: AtomicBool::new(false),
            ended_worker: OnceLock::new(),
            pulses: OnceLock::new(),
        }))
    }

    /// Names something that the service can do without for a while. `away` says what is known when
    /// it is away.
    pub fn depends_on(
        &self,
        name: &'static str,
        away: impl Fn() -> Option<Degraded> + Send + Sync + 'static,
    ) {
        let away = Arc::new(away);
        let observed = Arc::clone(&away);
        let _ = telemetry::meter()
            .u64_observable_gauge(names::USHER_DEPENDENCY_DEGRADED)
            .with_description("1 while a dependency is out of reach, else 0.")
            .with_callback(move |gauge| {
                let degraded = u64::from(observed().is_some());
                gauge.observe(degraded, &[KeyValue::new(names::USHER_DEPENDENCY, name)]);
            })
            .build();
        let mut dependencies = self
            .0
            .dependencies
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        dependencies.insert(name, away);
    }

    /// Adds to the answer, under `name`, what a service says of itself whether ready or not.
    pub fn says<T: Serialize>(
        &self,
        name: &'static str,
        fact: impl Fn() -> T + Send + Sync + 'static,
    ) {
        let fact = move || serde_json::to_value(fact()).unwrap_or_default();
        let mut said = self.0.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.insert(name, Arc::new(fact));
    }

    pub(super) fn drain(&self) {
        self.0.draining.store(true, Ordering::SeqCst);
    }

    pub(super) fn worker_ended(&self, name: &'static str) {
        let _ = self.0.ended_worker.set(name); // the first one's name, if there are more
    }

    pub(super) fn looks_after(&self, pulses: Pulses) {
        let _ = self.0.pulses.set(pulses); // there is one server
    }

    pub(super) async fn check(&self) -> Report {
        let reason = self.not_ready().await;
        Report {
            ready: reason.is_none(),
            reason: reason.map(|reason| reason.to_string()),
            advice: reason.and_then(NotReady::advice),
            degraded: self.degraded(),
            said: self.said(),
        }
    }

    /// Keeps gRPC health up to date.
    pub(super) async fn report(self, reporter: HealthReporter, names: &'static [&'static str]) {
        let mut stood = None;
        loop {
            let reason = self.not_ready().await;
            let stands = match reason {
                Some(NotReady::WorkerStands(name)) => Some(name),
                _ => None,
            };
            if let Some(worker) = stands.filter(|_| stands != stood) {
                tracing::error!(worker, "A worker stands still; the service is not ready.");
            }
            stood = stands;
            let status = match reason {
                None => tonic_health::ServingStatus::Serving,
                Some(_) => tonic_health::ServingStatus::NotServing,
            };
            for name in names.iter().copied().chain([""]) {
                reporter.set_service_status(name, status).await;
            }
            // Kubernetes asks every few seconds: fresher than that nobody sees.
            sleep(Duration::from_secs(1)).await;
        }
    }

    /// Tries again and again whether the database takes a write.
    pub(super) async fn check_writes(self) {
        let mut was = None;
        loop {
            // Beside the questions: it may take seconds, and however many ask it is tried once.
            let checked = timeout(WRITE_ANSWER, self.0.db.check_write()).await;
            let checked = checked.unwrap_or(Err(Trouble::Away));
            // Each reason once, and not every half second.
            if let Err(trouble) = checked
                && was != Some(checked)
            {
                let advice = trouble.advice();
                tracing::error!(advice, "No work is taken: {trouble}.");
            }
            was = Some(checked);
            self.0.writes.send_replace(was);
            sleep(if checked.is_ok() { WRITE_CHECKS } else { AGAIN }).await;
        }
    }

    async fn not_ready(&self) -> Option<NotReady> {
        let Facts {
            db,
            pending_migrations,
            writes,
            draining,
            ended_worker,
            pulses,
            ..
        } = &*self.0;
        // The gravest first: whoever reads the reason is to act on it, and a drain needs no action.
        if let Some(name) = ended_worker.get() {
            return Some(NotReady::WorkerEnded(name));
        }
        if draining.load(Ordering::SeqCst) {
            return Some(NotReady::Draining);
        }
        if let Some(name) = pulses.get().and_then(Pulses::still) {
            return Some(NotReady::WorkerStands(name));
        }
        let read = async {
            db.ping().await.map_err(|error| Trouble::from(&error))?;
            match pending_migrations(db.clone()).await {
                true => Err(Trouble::NotCurrent),
                false => Ok(()),
            }
        };
        let read = timeout(READ_ANSWER, read).await;
        let written = async {
            // The first check may still run: better to wait than to say ready and take it back.
            let mut writes = writes.subscribe();
            let first = writes.wait_for(Option::is_some).await;
            first.map_or(Some(Err(Trouble::Away)), |checked| *checked)
        };
        let checked = match read.unwrap_or(Err(Trouble::Away)) {
            // What cannot be read cannot be written either, and its reason is the better one.
            Ok(()) => written.await.unwrap_or(Ok(())),
            away => away,
        };
        checked.err().map(NotReady::Database)
    }

    fn said(&self) -> BTreeMap<&'static str, Value> {
        let said = self.0.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.iter().map(|(name, fact)| (*name, fact())).collect()
    }

    fn degraded(&self) -> BTreeMap<&'static str, Degraded> {
        let dependencies = self
            .0
            .dependencies
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        dependencies
            .iter()
            .filter_map(|(name, away)| Some((*name, away()?)))
            .collect()
    }
}
