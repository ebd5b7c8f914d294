//! The public side: decodes a request, calls one command, encodes its answer.

mod encode;

use futures::{StreamExt as _, stream::BoxStream};
use kit::watch::Watches;
use proto::verification::{
    ConfirmCodeRequest, ConfirmCodeResponse, GetVerificationRequest, GetVerificationResponse,
    ResendCodeRequest, ResendCodeResponse, WatchVerificationRequest, WatchVerificationResponse,
    confirm_code_request, resend_code_request, verification_service_server::VerificationService,
};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::{
    commands::{Commands, ResendTarget, Shown, Target},
    domain::{address::AddressKey, digits::Digits},
    status,
};

/// `usher.verification.v1.VerificationService`.
#[derive(Debug)]
pub(crate) struct Public {
    /// What it calls.
    pub(crate) commands: Commands,
    /// Tells open streams of changes.
    pub(crate) watches: Watches<Uuid>,
    /// Ends open streams: a shutdown would otherwise wait for them for ever.
    pub(crate) stop: CancellationToken,
}

#[tonic::async_trait]
impl VerificationService for Public {
    async fn confirm_code(
        &self,
        request: Request<ConfirmCodeRequest>,
    ) -> Result<Response<ConfirmCodeResponse>, Status> {
        let ConfirmCodeRequest { target, code } = request.into_inner();
        let target = match target {
            Some(confirm_code_request::Target::AccountId(id)) => {
                Target::Account(uuid("account_id", &id)?)
            }
            Some(confirm_code_request::Target::CodeId(id)) => Target::Code(uuid("code_id", &id)?),
            None => {
                return Err(status::invalid(
                    "target",
                    "expected an account_id or a code_id",
                ));
            }
        };
        let typed =
            Digits::parse(&code).map_err(|error| status::invalid("code", &error.to_string()))?;
        let confirmed = self
            .commands
            .confirm_code(target, typed)
            .await
            .map_err(status::confirm)?;
        Ok(Response::new(encode::confirmed(confirmed)))
    }

    async fn resend_code(
        &self,
        request: Request<ResendCodeRequest>,
    ) -> Result<Response<ResendCodeResponse>, Status> {
        let target = match request.into_inner().target {
            Some(resend_code_request::Target::AccountId(id)) => {
                ResendTarget::Account(uuid("account_id", &id)?)
            }
            Some(resend_code_request::Target::Email(email)) => ResendTarget::Address(
                AddressKey::parse(&email)
                    .map_err(|error| status::invalid("email", &error.to_string()))?,
            ),
            None => {
                return Err(status::invalid(
                    "target",
                    "expected an account_id or an email",
                ));
            }
        };
        let next_after = self
            .commands
            .resend_code(target)
            .await
            .map_err(status::resend)?;
        Ok(Response::new(ResendCodeResponse {
            next_after: Some(encode::duration(next_after)),
        }))
    }

    async fn get_verification(
        &self,
        request: Request<GetVerificationRequest>,
    ) -> Result<Response<GetVerificationResponse>, Status> {
        let account_id = uuid("account_id", &request.get_ref().account_id)?;
        let found = self.commands.read_verification(account_id).await;
        let found = found.map_err(|failed| status::unexpected(&failed))?;
        let (_, shown) =
            found.ok_or_else(|| status::unknown("No verification of this account has begun."))?;
        Ok(Response::new(GetVerificationResponse {
            verification: Some(encode::verification(shown)),
        }))
    }

    type WatchVerificationStream = BoxStream<'static, Result<WatchVerificationResponse, Status>>;

    async fn watch_verification(
        &self,
        request: Request<WatchVerificationRequest>,
    ) -> Result<Response<Self::WatchVerificationStream>, Status> {
        let account_id = uuid("account_id", &request.get_ref().account_id)?;
        let commands = self.commands.clone();
        let read = move || {
            let commands = commands.clone();
            async move { commands.read_verification(account_id).await }
        };
        let is_last = |shown: &Shown| shown.verified_at.is_some();
        let versions = self
            .watches
            .stream(account_id, read, is_last, self.stop.clone());
        let versions = versions.map(|shown| match shown {
            Ok(shown) => Ok(WatchVerificationResponse {
                verification: Some(encode::verification(shown)),
            }),
            Err(failed) => Err(status::unexpected(&failed)),
        });
        Ok(Response::new(versions.boxed()))
    }
}

fn uuid(field: &'static str, text: &str) -> Result<Uuid, Status> {
    // The hyphenated form only: an id has one spelling, in logs as in tables.
    let parsed = (text.len() == 36)
        .then(|| Uuid::try_parse(text).ok())
        .flatten();
    parsed.ok_or_else(|| {
        status::invalid(
            field,
            "expected a UUID such as 0198c5f2-7f4e-7d3a-9c1b-2f6a8e4d5b70",
        )
    })
}
