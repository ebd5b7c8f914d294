//! Listening and stopping: probes, the operators' token, health, reflection, and a shutdown that
//! nothing holds up.

use std::{net::SocketAddr, time::Duration};

use kit::{
    clock::Clock,
    config::from_pairs,
    db::{DatabaseUrl, Db},
    serve::{AdminToken, Degraded, Health, ListenerSettings, Server, Stages, Surface, client},
    testing::eventually,
};
use proto::mailer::{
    ListMailsRequest, ListMailsResponse,
    mailer_admin_client::MailerAdminClient,
    mailer_admin_server::{MailerAdmin, MailerAdminServer, SERVICE_NAME},
};
use sea_orm_migration::{MigrationTrait, MigratorTrait};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::oneshot,
    task::JoinHandle,
    time::Instant,
};
use tonic::{Code, Request, Response, Status, service::Routes};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use crate::outbox::Migrator;

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
    folder: TempDir,
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
    let folder = tempfile::tempdir().unwrap();
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
async fn start_on<M: MigratorTrait + 'static>() -> Running {
    let folder = tempfile::tempdir().unwrap();
    let db = database(&folder).await;
    serve_on::<M>(db, folder).await
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
    let any = "127.0.0.1:0".parse().unwrap();
    let limits = from_pairs::<ListenerSettings>(limits).unwrap();
    let server = Server::bind(any, any, &limits).await.unwrap();
    let health = Health::new::<M>(db);
    health.depends_on("broker", || {
        Some(Degraded::new("is not connected", "Bring it back."))
    });
    health.depends_on("mailer", || None);
    let surface = Surface {
        public: Routes::new(MailerAdminServer::new(Nobody)),
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
        let mut stream = TcpStream::connect(self.admin_addr).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let code = answer.split(' ').nth(1).unwrap().parse().unwrap();
        (code, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
    }

    async fn list(&self, token: &str) -> Result<Response<ListMailsResponse>, Status> {
        let mut admin =
            MailerAdminClient::new(client(&format!("http://{}", self.admin_addr)).unwrap());
        let mut request = Request::new(ListMailsRequest::default());
        request
            .metadata_mut()
            .insert("authorization", format!("Bearer {token}").parse().unwrap());
        admin.list_mails(request).await
    }
}

#[tokio::test]
async fn i20_readiness_tells_what_is_away_and_stays_ready() {
    let running = start().await;
    assert_eq!(running.get("/livez").await.0, 200);
    let (code, body) = running.get("/readyz").await;
    assert_eq!(
        (code, body.as_str()),
        (
            200,
            r#"{"ready":true,"degraded":{"broker":{"reason":"is not connected","advice":"Bring it back."}}}"#
        )
    );
    running.stop().await;
}

#[tokio::test]
async fn operators_need_the_token_and_probes_do_not() {
    let running = start().await;
    assert_eq!(
        running.list("guessed").await.unwrap_err().code(),
        Code::Unauthenticated
    );
    assert_eq!(
        running.list("").await.unwrap_err().code(),
        Code::Unauthenticated
    );
    let token = std::fs::read_to_string(running.folder.path().join("admin-token")).unwrap();
    running.list(&token).await.unwrap();
    assert_eq!(running.get("/metrics").await.0, 200);
    running.stop().await;
}

#[tokio::test]
async fn a_token_that_others_may_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("admin-token");
    AdminToken::read_or_make(&path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let refused = AdminToken::read_or_make(&path).unwrap_err().to_string();
    assert!(refused.contains("Run: chmod 600"), "{refused}");
}

