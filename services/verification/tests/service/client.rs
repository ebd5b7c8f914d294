//! Who calls verification.

use std::time::Duration;

use kit::testing::SOON;
use proto::verification::{
    Code, CodeState, ConfirmCodeRequest, ConfirmCodeResponse, ConfirmOutcome,
    GetVerificationRequest, MailState, ResendCodeRequest, Verification, WatchVerificationRequest,
    WatchVerificationResponse, confirm_code_request, resend_code_request::Target,
    verification_service_client::VerificationServiceClient,
};
use tokio::time::timeout;
use tonic::{Status, Streaming, transport::Channel};
use uuid::Uuid;

/// A caller.
#[derive(Clone)]
pub(crate) struct Client(pub(crate) VerificationServiceClient<Channel>);

impl From<Channel> for Client {
    fn from(channel: Channel) -> Self {
        Self(VerificationServiceClient::new(channel))
    }
}

impl Client {
    pub(crate) async fn try_confirm(
        &self,
        account_id: &str,
        code: &str,
    ) -> Result<ConfirmCodeResponse, Status> {
        let target = confirm_code_request::Target::AccountId(account_id.to_owned());
        let request = ConfirmCodeRequest {
            target: Some(target),
            code: code.to_owned(),
        };
        Ok(self.0.clone().confirm_code(request).await?.into_inner())
    }

    pub(crate) async fn confirm(&self, account_id: &str, code: &str) -> ConfirmCodeResponse {
        self.try_confirm(account_id, code).await.unwrap()
    }

    pub(crate) async fn outcome(&self, account_id: &str, code: &str) -> ConfirmOutcome {
        self.confirm(account_id, code).await.outcome()
    }

    /// Asks by account; the wait before the next time.
    pub(crate) async fn resend(&self, account_id: &str) -> Result<Duration, Status> {
        self.resend_to(Target::AccountId(account_id.to_owned()))
            .await
    }

    pub(crate) async fn resend_by_email(&self, email: &str) -> Result<Duration, Status> {
        self.resend_to(Target::Email(email.to_owned())).await
    }

    async fn resend_to(&self, target: Target) -> Result<Duration, Status> {
        let target = Some(target);
        let response = self
            .0
            .clone()
            .resend_code(ResendCodeRequest { target })
            .await?;
        Ok(response
            .into_inner()
            .next_after
            .unwrap()
            .try_into()
            .unwrap())
    }

    pub(crate) async fn get(&self, account_id: &str) -> Result<Verification, Status> {
        let account_id = account_id.to_owned();
        let request = GetVerificationRequest { account_id };
        let response = self.0.clone().get_verification(request).await?;
        Ok(response.into_inner().verification.unwrap())
    }

    pub(crate) async fn watch(&self, account_id: &str) -> Streaming<WatchVerificationResponse> {
        let account_id = account_id.to_owned();
        let request = WatchVerificationRequest { account_id };
        let versions = self.0.clone().watch_verification(request).await;
        versions.unwrap().into_inner()
    }

    /// Watches until the verification satisfies, and returns it.
    pub(crate) async fn until(
        &self,
        what: &str,
        account_id: &str,
        satisfies: impl Fn(&Verification) -> bool,
    ) -> Verification {
        let watched = async {
            let mut versions = self.watch(account_id).await;
            while let Some(version) = versions.message().await.unwrap() {
                let seen = version.verification.unwrap();
                if satisfies(&seen) {
                    return seen;
                }
            }
            panic!("the watch ended before {what}")
        };
        let seen = timeout(SOON, watched).await;
        seen.unwrap_or_else(|_| panic!("watched {SOON:?} in vain for {what}"))
    }

    /// Waits until the mail of the account's code `number` is in this state.
    pub(crate) async fn until_mail(&self, account_id: &str, number: u32, state: MailState) -> Code {
        let is = |code: &Code| code.number == number && code.mail_state() == state;
        let what = format!("code {number}'s mail to be {state:?}");
        let found = self
            .until(&what, account_id, |all| all.codes.iter().any(is))
            .await;
        found.codes.into_iter().find(is).unwrap()
    }

    /// Waits until the account's newest code is `number` and live.
    pub(crate) async fn until_code(&self, account_id: &str, number: u32) -> Code {
        let is = |code: &Code| code.number == number && code.state() == CodeState::Live;
        let found = self
            .until("the next code", account_id, |all| {
                all.codes.first().is_some_and(is)
            })
            .await;
        found.codes.into_iter().next().unwrap()
    }
}

/// What happened to a verification, in order.
pub(crate) fn facts(verification: &Verification) -> Vec<&str> {
    verification
        .history
        .iter()
        .map(|entry| entry.what.as_str())
        .collect()
}

/// A UUID that names nothing.
pub(crate) fn nobody() -> String {
    Uuid::from_u128(0x018f_5c1e_7b9a_7cc0_8f0e_3c2a_9d6b_4e11).to_string()
}

/// Other digits than these.
pub(crate) fn wrong(digits: &str) -> String {
    let other = |digit: char| {
        if digit == '9' {
            '0'
        } else {
            char::from(digit as u8 + 1)
        }
    };
    digits.chars().map(other).collect()
}
