//! Whether a service is ready: its own database answers, the tables are current, and it is not draining. What else
//! it needs may be away without harm, because its work waits; that shows as *degraded*.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use opentelemetry::KeyValue;
use sea_orm_migration::MigratorTrait;
use serde::Serialize;
use tokio::time::timeout;
use tonic_health::server::HealthReporter;

use crate::{
    db::Db,
    telemetry::{self, names},
};

type Dependency = Arc<dyn Fn() -> Option<String> + Send + Sync>;

/// A service's health. Clones share it.
#[derive(Clone)]
pub struct Health(Arc<Facts>);

struct Facts {
    db: Db,
    pending_migrations: Box<dyn Fn(Db) -> futures::future::BoxFuture<'static, bool> + Send + Sync>,
    dependencies: Mutex<BTreeMap<&'static str, Dependency>>,
    draining: AtomicBool,
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
    reason: Option<&'static str>,
    /// Dependencies that are away, with what is known of it.
    degraded: BTreeMap<&'static str, String>,
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
            draining: AtomicBool::new(false),
        }))
    }

    /// Names something that the service can do without for a while. `away` says what is known when it is away.
    pub fn depends_on(
        &self,
        name: &'static str,
        away: impl Fn() -> Option<String> + Send + Sync + 'static,
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

    pub(super) fn drain(&self) {
        self.0.draining.store(true, Ordering::SeqCst);
    }

    pub(super) async fn check(&self) -> Report {
        let reason = self.not_ready().await;
        Report {
            ready: reason.is_none(),
            reason,
            degraded: self.degraded(),
        }
    }

    /// Keeps gRPC health up to date. Kubernetes asks every few seconds, so that a look every second is fresh enough.
    pub(super) async fn report(self, reporter: HealthReporter, names: &'static [&'static str]) {
        loop {
            let ready = self.not_ready().await.is_none();
            let status = if ready {
                tonic_health::ServingStatus::Serving
            } else {
                tonic_health::ServingStatus::NotServing
            };
            for name in names.iter().copied().chain([""]) {
                reporter.set_service_status(name, status).await;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    async fn not_ready(&self) -> Option<&'static str> {
        if self.0.draining.load(Ordering::SeqCst) {
            return Some("draining");
        }
        let Facts {
            db,
            pending_migrations,
            ..
        } = &*self.0;
        let look = async {
            db.ping().await.ok()?;
            Some(pending_migrations(db.clone()).await)
        };
        match timeout(Duration::from_secs(2), look).await {
            Ok(Some(false)) => None,
            Ok(Some(true)) => Some("the database's tables are not current"),
            _ => Some("the database does not answer"),
        }
    }

    fn degraded(&self) -> BTreeMap<&'static str, String> {
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
