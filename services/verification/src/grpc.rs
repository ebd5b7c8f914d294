//! The public side: `decode` turns a request into what a command takes, `encode` its answer into a
//! reply, `status` its error into a status; `admin` is the operators' side.

mod admin;
mod decode;
mod encode;
mod status;

use std::time::Duration;

use futures::{StreamExt as _, stream::BoxStream};
use kit::{
    db::{Db, detached},
    propagation,
    serve::{self, AdminToken},
    telemetry::{
        names,
        span::{self, Lineage},
    },
    watch::Watches,
};
use opentelemetry::{Context, KeyValue, trace::TraceContextExt as _};
use proto::{
    accounts::AccountCreated,
    events::Event as _,
    verification::{
        ConfirmCodeRequest, ConfirmCodeResponse, GetVerificationRequest, GetVerificationResponse,
        IssueCodeRequest, IssueCodeResponse, ResendCodeRequest, ResendCodeResponse,
        WatchVerificationRequest, WatchVerificationResponse,
        verification_service_server::VerificationService,
    },
};
use tokio::time::{Instant, timeout_at};
use tonic::{Request, Response, Status, metadata::MetadataMap};
use uuid::Uuid;

pub(crate) use self::admin::Admin;
use self::status::status;
use crate::{
    commands::{
        MailState, NewVerification,
        await_mail::{AwaitMail, NewestCode},
        confirm_code::ConfirmCode,
        get_verification::get_verification,
        issue_first_code::{FirstCodeCall, IssueFirstCode, IssueFirstCodeError},
        resend_code::ResendCode,
        watch_verification::watch_verification,
    },
    delivery::Queue,
    domain::Turn,
};

/// The answer leaves so long before the caller's deadline that it arrives.
const ANSWERING: Duration = Duration::from_millis(250);

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

/// What answers `IssueCode`: the edge does for a call what `consumer` does for events, room before the
/// commit, the mail on its way after it.
#[derive(Debug)]
pub(crate) struct IssueCalls {
    /// Whoever may call has mails sent to any address: accounts may, strangers may not.
    pub(crate) token: AdminToken,
    pub(crate) issue_first_code: IssueFirstCode,
    pub(crate) await_mail: AwaitMail,
    /// To the delivery.
    pub(crate) queue: Queue,
}

impl IssueCalls {
    async fn answer(
        &self,
        request: Request<IssueCodeRequest>,
    ) -> Result<IssueCodeResponse, Status> {
        // First: who lacks it learns nothing.
        self.token.check(request.metadata().as_ref())?;
        let until = answer_by(serve::deadline(&request));
        let creation = creation(request.metadata());
        let (new, awaits_mail) = decode::new_account(request.get_ref())?;
        let account_id = new.account_id;
        let told = |name, value: Uuid| {
            span::set(&Context::current(), KeyValue::new(name, value.to_string()));
        };
        told(names::USHER_ACCOUNT_ID, account_id);
        // Before anything is written: who cannot wait has lost nothing.
        let room = match awaits_mail {
            true => Some(self.await_mail.room().ok_or(IssueFirstCodeError::Busy)),
            false => None,
        };
        let room = room.transpose().map_err(status)?;
        // In a task of its own: a caller that hangs up after the commit must not keep the mail from
        // its way. How many there are the group's queue bounds.
        let started = detached(self.start(new, creation));
        let started = timeout_at(until, started).await;
        let code_id = started.unwrap_or(Err(IssueFirstCodeError::Late));
        let newest = match (code_id.map_err(status)?, room) {
            (_, Some(_room)) => self.await_mail.run(account_id, until).await,
            (Some(id), None) => Ok(NewestCode {
                id,
                mail_state: MailState::Pending,
            }),
            (None, None) => self.await_mail.newest(account_id).await,
        };
        let newest = newest.map_err(|error| status(IssueFirstCodeError::from(error)))?;
        told(names::USHER_CODE_ID, newest.id);
        Ok(encode::issued(newest))
    }

    /// Commits, hands the mail over, and answers with the code, if there is a new one.
    fn start(
        &self,
        new: NewVerification,
        creation: Context,
    ) -> impl Future<Output = Result<Option<Uuid>, IssueFirstCodeError>> + Send + use<> {
        let (issue_first_code, queue) = (self.issue_first_code.clone(), self.queue.clone());
        async move {
            let context = process_span(&creation, new.account_id);
            // Before the row is made: it is born claimed only if its mail is going to be handed
            // over.
            let room = queue.reserve(Turn::First, 1);
            let call = FirstCodeCall {
                new,
                context: context.clone(),
                has_room: room.len() > 0,
            };
            let issued = issue_first_code.run(call).await;
            match &issued {
                Ok(_) => span::end(&context),
                Err(error) => span::fail(&context, error.word()),
            }
            let Some(code) = issued? else {
                return Ok(None);
            };
            // Only now: before the commit, a mail could leave whose code does not exist.
            queue.hand_over(code.mail.into_iter().collect(), room);
            Ok(Some(code.id))
        }
    }
}

/// When a caller that goes away at `deadline` gets its answer.
fn answer_by(deadline: Instant) -> Instant {
    let left = deadline.saturating_duration_since(Instant::now());
    // Halfway for a caller that gives less than twice as long: it would be late at once.
    deadline - ANSWERING.min(left / 2)
}

/// The context in which the account was created, which goes on here whatever becomes of other
/// callers' traces: its caller has the token. This call's own where it names none.
fn creation(metadata: &MetadataMap) -> Context {
    let said = propagation::extract_metadata(metadata);
    match said.has_active_span() {
        true => said,
        false => Context::current(),
    }
}

/// As the consumer's, so that a journey looks the same whichever way the news of it came.
fn process_span(creation: &Context, account_id: Uuid) -> Context {
    let name = names::messaging_span(names::PROCESS, AccountCreated::SUBJECT);
    let attributes = [
        KeyValue::new(names::RPC_SYSTEM_NAME, names::GRPC),
        KeyValue::new(names::USHER_ACCOUNT_ID, account_id.to_string()),
    ];
    // A call is never old: who repeats it says anew what it belongs to.
    span::process(name, creation, Lineage::Aged(Duration::ZERO), attributes)
}
