//! The operators' side, on the admin listener behind its token.

use kit::{bus::DeadLetters, db::Db, page::PageToken, serve};
use proto::{
    accounts::{ListAccountsRequest, ListAccountsResponse, accounts_admin_server::AccountsAdmin},
    letters::{
        DropDeadLettersRequest, DropDeadLettersResponse, GetDeadLetterRequest,
        GetDeadLetterResponse, ListDeadLettersRequest, ListDeadLettersResponse,
        ReplayDeadLettersRequest, ReplayDeadLettersResponse,
    },
};
use tonic::{Request, Response, Status};

use super::{decode, encode, status::status};
use crate::commands::list_accounts::{Wanted, list_accounts};

/// `usher.accounts.v1.AccountsAdmin`.
#[derive(Debug)]
pub(crate) struct Admin {
    pub(crate) db: Db,
    pub(crate) dead_letters: DeadLetters,
}

#[tonic::async_trait]
impl AccountsAdmin for Admin {
    async fn list_accounts(
        &self,
        request: Request<ListAccountsRequest>,
    ) -> Result<Response<ListAccountsResponse>, Status> {
        let ListAccountsRequest {
            page_size,
            page_token,
            status: stands,
            email,
        } = request.into_inner();
        let wanted = Wanted {
            page_size,
            page_token,
            status: decode::status(stands).map_err(|why| serve::invalid_argument(&[why]))?,
            email: email.into(),
        };
        let listed = list_accounts(&self.db, &wanted).await;
        let (accounts, next) = listed.map_err(status)?;
        Ok(Response::new(ListAccountsResponse {
            accounts: accounts.into_iter().map(encode::account).collect(),
            next_page_token: next.map(PageToken::to_text).unwrap_or_default(),
        }))
    }

    async fn list_dead_letters(
        &self,
        request: Request<ListDeadLettersRequest>,
    ) -> Result<Response<ListDeadLettersResponse>, Status> {
        self.dead_letters.list(request).await
    }

    async fn get_dead_letter(
        &self,
        request: Request<GetDeadLetterRequest>,
    ) -> Result<Response<GetDeadLetterResponse>, Status> {
        self.dead_letters.get(request).await
    }

    async fn replay_dead_letters(
        &self,
        request: Request<ReplayDeadLettersRequest>,
    ) -> Result<Response<ReplayDeadLettersResponse>, Status> {
        self.dead_letters.replay(request).await
    }

    async fn drop_dead_letters(
        &self,
        request: Request<DropDeadLettersRequest>,
    ) -> Result<Response<DropDeadLettersResponse>, Status> {
        self.dead_letters.drop(request).await
    }
}
