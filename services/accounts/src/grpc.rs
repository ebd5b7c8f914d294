//! The public side: decodes a request into a command, and its result into a reply or a status. `admin` is the
//! operators' side, `status` the one place where errors become statuses.

mod admin;
mod status;

use futures::{StreamExt as _, stream::BoxStream};
use kit::{
    db::Db,
    telemetry::{names, span},
    watch::Watches,
};
use opentelemetry::{Context, KeyValue};
use proto::accounts::{
    self as messages, CreateAccountRequest, CreateAccountResponse, GetAccountRequest,
    GetAccountResponse, WatchAccountRequest, WatchAccountResponse,
    accounts_service_server::AccountsService,
};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use uuid::Uuid;

pub use self::admin::Admin;
use self::status::status;
use crate::commands::{
    self, Account,
    create_account::{CreateAccount, SignUps},
    get_account::{get_account, parse_id},
    watch_account::watch_account,
};

/// `usher.accounts.v1.AccountsService`.
#[derive(Debug)]
pub struct Public {
    /// For reading.
    pub db: Db,
    /// Where sign-ups go.
    pub sign_ups: SignUps,
    /// Tells open streams of changes.
    pub watches: Watches<Uuid>,
    /// Ends open streams: a shutdown would otherwise wait for them for ever.
    pub stop: CancellationToken,
}

#[tonic::async_trait]
impl AccountsService for Public {
    async fn create_account(
        &self,
        request: Request<CreateAccountRequest>,
    ) -> Result<Response<CreateAccountResponse>, Status> {
        let key = request
            .metadata()
            .get("idempotency-key")
            .map(|key| key.as_bytes().to_vec());
        let CreateAccountRequest {
            email,
            display_name,
            locale,
        } = request.into_inner();
        let command =
            CreateAccount::parse(&email, &display_name, &locale, key.as_deref()).map_err(status)?;
        let caller = Context::current();
        let account = self
            .sign_ups
            .create(command, caller.clone())
            .await
            .map_err(status)?;
        span::set(
            &caller,
            KeyValue::new(names::USHER_ACCOUNT_ID, account.id.to_string()),
        );
        Ok(Response::new(CreateAccountResponse {
            account: Some(encode(account)),
        }))
    }

    async fn get_account(
        &self,
        request: Request<GetAccountRequest>,
    ) -> Result<Response<GetAccountResponse>, Status> {
        let id = parse_id(&request.get_ref().account_id).map_err(status)?;
        let account = get_account(&self.db, id).await.map_err(status)?;
        Ok(Response::new(GetAccountResponse {
            account: Some(encode(account)),
        }))
    }

    type WatchAccountStream = BoxStream<'static, Result<WatchAccountResponse, Status>>;

    async fn watch_account(
        &self,
        request: Request<WatchAccountRequest>,
    ) -> Result<Response<Self::WatchAccountStream>, Status> {
        let id = parse_id(&request.get_ref().account_id).map_err(status)?;
        let accounts = watch_account(self.db.clone(), &self.watches, id, self.stop.clone());
        let versions = accounts
            .await
            .map_err(status)?
            .map(|account| match account {
                Ok(account) => Ok(WatchAccountResponse {
                    account: Some(encode(account)),
                }),
                Err(error) => Err(status(error)),
            });
        Ok(Response::new(versions.boxed()))
    }
}

fn encode(account: Account) -> messages::Account {
    let status = match account.status {
        commands::Status::Pending => messages::AccountStatus::Pending,
        commands::Status::Verified => messages::AccountStatus::Verified,
    };
    messages::Account {
        account_id: account.id.to_string(),
        email: account.email,
        display_name: account.display_name,
        locale: account.locale,
        status: status.into(),
        created_at: Some(account.created_at.into()),
        verified_at: account.verified_at.map(Into::into),
    }
}
