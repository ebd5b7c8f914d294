//! The parts around accounts that a test needs, and accounts itself.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use accounts::{app::App, config::Config};
use kit::{
    bus::{self, Bus},
    clock::Clock,
    testing::{NatsServer, eventually},
};
use proto::accounts::{
    Account, CreateAccountRequest, GetAccountRequest, WatchAccountRequest, WatchAccountResponse,
    accounts_admin_client::AccountsAdminClient, accounts_service_client::AccountsServiceClient,
};
use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection, Statement};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::oneshot,
    task::JoinHandle,
};
use tonic::{Code, Request, Status, Streaming, transport::Channel};
use tonic_types::StatusExt as _;

/// Long enough for a machine that is busy with other tests.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// A broker, a folder for a database, a clock.
pub(crate) struct World {
    pub(crate) nats: NatsServer,
    pub(crate) clock: Clock,
    folder: TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        let nats = NatsServer::start().await;
        let world = Self::without_streams(nats);
        world.provision().await;
        world
    }

    pub(crate) fn without_streams(nats: NatsServer) -> Self {
        Self {
            nats,
            clock: Clock::default(),
            folder: TempDir::new().unwrap(),
        }
    }

    /// Makes the streams once the broker is there.
    pub(crate) async fn provision(&self) -> Bus {
        let bus = Bus::connect(&self.nats.url(), "test").await.unwrap();
        eventually("the streams", SOON, async || {
            bus::provision(&bus, None).await.ok()
        })
        .await;
        bus
    }

    /// Starts accounts in this process, on the world's SQLite database.
    pub(crate) async fn accounts(&self) -> Service {
        self.accounts_with(&[]).await
    }

    pub(crate) async fn accounts_with(&self, more: &[(&str, &str)]) -> Service {
        let mut settings = self.settings();
        settings.retain(|(key, _)| !more.iter().any(|(other, _)| other == key));
        settings.extend(more.iter().map(|(key, value)| (*key, (*value).to_owned())));
        let pairs: Vec<_> = settings
            .iter()
            .map(|(key, value)| (*key, value.as_str()))
            .collect();
        let config: Config = kit::config::from_pairs(&pairs).unwrap();
        let token = config.service.admin_token_file.clone();
        // A service that was stopped a moment ago lets go of its database once its last task has ended.
        let build = async || App::build(config.clone(), self.clock.clone()).await.ok();
        Service::start(eventually("accounts to start", SOON, build).await, token)
    }

    pub(crate) fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("USHER_LISTEN", "127.0.0.1:0".to_owned()),
            ("USHER_ADMIN_LISTEN", "127.0.0.1:0".to_owned()),
            (
                "USHER_ADMIN_TOKEN_FILE",
                self.file("admin-token").display().to_string(),
            ),
            (
                "USHER_DATABASE_URL",
                format!("sqlite:{}", self.file("accounts.sqlite").display()),
            ),
            ("USHER_NATS_URL", self.nats.url()),
        ]
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A second way into the database, past the service.
    pub(crate) async fn database(&self) -> DatabaseConnection {
        Database::connect(format!("sqlite:{}", self.file("accounts.sqlite").display()))
            .await
            .unwrap()
    }

    /// How many rows a table has, as another program sees it.
    pub(crate) async fn count(&self, table: &str) -> i64 {
        count(
            &self.database().await,
            &format!("SELECT COUNT(*) FROM {table}"),
        )
        .await
    }

    /// The texts that a query answers with.
    pub(crate) async fn texts(&self, sql: &str) -> Vec<String> {
        let database = self.database().await;
        let statement = Statement::from_string(database.get_database_backend(), sql);
        let rows = database.query_all_raw(statement).await.unwrap();
        rows.iter()
            .map(|row| row.try_get_by_index(0).unwrap())
            .collect()
    }

    /// Rows of all tables of the service.
    pub(crate) async fn rows(&self) -> [i64; 3] {
        [
            self.count("accounts").await,
            self.count("outbox").await,
            self.count("idempotency_keys").await,
        ]
    }
}

/// The number that a query answers with.
pub(crate) async fn count(database: &DatabaseConnection, sql: &str) -> i64 {
    let statement = Statement::from_string(database.get_database_backend(), sql);
    database
        .query_one_raw(statement)
        .await
        .unwrap()
        .unwrap()
        .try_get_by_index(0)
        .unwrap()
}

/// A running service. Dropped, it is told to stop; `stop` awaits that.
pub(crate) struct Service {
    addr: SocketAddr,
    admin_addr: SocketAddr,
    token: PathBuf,
    shutdown: oneshot::Sender<()>,
    ended: JoinHandle<anyhow::Result<()>>,
}

