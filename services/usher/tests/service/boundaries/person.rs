//! Somebody who signs up and confirms, and repeats both until they are answered; and what is found of
//! them afterwards.

use std::time::Duration;

use kit::testing::eventually;
use proto::{
    accounts::{
        AccountStatus, CreateAccountRequest, GetAccountRequest,
        accounts_service_client::AccountsServiceClient,
    },
    verification::{
        ConfirmCodeRequest, ConfirmOutcome, confirm_code_request::Target,
        verification_service_client::VerificationServiceClient,
    },
};
use tonic::{Request, metadata::AsciiMetadataValue};
use uuid::Uuid;

use super::{ground::Ground, steps::Part};
use crate::world::letter;

/// A service is dead for a moment, an event comes again after its AckWait: so long is long enough.
const LONG: Duration = Duration::from_secs(60);
/// A call that a dying service took is not answered.
const ANSWER: Duration = Duration::from_secs(3);

/// Whoever signs up.
#[derive(Debug)]
pub(super) struct Person {
    pub(super) address: String,
    /// Of their one sign-up, however often it is sent.
    key: AsciiMetadataValue,
}

/// What there is of them when all is quiet.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) codes: i64,
    pub(super) used: i64,
    /// Codes whose mail verification knows as accepted.
    pub(super) accepted: i64,
    pub(super) letters: Vec<Letter>,
    /// Attempts whose outcome the mailer does not know.
    pub(super) unknown: i64,
}

/// A mail that arrived.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Letter {
    to: Vec<String>,
    message_id: String,
    code: String,
}

impl Person {
    pub(super) fn new() -> Self {
        let name = Uuid::new_v4().simple().to_string();
        Self {
            address: format!("{name}@example.org"),
            key: name.parse().expect("it is printable"),
        }
    }

    /// Returns the account's id once it is verified.
    pub(super) async fn signs_up_and_confirms(&self, ground: &Ground) -> Uuid {
        let account = eventually("the sign-up to be acknowledged", LONG, async || {
            self.signs_up(ground).await
        });
        let account = account.await;
        let id = account.parse().expect("an id is a UUID");
        // Whoever is quicker ends the mail's story before it is told: it is obsolete then.
        eventually("the mail to be known as accepted", LONG, async || {
            ground.knows_of_the_mail(id).await.then_some(())
        })
        .await;
        let letters = self.letters(ground);
        let Some(Letter { code, .. }) = letters.first() else {
            panic!("a mail that never came is known as accepted");
        };
        eventually("the code in the mail to be confirmed", LONG, async || {
            confirms(ground, &account, code).await
        })
        .await;
        eventually("the account to be verified", LONG, async || {
            is_verified(ground, &account).await
        })
        .await;
        id
    }

    async fn signs_up(&self, ground: &Ground) -> Option<String> {
        let mut request = Request::new(CreateAccountRequest {
            email: self.address.clone(),
            display_name: "Ada".to_owned(),
            locale: "en".to_owned(),
        });
        request
            .metadata_mut()
            .insert("idempotency-key", self.key.clone());
        request.set_timeout(ANSWER);
        let mut accounts = AccountsServiceClient::new(ground.channel(Part::Accounts));
        let answer = accounts.create_account(request).await.ok()?;
        Some(answer.into_inner().account?.account_id)
    }

    /// The mails to their address.
    pub(super) fn letters(&self, ground: &Ground) -> Vec<Letter> {
        let mut letters = Vec::new();
        for mail in ground.smtp.mails() {
            if let Some((message_id, code)) = letter(&mail.bytes, &self.address) {
                letters.push(Letter {
                    to: mail.to,
                    message_id,
                    code,
                });
            }
        }
        letters
    }
}

impl Found {
    /// One code, used, its mail known as accepted; and mails that are one and the same, to them alone.
    pub(super) fn is_whole(&self, person: &Person) -> bool {
        let to_them = |letter: &Letter| letter.to == [person.address.clone()];
        let mut letters = self.letters.iter();
        (self.codes, self.used, self.accepted) == (1, 1, 1)
            && letters.all(|letter| to_them(letter) && *letter == self.letters[0])
    }
}

async fn confirms(ground: &Ground, account: &str, code: &str) -> Option<()> {
    let mut request = Request::new(ConfirmCodeRequest {
        target: Some(Target::AccountId(account.to_owned())),
        code: code.to_owned(),
    });
    request.set_timeout(ANSWER);
    let channel = ground.channel(Part::Verification);
    let answer = VerificationServiceClient::new(channel)
        .confirm_code(request)
        .await;
    match answer.ok()?.into_inner().outcome() {
        // The second one after an answer that was lost.
        ConfirmOutcome::Ok | ConfirmOutcome::AlreadyVerified => Some(()),
        other => panic!("the code in the mail is answered {other:?}"),
    }
}

async fn is_verified(ground: &Ground, account: &str) -> Option<()> {
    let mut request = Request::new(GetAccountRequest {
        account_id: account.to_owned(),
    });
    request.set_timeout(ANSWER);
    let channel = ground.channel(Part::Accounts);
    let answer = AccountsServiceClient::new(channel)
        .get_account(request)
        .await;
    let account = answer.ok()?.into_inner().account?;
    (account.status() == AccountStatus::Verified).then_some(())
}
