//! The parts around accounts that a test needs, accounts itself, and who calls it.

use std::ops::Deref;

use accounts::{app::App, config::Config, migrations::Migrator};
use kit::testing::{self, NatsServer, SOON, Settings, eventually};
use proto::accounts::{
    Account, CreateAccountRequest, GetAccountRequest, WatchAccountRequest, WatchAccountResponse,
    accounts_service_client::AccountsServiceClient,
};
use tokio::time::timeout;
use tonic::{Code, Request, Status, Streaming, transport::Channel};
use tonic_types::StatusExt as _;

pub(crate) type Service = testing::Service<Client>;
pub(crate) type Process = testing::Process<Client>;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_accounts");
/// What the relay has yet to do.
pub(crate) const UNPUBLISHED: &str = "outbox WHERE published_at IS NULL";

/// A broker, and what all services stand on.
pub(crate) struct World {
    pub(crate) nats: NatsServer,
    ground: testing::World,
}

impl Deref for World {
    type Target = testing::World;

    fn deref(&self) -> &testing::World {
        &self.ground
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        let world = Self::without_streams(NatsServer::start().await);
        world.nats.provision().await;
        world
    }

    pub(crate) fn without_streams(nats: NatsServer) -> Self {
        let ground = testing::World::on_sqlite();
        Self { nats, ground }
    }

    pub(crate) async fn on_postgres(name: &str) -> Option<Self> {
        let ground = testing::World::on_postgres::<Migrator>(name).await?;
        Some(Self {
            ground,
            ..Self::new().await
        })
    }

    pub(crate) fn settings(&self) -> Settings {
        let key = self.file("fingerprint-key").display().to_string();
        self.ground.settings().with(&[
            ("USHER_NATS_URL", &self.nats.url()),
            ("USHER_FINGERPRINT_KEY_FILE", &key),
        ])
    }

    pub(crate) async fn start(&self) -> Service {
        self.start_with(&[]).await
    }

    pub(crate) async fn start_with(&self, more: &[(&str, &str)]) -> Service {
        let settings = self.settings().with(more);
        // A service that was stopped a moment ago lets go of its database once its last task has ended.
        let build = async || {
            App::build(settings.config::<Config>(), self.clock.clone())
                .await
                .ok()
        };
        let app = eventually("accounts to start", SOON, build).await;
        Service::start(&settings, [app.addr(), app.admin_addr()], |shutdown| {
            app.run_until(shutdown)
        })
    }

    /// Two replicas.
    pub(crate) async fn pair(&self) -> [Service; 2] {
        [self.start().await, self.start().await]
    }

    /// Accounts as a process of its own.
    pub(crate) async fn process(&self, more: &[(&str, &str)]) -> Process {
        Process::start(PROGRAM, &self.settings().with(more)).await
    }

    /// Rows of all tables of the service: accounts, events, keys.
    pub(crate) async fn rows(&self) -> [i64; 3] {
        [
            self.count("accounts").await,
            self.count("outbox").await,
            self.count("idempotency_keys").await,
        ]
    }
}

/// A caller.
#[derive(Clone)]
pub(crate) struct Client(pub(crate) AccountsServiceClient<Channel>);

impl From<Channel> for Client {
    fn from(channel: Channel) -> Self {
        Self(AccountsServiceClient::new(channel))
    }
}

impl Client {
    pub(crate) async fn create(&self, request: CreateAccountRequest) -> Result<Account, Status> {
        self.send(Request::new(request)).await
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
        self.send(request).await
    }

    async fn send(&self, request: Request<CreateAccountRequest>) -> Result<Account, Status> {
        let response = self.0.clone().create_account(request).await?;
        Ok(response.into_inner().account.unwrap())
    }

    pub(crate) async fn get(&self, account_id: &str) -> Result<Account, Status> {
        let account_id = account_id.to_owned();
        let response = self
            .0
            .clone()
            .get_account(GetAccountRequest { account_id })
            .await?;
        Ok(response.into_inner().account.unwrap())
    }

    pub(crate) async fn watch(
        &self,
        account_id: &str,
    ) -> Result<Streaming<WatchAccountResponse>, Status> {
        let account_id = account_id.to_owned();
        let response = self
            .0
            .clone()
            .watch_account(WatchAccountRequest { account_id })
            .await?;
        Ok(response.into_inner())
    }

    /// Waits until the account is verified, and returns it as a watch shows it last.
    pub(crate) async fn verified(&self, account_id: &str) -> Account {
        let mut versions = self.watch(account_id).await.unwrap();
        let mut last = None;
        let ended = async {
            while let Some(version) = versions.message().await.unwrap() {
                last = version.account;
            }
        };
        timeout(SOON, ended).await.expect("the account is verified");
        last.unwrap()
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