impl Service {
    pub(crate) fn start(app: App, token: PathBuf) -> Self {
        let (shutdown, asked) = oneshot::channel();
        let (addr, admin_addr) = (app.addr(), app.admin_addr());
        let ended = tokio::spawn(app.run_until(async { drop(asked.await) }));
        Self {
            addr,
            admin_addr,
            token,
            shutdown,
            ended,
        }
    }

    pub(crate) fn client(&self) -> Client {
        Client::of(self.addr)
    }

    pub(crate) fn admin(&self) -> AccountsAdminClient<Channel> {
        AccountsAdminClient::new(channel(self.admin_addr))
    }

    /// What a probe gets: the HTTP status and the body.
    pub(crate) async fn probe(&self, path: &str) -> (u16, String) {
        let mut connection = TcpStream::connect(self.admin_addr).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: accounts\r\nconnection: close\r\n\r\n");
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut reply = String::new();
        connection.read_to_string(&mut reply).await.unwrap();
        let status = reply.split(' ').nth(1).unwrap().parse().unwrap();
        (status, reply.split_once("\r\n\r\n").unwrap().1.to_owned())
    }

    /// A request with the operators' token.
    pub(crate) fn as_operator<T>(&self, message: T) -> Request<T> {
        let token = std::fs::read_to_string(&self.token).unwrap();
        let mut request = Request::new(message);
        request.metadata_mut().insert(
            "authorization",
            format!("Bearer {}", token.trim()).parse().unwrap(),
        );
        request
    }

    pub(crate) async fn stop(self) {
        self.shutdown.send(()).unwrap();
        self.ended.await.unwrap().unwrap();
    }
}

fn channel(addr: SocketAddr) -> Channel {
    Channel::from_shared(format!("http://{addr}"))
        .unwrap()
        .connect_lazy()
}

/// A caller.
#[derive(Clone)]
pub(crate) struct Client(pub(crate) AccountsServiceClient<Channel>);

impl Client {
    pub(crate) fn of(addr: SocketAddr) -> Self {
        Self(AccountsServiceClient::new(channel(addr)))
    }

    pub(crate) async fn create(&self, request: CreateAccountRequest) -> Result<Account, Status> {
        let response = self.0.clone().create_account(request).await?;
        Ok(response.into_inner().account.unwrap())
    }

    pub(crate) async fn create_under(
        &self,
        key: &str,
        request: CreateAccountRequest,
    ) -> Result<Account, Status> {
        let mut request = Request::new(request);
        request
            .metadata_mut()
            .insert("idempotency-key", key.parse().unwrap());
        Ok(self
            .0
            .clone()
            .create_account(request)
            .await?
            .into_inner()
            .account
            .unwrap())
    }

    pub(crate) async fn get(&self, account_id: &str) -> Result<Account, Status> {
        let request = GetAccountRequest {
            account_id: account_id.to_owned(),
        };
        Ok(self
            .0
            .clone()
            .get_account(request)
            .await?
            .into_inner()
            .account
            .unwrap())
    }

    pub(crate) async fn watch(
        &self,
        account_id: &str,
    ) -> Result<Streaming<WatchAccountResponse>, Status> {
        let request = WatchAccountRequest {
            account_id: account_id.to_owned(),
        };
        Ok(self.0.clone().watch_account(request).await?.into_inner())
    }
}

pub(crate) fn sign_up(email: &str) -> CreateAccountRequest {
    CreateAccountRequest {
        email: email.to_owned(),
        display_name: "Ada Lovelace".to_owned(),
        locale: "en".to_owned(),
    }
}

/// A refusal as a caller sees it: code, message, details.
pub(crate) fn shown(status: &Status) -> String {
    let code = format!("{:?}", status.code());
    let mut lines = vec![format!("{code}: {}", status.message())];
    let details = status.get_error_details();
    for violation in details
        .bad_request()
        .iter()
        .flat_map(|bad| &bad.field_violations)
    {
        lines.push(format!("  {}: {}", violation.field, violation.description));
    }
    if let Some(info) = details.error_info() {
        lines.push(format!("  reason {} of {}", info.reason, info.domain));
    }
    if let Some(delay) = details.retry_info().and_then(|info| info.retry_delay) {
        lines.push(format!("  retry after {delay:?}"));
    }
    lines.join("\n")
}

/// The refused fields.
pub(crate) fn fields(status: &Status) -> Vec<String> {
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    let details = status.get_error_details();
    let bad = details.bad_request().expect("a refusal names its fields");
    bad.field_violations
        .iter()
        .map(|violation| violation.field.clone())
        .collect()
}

/// The reason that programs compare.
pub(crate) fn reason(status: &Status) -> String {
    status
        .get_error_details()
        .error_info()
        .expect("a refusal has a reason")
        .reason
        .clone()
}
