//! The public side: `decode` turns a request into what a command takes, `encode` its answer into a
//! reply, `status` its error into a status; `admin` is the operators' side.

mod admin;
mod decode;
mod encode;
mod issue_code;
mod status;

use futures::{StreamExt as _, stream::BoxStream};
use kit::{db::Db, serve, watch::Watches};
use proto::verification::{
    ConfirmCodeRequest, ConfirmCodeResponse, GetVerificationRequest, GetVerificationResponse,
    IssueCodeRequest, IssueCodeResponse, ResendCodeRequest, ResendCodeResponse,
    WatchVerificationRequest, WatchVerificationResponse,
    verification_service_server::VerificationService,
};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use self::status::status;
pub(crate) use self::{admin::Admin, issue_code::IssueCalls};
use crate::commands::{
    confirm_code::ConfirmCode, get_verification::get_verification, resend_code::ResendCode,
    watch_verification::watch_verification,
};

/// `usher.verification.v1.VerificationService`.
#[derive(Debug)]
pub(crate) struct Public {
    pub(crate) db: Db,
    pub(crate) issue_code: IssueCalls,
    pub(crate) confirm_code: ConfirmCode,
    pub(crate) resend_code: ResendCode,
    pub(crate) watches: Watches<Uuid>,
}

#[tonic::async_trait]
impl VerificationService for Public {
    async fn issue_code(
        &self,
        request: Request<IssueCodeRequest>,
    ) -> Result<Response<IssueCodeResponse>, Status> {
        Ok(Response::new(self.issue_code.answer(request).await?))
    }

    async fn confirm_code(
        &self,
        request: Request<ConfirmCodeRequest>,
    ) -> Result<Response<ConfirmCodeResponse>, Status> {
        let (target, typed) = decode::guess(request.into_inner())?;
        let confirmed = self.confirm_code.run(target, typed).await.map_err(status)?;
        Ok(Response::new(encode::confirmed(confirmed)))
    }

    async fn resend_code(
        &self,
        request: Request<ResendCodeRequest>,
    ) -> Result<Response<ResendCodeResponse>, Status> {
        let asker = decode::asker(request.into_inner())?;
        let next_after = self.resend_code.run(asker).await.map_err(status)?;
        let next_after = Some(encode::duration(next_after));
        Ok(Response::new(ResendCodeResponse { next_after }))
    }

    async fn get_verification(
        &self,
        request: Request<GetVerificationRequest>,
    ) -> Result<Response<GetVerificationResponse>, Status> {
        let account_id = serve::uuid("account_id", &request.get_ref().account_id)?;
        let shown = get_verification(&self.db, account_id)
            .await
            .map_err(status)?;
        let verification = Some(encode::verification(shown));
        Ok(Response::new(GetVerificationResponse { verification }))
    }

    type WatchVerificationStream = BoxStream<'static, Result<WatchVerificationResponse, Status>>;

    async fn watch_verification(
        &self,
        request: Request<WatchVerificationRequest>,
    ) -> Result<Response<Self::WatchVerificationStream>, Status> {
        let account_id = serve::uuid("account_id", &request.get_ref().account_id)?;
        let (db, ending) = (self.db.clone(), serve::ending(&request));
        let versions = watch_verification(db, &self.watches, account_id, ending);
        let responses = versions.map(|shown| match shown {
            Ok(shown) => {
                let verification = Some(encode::verification(shown));
                Ok(WatchVerificationResponse { verification })
            }
            Err(error) => Err(status(error)),
        });
        Ok(Response::new(responses.boxed()))
    }
}
