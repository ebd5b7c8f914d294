//! The operators' side, on the admin listener behind its token.

use kit::{db::Db, page::PageToken, serve};
use proto::mailer::{ListMailsRequest, ListMailsResponse, mailer_admin_server::MailerAdmin};
use tonic::{Request, Response, Status};

use super::{encode, status::status};
use crate::commands::list_mails::list_mails;

/// `usher.mailer.v1.MailerAdmin`.
#[derive(Debug)]
pub(crate) struct Admin {
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
        let code_id = match &*code_id {
            "" => None, // of all mails
            id => Some(serve::uuid("code_id", id)?),
        };
        let listed = list_mails(&self.db, page_size, &page_token, code_id).await;
        let (attempts, next) = listed.map_err(status)?;
        Ok(Response::new(ListMailsResponse {
            attempts: attempts.into_iter().map(encode::attempt).collect(),
            next_page_token: next.map(PageToken::to_text).unwrap_or_default(),
        }))
    }
}
