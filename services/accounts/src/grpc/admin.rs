//! The operators' side, on the admin listener behind its token.

use kit::db::Db;
use proto::accounts::{
    ListAccountsRequest, ListAccountsResponse, accounts_admin_server::AccountsAdmin,
};
use tonic::{Request, Response, Status};

use super::{encode, status::status};
use crate::{
    commands::list_accounts::{ListAccounts, list_accounts},
    domain::PageToken,
};

/// `usher.accounts.v1.AccountsAdmin`.
#[derive(Debug)]
pub struct Admin {
    /// For reading.
    pub db: Db,
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
        let command = ListAccounts::parse(page_size, &page_token).map_err(status)?;
        let page = list_accounts(&self.db, command).await.map_err(status)?;
        Ok(Response::new(ListAccountsResponse {
            accounts: page.accounts.into_iter().map(encode).collect(),
            next_page_token: page.next.map(PageToken::to_text).unwrap_or_default(),
        }))
    }
}
