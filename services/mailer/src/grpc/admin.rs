//! The operators' side, on the admin listener behind its token.

use kit::db::Db;
use proto::mailer::{ListMailsRequest, ListMailsResponse, mailer_admin_server::MailerAdmin};
use tonic::{Request, Response, Status};

use super::{encode, status::status};
use crate::commands::list_mails::{ListMails, list_mails};

/// `usher.mailer.v1.MailerAdmin`.
#[derive(Debug)]
pub(crate) struct Admin {
    /// For reading.
    pub(crate) db: Db,
}

#[tonic::async_trait]
impl MailerAdmin for Admin {
    async fn list_mails(
        &self,
        request: Request<ListMailsRequest>,
    ) -> Result<Response<ListMailsResponse>, Status> {
        let ListMailsRequest {
            page_size,
            page_token,
            code_id,
        } = request.into_inner();
        let command = ListMails::parse(page_size, &page_token, &code_id).map_err(status)?;
        let page = list_mails(&self.db, command).await.map_err(status)?;
        Ok(Response::new(ListMailsResponse {
            attempts: page.attempts.into_iter().map(encode::attempt).collect(),
            next_page_token: page.next,
        }))
    }
}
