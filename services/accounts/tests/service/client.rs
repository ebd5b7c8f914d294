//! Who calls accounts, and how a refusal reads.

use kit::testing::SOON;
pub(crate) use kit::testing::{fields, reason, shown};
use proto::accounts::{
    Account, CreateAccountRequest, GetAccountRequest, WatchAccountRequest, WatchAccountResponse,
    accounts_service_client::AccountsServiceClient,
};
use tokio::time::timeout;
use tonic::{Request, Status, Streaming, transport::Channel};

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