#[tokio::test]
async fn i20_grpc_health_names_each_service_and_reflection_answers() {
    let running = start().await;
    let channel = client(&format!("http://{}", running.addr)).unwrap();
    for service in ["", SERVICE_NAME] {
        let request = HealthCheckRequest {
            service: service.to_owned(),
        };
        eventually(
            "health to be reported",
            Duration::from_secs(5),
            async || {
                let answer = HealthClient::new(channel.clone())
                    .check(request.clone())
                    .await
                    .ok()?;
                (answer.into_inner().status == 1).then_some(()) // SERVING
            },
        )
        .await;
    }
    let listed = services_of(running.addr, String::new()).await;
    assert_eq!(
        listed,
        [
            "grpc.health.v1.Health",
            "grpc.reflection.v1.ServerReflection",
            SERVICE_NAME
        ]
    );
    running.stop().await;
}

#[test]
fn an_empty_token_file_stops_a_start_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("admin-token");
    AdminToken::read_or_make(&path).unwrap();
    std::fs::write(&path, "\n").unwrap();
    let refusal = AdminToken::read_or_make(&path).unwrap_err().to_string();
    assert!(refusal.contains("admin-token is empty"), "{refusal}");
}

#[tokio::test]
async fn operators_find_their_services_by_reflection_with_the_token() {
    let running = start().await;
    let token = std::fs::read_to_string(running.folder.path().join("admin-token")).unwrap();
    assert_eq!(
        services_of(running.admin_addr, token).await,
        ["grpc.reflection.v1.ServerReflection", SERVICE_NAME]
    );
    running.stop().await;
}

#[tokio::test]
async fn a_probe_of_a_path_that_there_is_not_is_told_so() {
    let running = start().await;
    let (code, body) = running.get("/healthz").await;
    assert_eq!(code, 404);
    assert!(body.contains("/livez"), "{body}");
    running.stop().await;
}

/// What reflection lists, in alphabetical order.
async fn services_of(addr: SocketAddr, token: String) -> Vec<String> {
    let channel = client(&format!("http://{addr}")).unwrap();
    let mut reflection =
        ServerReflectionClient::with_interceptor(channel, move |mut request: Request<()>| {
            request
                .metadata_mut()
                .insert("authorization", format!("Bearer {token}").parse().unwrap());
            Ok(request)
        });
    let all = ServerReflectionRequest {
        message_request: Some(MessageRequest::ListServices(String::new())),
        ..ServerReflectionRequest::default()
    };
    let answers = reflection
        .server_reflection_info(tokio_stream::iter([all]))
        .await;
    let answer = answers
        .unwrap()
        .into_inner()
        .message()
        .await
        .unwrap()
        .unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("no list of services: {answer:?}");
    };
    let mut names: Vec<_> = list
        .service
        .into_iter()
        .map(|service| service.name)
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn i18_a_silent_connection_and_a_hanging_worker_do_not_hold_up_a_shutdown() {
    let running = start().await;
    let _silent = TcpStream::connect(running.addr).await.unwrap();
    running.stages.tasks.spawn(std::future::pending::<()>());
    assert!(running.stop().await < Duration::from_secs(10));
}

#[tokio::test]
async fn i18_a_shutdown_stops_work_first_and_finishes_it_after_the_servers() {
    let running = start().await;
    let (stop, finish) = (running.stages.stop.clone(), running.stages.finish.clone());
    let order = running.stages.tasks.spawn(async move {
        stop.cancelled().await;
        let finish_came_with_it = finish.is_cancelled();
        finish.cancelled().await;
        finish_came_with_it
    });
    assert!(
        running.stop().await < Duration::from_secs(2),
        "nothing hangs, so nothing is waited for"
    );
    assert!(!order.await.unwrap());
}

#[tokio::test]
async fn i20_a_database_whose_tables_are_not_current_is_not_ready() {
    let running = start_on::<Migrator>().await;
    let (code, body) = running.get("/readyz").await;
    assert_eq!(code, 503);
    assert!(
        body.contains("the database's tables are not current"),
        "{body}"
    );
    assert_eq!(
        running.get("/livez").await.0,
        200,
        "a restart would not help"
    );
    running.stop().await;
}
