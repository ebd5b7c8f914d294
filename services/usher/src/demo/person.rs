//! What a person does in the demo: signs up, reads the mail, types the code; and what they would
//! notice.

use std::time::Duration;

use futures::StreamExt as _;
use proto::{
    accounts::{CreateAccountRequest, WatchAccountRequest},
    verification::{ConfirmCodeRequest, ConfirmOutcome, confirm_code_request::Target},
};
use tokio::time::{Instant, sleep, timeout};

use super::{letter::Letter, mailbox::Mailbox};
use crate::{
    account::{
        show::{self, Shown},
        view::Account,
    },
    exit::{Exit, Failure},
    mail,
    service::Service,
    session::Session,
    terminal::Progress,
};

/// What nobody should have to wait for.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Somebody with a terminal and a mailbox.
#[derive(Debug)]
pub(super) struct Person {
    pub(super) session: Session,
    pub(super) mailbox: Mailbox,
    pub(super) progress: Progress,
}

impl Person {
    pub(super) async fn sign_up(&self, email: &str, name: &str) -> Result<Account, Failure> {
        let request = CreateAccountRequest {
            email: email.to_owned(),
            display_name: name.to_owned(),
            locale: "en".to_owned(),
        };
        let answer = self.session.accounts()?.create_account(request).await;
        let reply = self.session.reply(Service::Accounts, answer)?;
        Ok(reply.account.unwrap_or_default().into())
    }

    /// Waits for the first mail.
    pub(super) async fn letter(&self, address: &str) -> Result<Letter, Failure> {
        let step = self.progress.step("the mail is on its way");
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(letter) = self.mailbox.letters_to(address).into_iter().next() {
                drop(step);
                return Ok(letter);
            }
            if Instant::now() > deadline {
                return Err(self.no_letter().await);
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// What the mailer knows of a mail that did not arrive.
    async fn no_letter(&self) -> Failure {
        let attempts = mail::view::read(&self.session, "", 1)
            .await
            .unwrap_or_default();
        let hint = match attempts.first() {
            Some(newest) if newest.outcome == "ACCEPTED" => {
                "The mail server took the mail: does --mailbox name the folder where it puts mails?"
                    .to_owned()
            }
            Some(newest) => format!("The last attempt was {}: {}", newest.outcome, newest.reply),
            None => {
                "There was no attempt: does the server that USHER_MAIL_URL names answer?".to_owned()
            }
        };
        Failure::new(Exit::Failed, "The mail did not arrive.").hint(hint)
    }

    pub(super) async fn confirm(&self, account_id: &str, code: &str) -> Result<(), Failure> {
        let target = Some(Target::AccountId(account_id.to_owned()));
        let request = ConfirmCodeRequest {
            target,
            code: code.to_owned(),
        };
        let answer = self.session.verification()?.confirm_code(request).await;
        let reply = self.session.reply(Service::Verification, answer)?;
        match reply.outcome() {
            ConfirmOutcome::Ok => Ok(()),
            other => {
                let what = format!("The code was answered with {}.", other.as_str_name());
                Err(Failure::new(Exit::Failed, what))
            }
        }
    }

    /// Waits until accounts has heard that the code was right.
    pub(super) async fn wait_until_verified(&self, account_id: &str) -> Result<(), Failure> {
        let request = WatchAccountRequest {
            account_id: account_id.to_owned(),
        };
        let watching = async {
            let answer = self.session.accounts()?.watch_account(request).await;
            let mut versions = self.session.reply(Service::Accounts, answer)?;
            while let Some(version) = versions.next().await {
                let version =
                    version.map_err(|status| self.session.refusal(Service::Accounts, &status))?;
                if Account::from(version.account.unwrap_or_default()).is_verified() {
                    return Ok(());
                }
            }
            let what = "accounts ended the watch before the account was verified.";
            Err(Failure::new(Exit::Failed, what))
        };
        match timeout(PATIENCE, watching).await {
            Ok(verified) => verified,
            Err(_) => {
                let what = "The account was not verified in time.";
                Err(Failure::new(Exit::Failed, what))
            }
        }
    }

    /// Reads the account once verification knows what became of its mail: then no other one
    /// follows.
    pub(super) async fn shown_after_its_mail(&self, account_id: &str) -> Result<Shown, Failure> {
        let _step = self.progress.step("waiting for the last facts");
        let deadline = Instant::now() + PATIENCE;
        loop {
            let shown = show::read(account_id, &self.session).await?;
            let verification = shown.verification.as_ref();
            let mut codes = verification.iter().flat_map(|known| &known.codes);
            if codes.any(|code| code.mail_state != "PENDING") {
                return Ok(shown);
            }
            let otherwise = "Verification never heard that the mail was accepted.";
            in_time(deadline, otherwise)?;
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// The mails to an address so far.
    pub(super) fn count_mails(&self, address: &str) -> Result<usize, Failure> {
        let letters = self.mailbox.letters_to(address);
        let is_first = |letter: &Letter| letter.message_id == letters[0].message_id;
        if !letters.iter().all(is_first) {
            let what = "Two different mails arrived for one sign-up.";
            return Err(Failure::new(Exit::Failed, what));
        }
        Ok(letters.len())
    }
}

pub(super) fn code(letter: &Letter) -> Result<String, Failure> {
    let code = letter.code();
    code.ok_or_else(|| Failure::new(Exit::Failed, "A mail came, but there is no code in it: it may be another program's, or altered on its way."))
}

/// Fails once the deadline has passed.
pub(super) fn in_time(deadline: Instant, otherwise: &str) -> Result<(), Failure> {
    if Instant::now() > deadline {
        return Err(Failure::new(Exit::Failed, otherwise));
    }
    Ok(())
}
