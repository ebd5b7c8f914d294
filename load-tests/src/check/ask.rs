//! The questions of the check: each is asked again while the system comes back from the faults.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use anyhow::Context as _;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use kit::serve::Channel;
use proto::{
    accounts::{AccountStatus, ListAccountsRequest, accounts_admin_client::AccountsAdminClient},
    mailer::{ListMailsRequest, Outcome, mailer_admin_client::MailerAdminClient},
    verification::{
        ConfirmCodeRequest, ConfirmOutcome, GetVerificationRequest, ResendCodeRequest,
        Verification, confirm_code_request, resend_code_request,
        verification_service_client::VerificationServiceClient,
    },
};
use tokio::time::{Instant, sleep, timeout};
use tonic::{Code, Status};

use super::{
    guess::{Choice, Guess},
    seen::Stored,
};
use crate::target::Target;

/// Questions under way at once.
const WINDOW: usize = 32;
const ANSWER: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_millis(200);
const PAGE: u32 = 500;

/// Whoever asks.
#[derive(Debug)]
pub(super) struct Asker {
    target: Target,
    accounts: AccountsAdminClient<Channel>,
    verification: VerificationServiceClient<Channel>,
    mailer: MailerAdminClient<Channel>,
    patience: Duration,
}

impl Asker {
    pub(super) fn new(target: &Target, patience: Duration) -> anyhow::Result<Self> {
        Ok(Self {
            target: target.clone(),
            accounts: target.accounts_admin()?,
            verification: target.verification()?,
            mailer: target.mailer_admin()?,
            patience,
        })
    }

    /// Every account that there is.
    pub(super) async fn accounts(&self) -> anyhow::Result<BTreeMap<String, Stored>> {
        let mut accounts = BTreeMap::new();
        let mut page_token = String::new();
        loop {
            let question = async || {
                let request = ListAccountsRequest {
                    page_size: PAGE,
                    page_token: page_token.clone(),
                    ..ListAccountsRequest::default()
                };
                let request = self.target.as_operator(request);
                self.accounts.clone().list_accounts(request).await
            };
            let page = self.again(question).await;
            let page = page.context("accounts does not list its accounts")?;
            let page = page.into_inner();
            page_token = page.next_page_token;
            for account in page.accounts {
                let stored = Stored {
                    verified: account.status() == AccountStatus::Verified,
                    address: account.email,
                };
                accounts.insert(account.account_id, stored);
            }
            if page_token.is_empty() {
                return Ok(accounts);
            }
        }
    }

    /// The verifications of these accounts, without those that there are not.
    pub(super) async fn verifications(
        &self,
        accounts: &[String],
    ) -> anyhow::Result<HashMap<String, Verification>> {
        let each = stream::iter(accounts).map(|id| self.verification_of(id));
        let found: Vec<_> = each.buffer_unordered(WINDOW).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn verification_of(&self, id: &str) -> anyhow::Result<Option<(String, Verification)>> {
        let question = async || {
            let request = GetVerificationRequest {
                account_id: id.to_owned(),
            };
            self.verification.clone().get_verification(request).await
        };
        match self.again(question).await {
            Ok(reply) => Ok(reply
                .into_inner()
                .verification
                .map(|verification| (id.to_owned(), verification))),
            Err(status) if status.code() == Code::NotFound => Ok(None),
            Err(status) => Err(status).context("verification does not answer"),
        }
    }

    /// Asks for a code, as somebody does whose mail does not come.
    pub(super) async fn ask_again(&self, account_id: &str) -> anyhow::Result<()> {
        let question = async || {
            let target = resend_code_request::Target::AccountId(account_id.to_owned());
            let target = Some(target);
            let request = ResendCodeRequest { target };
            self.verification.clone().resend_code(request).await
        };
        let asked = self.again(question).await;
        asked.map(drop).context("verification does not resend")
    }

    /// Types the codes.
    pub(super) async fn guess(
        &self,
        choices: Vec<Choice>,
    ) -> anyhow::Result<HashMap<String, Guess>> {
        let each = stream::iter(choices).map(|choice| self.guess_one(choice));
        each.buffer_unordered(WINDOW).try_collect().await
    }

    async fn guess_one(&self, choice: Choice) -> anyhow::Result<(String, Guess)> {
        let mut times = 0;
        let question = async || {
            // The answer may be lost after the code was taken: asked again, it is not the first.
            times += 1;
            let target = confirm_code_request::Target::AccountId(choice.account_id.clone());
            let request = ConfirmCodeRequest {
                target: Some(target),
                code: choice.code.clone(),
            };
            self.verification.clone().confirm_code(request).await
        };
        let guess = match self.again(question).await {
            Ok(reply) => match reply.into_inner().outcome() {
                ConfirmOutcome::Ok => Guess::Right,
                // The answer to an earlier time was lost.
                ConfirmOutcome::AlreadyVerified if times > 1 || choice.is_typed => Guess::Right,
                other => Guess::Answered(other.as_str_name().to_owned()),
            },
            // A code that cannot be one, or nobody whose it is: the account's loss, and no end of
            // the check.
            Err(status) if matches!(status.code(), Code::InvalidArgument | Code::NotFound) => {
                Guess::Answered(format!("{:?}", status.code()))
            }
            Err(status) => return Err(status).context("verification does not confirm"),
        };
        Ok((choice.account_id, guess))
    }

    /// Attempts at a mail whose outcome could not be known.
    pub(super) async fn unknown_attempts(&self, code_id: &str) -> anyhow::Result<usize> {
        let question = async || {
            let request = ListMailsRequest {
                page_size: PAGE,
                page_token: String::new(),
                code_id: code_id.to_owned(),
            };
            let request = self.target.as_operator(request);
            self.mailer.clone().list_mails(request).await
        };
        let page = self.again(question).await;
        let page = page.context("mailer does not list its attempts")?;
        let attempts = page.into_inner().attempts.into_iter();
        let unknown = attempts.filter(|attempt| attempt.outcome() == Outcome::Unknown);
        Ok(unknown.count())
    }

    /// Asks until there is an answer that is about the question.
    async fn again<T>(
        &self,
        mut question: impl AsyncFnMut() -> Result<T, Status>,
    ) -> Result<T, Status> {
        let deadline = Instant::now() + self.patience;
        loop {
            let answer = timeout(ANSWER, question()).await;
            let answer = answer.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer")));
            // What a system says that comes back from its faults. Everything else is about the
            // question, and would be said again.
            let passes = matches!(
                &answer,
                Err(status) if matches!(
                    status.code(),
                    Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown | Code::ResourceExhausted
                )
            );
            if !passes || Instant::now() > deadline {
                return answer;
            }
            sleep(AGAIN).await;
        }
    }
}
