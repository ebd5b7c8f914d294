//! People who type the code of their mail as soon as it is there, whatever befalls the system, and
//! again until they are answered.

use std::time::Duration;

use futures::{StreamExt as _, stream::FuturesUnordered};
use kit::serve::Channel;
use proto::verification::{
    ConfirmCodeRequest, ConfirmOutcome, confirm_code_request::Target as Whose,
    verification_service_client::VerificationServiceClient,
};
use rand::RngExt as _;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tonic::Code;

use crate::{
    chance::dice,
    check::{Guess, Typed},
    load::channel,
    mails::Mails,
    sink::Accepted,
};

/// Between two looks into the mailboxes.
const LOOK: Duration = Duration::from_millis(50);
const ANSWER: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_millis(500);

/// Who types.
#[derive(Debug, Clone, Copy)]
pub struct Typing {
    /// Decides who it is.
    pub seed: u64,
    /// Which part of the people, from 0 to 1.
    pub share: f64,
}

impl Typing {
    /// Types each code once it was mailed, until `over`.
    ///
    /// # Errors
    /// When one of `urls` is none, or the mails cannot be read.
    pub(crate) async fn run(
        &self,
        urls: &[String],
        mails: &Mails,
        over: &CancellationToken,
    ) -> anyhow::Result<Typed> {
        if self.share == 0.0 {
            over.cancelled().await;
            return Ok(Typed::new());
        }
        let channels = urls.iter().map(|url| channel(url));
        let channels = channels.collect::<anyhow::Result<Vec<_>>>()?;
        let (mut typed, mut read) = (Typed::new(), 0);
        let mut answers = FuturesUnordered::new();
        loop {
            tokio::select! {
                () = over.cancelled() => return Ok(typed),
                Some((code_id, guess)) = answers.next(), if !answers.is_empty() => {
                    typed.insert(code_id, Some(guess));
                }
                () = sleep(LOOK) => {
                    let new = mails.accepted_after(read).await?;
                    read += new.len();
                    for mail in new {
                        let is_first = !typed.contains_key(mail.code_id());
                        if is_first && self.types(&mail) {
                            typed.insert(mail.code_id().to_owned(), None);
                            let channel = channels[typed.len() % channels.len()].clone();
                            answers.push(confirm(channel, mail));
                        }
                    }
                }
            }
        }
    }

    fn types(&self, mail: &Accepted) -> bool {
        let mut dice = dice(self.seed, &format!("types {}", mail.recipient));
        dice.random_bool(self.share)
    }
}

/// Asks until there is an answer that is about the code.
async fn confirm(channel: Channel, mail: Accepted) -> (String, Guess) {
    let mut verification = VerificationServiceClient::new(channel);
    let code_id = mail.code_id().to_owned();
    let mut is_first = true;
    loop {
        let request = ConfirmCodeRequest {
            target: Some(Whose::CodeId(code_id.clone())),
            code: mail.code.clone(),
        };
        let answer = timeout(ANSWER, verification.confirm_code(request)).await;
        let guess = match answer {
            Ok(Ok(reply)) => match reply.into_inner().outcome() {
                ConfirmOutcome::Ok => Some(Guess::Right),
                // The answer to an earlier time was lost.
                ConfirmOutcome::AlreadyVerified if !is_first => Some(Guess::Right),
                other => Some(Guess::Answered(other.as_str_name().to_owned())),
            },
            Ok(Err(status)) => match status.code() {
                code @ (Code::InvalidArgument | Code::NotFound) => {
                    Some(Guess::Answered(format!("{code:?}")))
                }
                _ => None,
            },
            Err(_) => None,
        };
        if let Some(guess) = guess {
            return (code_id, guess);
        }
        is_first = false;
        sleep(AGAIN).await;
    }
}
