//! The operators' side, on the admin listener behind its token.

use kit::bus::DeadLetters;
use proto::{
    letters::{
        DropDeadLettersRequest, DropDeadLettersResponse, GetDeadLetterRequest,
        GetDeadLetterResponse, ListDeadLettersRequest, ListDeadLettersResponse,
        ReplayDeadLettersRequest, ReplayDeadLettersResponse,
    },
    verification::verification_admin_server::VerificationAdmin,
};
use tonic::{Request, Response, Status};

/// `usher.verification.v1.VerificationAdmin`.
#[derive(Debug)]
pub(crate) struct Admin {
    pub(crate) dead_letters: DeadLetters,
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
}
