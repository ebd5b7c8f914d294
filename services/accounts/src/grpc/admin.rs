//! The operators' side, on the admin listener behind its token.

use kit::{db::Db, page::PageToken};
use proto::accounts::{
    ListAccountsRequest, ListAccountsResponse, accounts_admin_server::AccountsAdmin,
};
use tonic::{Request, Response, Status};

use super::{encode, status::status};
use crate::commands::list_accounts::list_accounts;

/// `usher.accounts.v1.AccountsAdmin`.
#[derive(Debug)]
pub(crate) struct Admin {
    pub(crate) db: Db,
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
        } = request.into_inner();
        let listed = list_accounts(&self.db, page_size, &page_token).await;
        let (accounts, next) = listed.map_err(status)?;
        Ok(Response::new(ListAccountsResponse {
            accounts: accounts.into_iter().map(encode::account).collect(),
            next_page_token: next.map(PageToken::to_text).unwrap_or_default(),
        }))
    }
}
