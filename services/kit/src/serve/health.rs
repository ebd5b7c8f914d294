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
use serde::Serialize;
use serde_json::Value;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tonic_health::server::HealthReporter;

use super::{
    pulse::Pulses,
    told::{Degraded, NotReady, Told},
};
use crate::{
    clock::Timestamp,
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

const ITSELF: &str = "";
type Fact = Arc<dyn Fn() -> Value + Send + Sync>;

#[derive(Clone)]
struct Dependency {
    means: &'static str,
    away: Arc<dyn Fn() -> Option<Degraded> + Send + Sync>,
}

/// A service's health. Clones share it.
#[derive(Clone)]
pub struct Health(Arc<Facts>);

struct Facts {
    db: Db,
    /// What it means for people who sign up when this service is not ready.
    means: &'static str,
    pending_migrations: Box<dyn Fn(Db) -> futures::future::BoxFuture<'static, bool> + Send + Sync>,
    dependencies: Mutex<BTreeMap<&'static str, Dependency>>,
    /// Since when what is wrong has been so: of a dependency by its name, of the service by
    /// `ITSELF`.
    since: Mutex<BTreeMap<&'static str, Timestamp>>,
    /// What else the service says of itself.
    said: Mutex<BTreeMap<&'static str, Fact>>,
    /// What became of the newest write check; nothing before the first.
    writes: watch::Sender<Option<Result<(), Trouble>>>,
    draining: AtomicBool,
    ended_worker: OnceLock<&'static str>,
    pulses: OnceLock<Pulses>,
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
    #[serde(skip_serializing_if = "Option::is_none", flatten)]
    trouble: Option<Told>,
    /// What it depends on and cannot use.
    degraded: BTreeMap<&'static str, Told>,
    /// By this machine's clock, for whoever compares: HTTP's own header is made once a second, and
    /// not at all while a clock that was set back catches up.
    now: String,
    /// What else the service says of itself, by name.
    #[serde(flatten)]
    said: BTreeMap<&'static str, Value>,
}

impl Report {
    /// Of a service that has nothing but its listeners yet.
    pub(super) fn not_ready(trouble: Told, now: Timestamp) -> Self {
        Self {
            ready: false,
            trouble: Some(trouble),
            degraded: BTreeMap::new(),
            now: now.to_string(),
            said: BTreeMap::new(),
        }
    }
}

impl Health {
    /// The health of a service whose database is `db` and whose tables are `M`'s. `means` says what
    /// people who sign up notice when it is not ready.
    pub fn new<M: MigratorTrait + 'static>(db: Db, means: &'static str) -> Self {
        let pending_migrations = Box::new(|db: Db| -> futures::future::BoxFuture<'static, bool> {
            Box::pin(async move {
                !matches!(db.pending_migrations::<M>().await, Ok(pending) if pending.is_empty())
            })
        });
        Self(Arc::new(Facts {
            db,
            means,
            pending_migrations,
            dependencies: Mutex::default(),
            since: Mutex::default(),
            said: Mutex::default(),
            writes: watch::Sender::new(None),
            draining: AtomicBool::new(false),
            ended_worker: OnceLock::new(),
            pulses: OnceLock::new(),
        }))
    }

    /// Names something that the service can do without for a while. `away` says what is known when
    /// it is away, and `means` what people who sign up notice of that.
    pub fn depends_on(
        &self,
        name: &'static str,
        means: &'static str,
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
        dependencies.insert(name, Dependency { means, away });
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
            trouble: self.told(reason.as_ref()),
            degraded: self.degraded(),
            said: self.said(),
            now: self.0.db.clock().now().to_string(),
        }
    }

    fn told(&self, reason: Option<&NotReady>) -> Option<Told> {
        let since = self.since(ITSELF, reason.is_some());
        let reason = reason?;
        Some(Told {
            reason: reason.to_string(),
            since: since.to_string(),
            means: self.0.means.to_owned(),
            advice: reason.advice(&self.0.db),
        })
    }

    /// Since when something has been wrong; now, if it was not at the last look.
    fn since(&self, of: &'static str, is_wrong: bool) -> Timestamp {
        let now = self.0.db.clock().now();
        let since = self.0.since.lock();
        let mut since = since.unwrap_or_else(PoisonError::into_inner);
        match is_wrong {
            true => *since.entry(of).or_insert(now),
            false => {
                since.remove(of);
                now
            }
        }
    }

    /// Keeps gRPC health up to date, and says each reason why there is no work in the log, once.
    pub(super) async fn report(self, reporter: HealthReporter, names: &'static [&'static str]) {
        let mut was = None;
        loop {
            let reason = self.not_ready().await;
            // Looked at whether or not anybody asks: so it is known since when it has been so.
            let (_, _) = (self.told(reason.as_ref()), self.degraded());
            if let Some(reason) = reason.filter(|_| reason != was) {
                self.log(reason);
            }
            was = reason;
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

    fn log(&self, reason: NotReady) {
        match reason {
            NotReady::WorkerStands(worker) => {
                tracing::error!(worker, "A worker stands still; the service is not ready.");
            }
            NotReady::Database(trouble) => {
                let advice = self.0.db.advice(trouble);
                tracing::error!(advice, "No work is taken: {trouble}.");
            }
            // Whoever drains and whoever ends has said so.
            NotReady::Draining | NotReady::WorkerEnded(_) => {}
        }
    }

    /// Tries again and again whether the database takes a write.
    pub(super) async fn check_writes(self) {
        loop {
            // Beside the questions: it may take seconds, and however many ask it is tried once.
            let checked = timeout(WRITE_ANSWER, self.0.db.check_write()).await;
            let checked = checked.unwrap_or(Err(Trouble::Away));
            self.0.writes.send_replace(Some(checked));
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

    fn degraded(&self) -> BTreeMap<&'static str, Told> {
        let dependencies = self
            .0
            .dependencies
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut degraded = BTreeMap::new();
        for (name, Dependency { means, away }) in &*dependencies {
            let away = away();
            let since = self.since(name, away.is_some());
            if let Some(Degraded { reason, advice }) = away {
                let told = Told {
                    reason: format!("the {name} {reason}"),
                    since: since.to_string(),
                    means: (*means).to_owned(),
                    advice,
                };
                degraded.insert(*name, told);
            }
        }
        degraded
    }
}
