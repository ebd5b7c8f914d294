//! A service that serves nothing of its own, as the tests of listeners need it.

use std::{net::SocketAddr, time::Duration};

use kit::{
    clock::Clock,
    config::from_pairs,
    db::{DatabaseUrl, Db},
    serve::{AdminToken, Degraded, Health, ListenerSettings, Server, Stages, Surface, client},
    testing::probe,
};
use proto::mailer::{
    ListMailsRequest, ListMailsResponse,
    mailer_admin_client::MailerAdminClient,
    mailer_admin_server::{MailerAdmin, MailerAdminServer, SERVICE_NAME},
};
use sea_orm_migration::{MigrationTrait, MigratorTrait};
use tempfile::TempDir;
use tokio::{sync::oneshot, task::JoinHandle, time::Instant};
use tonic::{Request, Response, Status, service::Routes};

pub(crate) struct NoMigrations;

impl MigratorTrait for NoMigrations {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        Vec::new()
    }
}

struct Nobody;

#[tonic::async_trait]
impl MailerAdmin for Nobody {
    async fn list_mails(
        &self,
        _request: Request<ListMailsRequest>,
    ) -> Result<Response<ListMailsResponse>, Status> {
        Ok(Response::new(ListMailsResponse::default()))
    }
}

pub(crate) struct Running {
    pub(crate) folder: TempDir,
    pub(crate) addr: SocketAddr,
    pub(crate) admin_addr: SocketAddr,
    pub(crate) stages: Stages,
    shutdown: oneshot::Sender<()>,
    pub(crate) task: JoinHandle<anyhow::Result<()>>,
}

pub(crate) async fn start() -> Running {
    start_with(&[]).await
}

/// A service with these limits.
pub(crate) async fn start_with(limits: &[(&str, &str)]) -> Running {
    let folder = kit::testing::folder();
    let db = database(&folder).await;
    serve_within::<NoMigrations>(db, folder, limits).await
}

async fn database(folder: &TempDir) -> Db {
    let url: DatabaseUrl = format!("sqlite:{}", folder.path().join("test.db").display())
        .parse()
        .unwrap();
    let db = Db::connect(&url, Clock::default()).await.unwrap();
    db.migrate::<NoMigrations>().await.unwrap();
    db
}

/// A service whose tables are to be `M`'s; none of its migrations is applied.
pub(crate) async fn start_on<M: MigratorTrait + 'static>() -> Running {
    let folder = kit::testing::folder();
    let db = database(&folder).await;
    serve_on::<M>(db, folder).await
}

/// A service that offers this.
pub(crate) async fn start_offering(public: Routes, limits: &[(&str, &str)]) -> Running {
    let folder = kit::testing::folder();
    let db = database(&folder).await;
    serve::<NoMigrations>(public, db, folder, limits).await
}

/// A service on this database, with its token in this folder.
pub(crate) async fn serve_on<M: MigratorTrait + 'static>(db: Db, folder: TempDir) -> Running {
    serve_within::<M>(db, folder, &[]).await
}

async fn serve_within<M: MigratorTrait + 'static>(
    db: Db,
    folder: TempDir,
    limits: &[(&str, &str)],
) -> Running {
    let nothing = Routes::new(MailerAdminServer::new(Nobody));
    serve::<M>(nothing, db, folder, limits).await
}

async fn serve<M: MigratorTrait + 'static>(
    public: Routes,
    db: Db,
    folder: TempDir,
    limits: &[(&str, &str)],
) -> Running {
    let any = "127.0.0.1:0".parse().unwrap();
    let limits = from_pairs::<ListenerSettings>(limits).unwrap();
    let server = Server::bind(any, any, &limits).await.unwrap();
    let health = Health::new::<M>(db, "Nobody is served.");
    health.depends_on("broker", "Events wait.", || {
        Some(Degraded::new("is not connected", "Bring it back."))
    });
    health.depends_on("mailer", "Mails wait.", || None);
    let surface = Surface {
        public,
        names: &[SERVICE_NAME],
        admin: Routes::new(MailerAdminServer::new(Nobody)),
        admin_names: &[SERVICE_NAME],
        token: AdminToken::read_or_make(&folder.path().join("admin-token")).unwrap(),
        health,
    };
    let (addr, admin_addr, stages) = (server.addr(), server.admin_addr(), Stages::default());
    let (shutdown, asked) = oneshot::channel();
    let task = tokio::spawn(server.run(surface, stages.clone(), async {
        let _ = asked.await;
    }));
    Running {
        folder,
        addr,
        admin_addr,
        stages,
        shutdown,
        task,
    }
}

impl Running {
    pub(crate) async fn stop(self) -> Duration {
        let begun = Instant::now();
        self.shutdown.send(()).unwrap();
        self.task.await.unwrap().unwrap();
        begun.elapsed()
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        probe(self.admin_addr, path).await.unwrap()
    }

    pub(crate) async fn list(&self, token: &str) -> Result<Response<ListMailsResponse>, Status> {
        let mut admin =
            MailerAdminClient::new(client(&format!("http://{}", self.admin_addr)).unwrap());
        let mut request = Request::new(ListMailsRequest::default());
        request
            .metadata_mut()
            .insert("authorization", format!("Bearer {token}").parse().unwrap());
        admin.list_mails(request).await
    }
}
