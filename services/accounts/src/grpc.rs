//! The public side: decodes a request into a command, and its result into a reply or a status.
//! `stream` does the same for many on one stream, `admin` is the operators' side, `status` the one
//! place where errors become statuses.

mod admin;
mod decode;
mod encode;
mod status;
mod stream;

use futures::{StreamExt as _, stream::BoxStream};
use kit::{db::Db, serve, watch::Watches};
use opentelemetry::Context;
use proto::accounts::{
    CreateAccountRequest, CreateAccountResponse, CreateAccountsRequest, CreateAccountsResponse,
    GetAccountRequest, GetAccountResponse, WatchAccountRequest, WatchAccountResponse,
    accounts_service_server::AccountsService,
};
use tonic::{Request, Response, Status, Streaming};
use uuid::Uuid;

use self::status::status;
pub(crate) use self::{
    admin::Admin,
    stream::{Batches, Patience},
};
use crate::commands::{
    create_account::{CreateAccount, SignUps},
    get_account::get_account,
    watch_account::watch_account,
};

/// `usher.accounts.v1.AccountsService`.
#[derive(Debug)]
pub(crate) struct Public {
    pub(crate) db: Db,
    pub(crate) sign_ups: SignUps,
    pub(crate) watches: Watches<Uuid>,
    pub(crate) batches: Batches,
}

#[tonic::async_trait]
impl AccountsService for Public {
    async fn create_account(
        &self,
        request: Request<CreateAccountRequest>,
    ) -> Result<Response<CreateAccountResponse>, Status> {
        // First: it counts from the request's arrival.
        let deadline = serve::deadline(&request);
        let key = request
            .metadata()
            .get("idempotency-key")
            .map(|key| key.as_bytes().to_vec());
        let CreateAccountRequest {
            email,
            display_name,
            locale,
        } = request.into_inner();
        let command = CreateAccount::parse(&email, &display_name, &locale, key.as_deref());
        // Taken here: the commit runs in a task that belongs to no caller, and has no context.
        let caller = Context::current();
        let created = self
            .sign_ups
            .create(command.map_err(status)?, caller.clone(), deadline)
            .await;
        let created = created.map_err(status)?;
        Ok(Response::new(encode::created(created, &caller)))
    }

    type CreateAccountsStream = BoxStream<'static, Result<CreateAccountsResponse, Status>>;

    async fn create_accounts(
        &self,
        request: Request<Streaming<CreateAccountsRequest>>,
    ) -> Result<Response<Self::CreateAccountsStream>, Status> {
        Ok(Response::new(self.batches.open(request)))
    }

    async fn get_account(
        &self,
        request: Request<GetAccountRequest>,
    ) -> Result<Response<GetAccountResponse>, Status> {
        let id = serve::uuid("account_id", &request.get_ref().account_id)?;
        let account = get_account(&self.db, id).await.map_err(status)?;
        Ok(Response::new(GetAccountResponse {
            account: Some(encode::account(account)),
        }))
    }

    type WatchAccountStream = BoxStream<'static, Result<WatchAccountResponse, Status>>;

    async fn watch_account(
        &self,
        request: Request<WatchAccountRequest>,
    ) -> Result<Response<Self::WatchAccountStream>, Status> {
        let id = serve::uuid("account_id", &request.get_ref().account_id)?;
        let ending = serve::ending(&request);
        let watched = watch_account(self.db.clone(), &self.watches, id, ending).await;
        let versions = watched.map_err(status)?.map(|version| {
            let account = Some(encode::account(version.map_err(status)?));
            Ok(WatchAccountResponse { account })
        });
        Ok(Response::new(versions.boxed()))
    }
}
