//! The operators' side, on the admin listener behind its token.

use kit::bus::DeadLetters;
use proto::{
    letters::{
        DropDeadLettersRequest, DropDeadLettersResponse, GetDeadLetterRequest,
        GetDeadLetterResponse, ListDeadLettersRequest, ListDeadLettersResponse,
        ReplayDeadLettersRequest, ReplayDeadLettersResponse,
    },
    verification::{
        ListCodeKeysRequest, ListCodeKeysResponse, verification_admin_server::VerificationAdmin,
    },
};
use tonic::{Request, Response, Status};

use super::{encode, status::status};
use crate::commands::count_codes::CountCodes;

/// `usher.verification.v1.VerificationAdmin`.
#[derive(Debug)]
pub(crate) struct Admin {
    pub(crate) dead_letters: DeadLetters,
    pub(crate) count_codes: CountCodes,
}

#[tonic::async_trait]
impl VerificationAdmin for Admin {
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

    async fn list_code_keys(
        &self,
        _: Request<ListCodeKeysRequest>,
    ) -> Result<Response<ListCodeKeysResponse>, Status> {
        let counted = self.count_codes.run().await.map_err(status)?;
        let keys = counted.into_iter().map(encode::code_key).collect();
        Ok(Response::new(ListCodeKeysResponse { keys }))
    }
}
